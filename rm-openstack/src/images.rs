//! Images that appliances need and sites lack, brought to Glance.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rm_core::backend::{
    Absence, Backend, Capability, CreateKey, Cx, Look, Mark, Offer, Phase, Recalled, Resize, Seen,
    Target,
};
use rm_core::catalog::Site;
use rm_core::model::{ImageSpec, ImageView, SiteImage};
use rm_core::store::Page;
use rm_core::{Error, ErrorKind, RemoteId, Result};

use crate::client::glance::{Image, ImageSource, NewImage};
use crate::client::{self, Glance};
use crate::config::Config;
use crate::failure::failure;
use crate::mark;
use crate::sessions::Sessions;

/// Images at Glance.
///
/// An image is first made without bytes, under an id that we choose, so that a
/// second create is refused. Bringing its bytes is a change: from generation 0,
/// which is an image without bytes, to that of its spec. An upload that was cut
/// leaves the image without bytes, and is simply begun again.
///
/// A name tells nothing of the bytes: what is there under the name counts as
/// the image only if Glance or the tag that an upload leaves says that its
/// SHA-256 is the one of the catalog. Beside another image of the name a copy
/// gets a name of its own, and stacks are given its id.
#[derive(Debug)]
pub struct Images {
    config: Config,
    sessions: Arc<Sessions>,
}

impl Images {
    /// With this configuration; an account's session is shared by all backends
    /// of this crate.
    pub(crate) fn new(config: Config, sessions: Arc<Sessions>) -> Self {
        Self { sessions, config }
    }

    fn glance(&self, cx: &Cx<'_>) -> Result<Glance> {
        Ok(Glance::new(self.sessions.of(cx)?))
    }
}

#[async_trait]
impl Backend<SiteImage> for Images {
    fn capability(&self, _site: &Site) -> Capability {
        let mut cap = Capability::new();
        cap.create_key = CreateKey::ClientUuid;
        cap.absence = Absence::NotListed;
        cap.visibility = Duration::ZERO;
        cap.late = Duration::from_secs(90);
        cap.list_by_owner = true;
        cap.resize = Resize::InPlace;
        cap.concurrency = 2;
        cap.call_timeout = Duration::from_secs(self.config.call_timeout_seconds);
        cap.change_timeout = Some(Duration::from_secs(self.config.upload_timeout_seconds));
        cap.patience = Duration::from_secs(2 * self.config.upload_timeout_seconds);
        cap.page = 20;
        cap
    }

    /// Whatever is there with the right bytes, in use or on its way, then that
    /// it could be uploaded.
    async fn offers(&self, cx: &Cx<'_>, want: &ImageSpec) -> Result<Vec<Offer>> {
        let found = with_bytes(&self.glance(cx)?, &want.name, &want.sha256)
            .await
            .map_err(|e| failure(&cx.site.name, "find image", e))?;
        let mut offers: Vec<Offer> = found
            .iter()
            .map(|image| Offer {
                there: image.is_active(),
                existing: mark::read(&image.tags).map(|mark| mark.resource),
                why: "the site has it".to_owned(),
                ..Offer::room(None)
            })
            .collect();
        offers.push(Offer {
            why: "it would be uploaded".to_owned(),
            ..Offer::room(None)
        });
        Ok(offers)
    }

    async fn observe(
        &self,
        cx: &Cx<'_>,
        look: Look<'_, ImageSpec>,
    ) -> Result<Page<Seen<SiteImage>>> {
        let glance = self.glance(cx)?;
        let failed = |e| failure(&cx.site.name, "show image", e);
        let targets: &[Target] = match look {
            Look::These(targets) => targets,
            Look::Closely(target, _) => std::slice::from_ref(target),
            Look::All(_) => {
                let images = glance.tagged(mark::OURS).await.map_err(failed)?;
                return Ok(Page {
                    items: images.iter().map(sight).collect(),
                    next: None,
                });
            }
        };
        let mut items = Vec::new();
        for target in targets {
            let id = target.remote.as_ref().map(|id| id.0.clone());
            let id = id.unwrap_or_else(|| image_id(&target.mark));
            match glance.show(&id).await {
                Ok(image) => items.push(sight(&image)),
                Err(e) if e.is_not_found() => {}
                Err(e) => return Err(failed(e)),
            }
        }
        Ok(Page { items, next: None })
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &ImageSpec) -> Result<RemoteId> {
        let glance = self.glance(cx)?;
        // Two images of one name make the name useless to whoever uses it.
        let taken = glance
            .find(&spec.name)
            .await
            .map_err(|e| failure(&cx.site.name, "find image", e))?;
        let id = image_id(mark);
        let name = match taken.iter().any(|image| image.id != id) {
            true => own_name(&spec.name, &spec.sha256),
            false => spec.name.clone(),
        };
        let mut image = NewImage::new(name, &*spec.disk_format);
        image.id = Some(id);
        image.tags = mark::tags(mark);
        image.tags.push(format!("{SHA256}{}", spec.sha256));
        match glance.create(&image).await {
            Ok(image) => Ok(RemoteId(image.id)),
            Err(e) if e.status() == Some(409) => Err(Error::new(
                ErrorKind::Exists,
                format!("{}: an image of this id is there already", cx.site.name),
            )),
            Err(e) => Err(failure(&cx.site.name, "create image", e)),
        }
    }

    async fn change(
        &self,
        cx: &Cx<'_>,
        _mark: &Mark,
        seen: &Seen<SiteImage>,
        spec: &ImageSpec,
    ) -> Result<()> {
        let source = match spec.source.strip_prefix("file:") {
            Some(path) => ImageSource::File(path.trim_start_matches("//").into()),
            None => ImageSource::Http(spec.source.clone()),
        };
        let told = Arc::clone(cx.progress);
        let progress: client::glance::Progress =
            Arc::new(move |done, total| told.tell(done, total));
        self.glance(cx)?
            .upload(
                &seen.id.0,
                &source,
                Some(&spec.sha256),
                Some(progress),
                cx.timeout,
            )
            .await
            .map_err(|e| match e {
                // The source cannot be read or is not what it should be: the
                // image is still without bytes, and trying again is no use.
                client::Error::Image { what, effect } => {
                    let error = Error::new(
                        ErrorKind::Failed,
                        format!("{}: image {:?}: {what}", cx.site.name, spec.name),
                    )
                    .advice("check the image's source and its sha256 in the catalog")
                    .site(&*cx.site.name);
                    match effect {
                        client::Effect::None => error,
                        client::Effect::Unknown => error.effect_unknown(),
                    }
                }
                e => failure(&cx.site.name, "upload image", e),
            })?;
        Ok(())
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<SiteImage>) -> Result<()> {
        self.glance(cx)?
            .delete(&seen.id.0)
            .await
            .map_err(|e| failure(&cx.site.name, "delete image", e))?;
        Ok(())
    }

    async fn recall(
        &self,
        cx: &Cx<'_>,
        seen: &Seen<SiteImage>,
    ) -> Result<Option<Recalled<ImageSpec>>> {
        let image = self
            .glance(cx)?
            .show(&seen.id.0)
            .await
            .map_err(|e| failure(&cx.site.name, "show image", e))?;
        let tagged = image.tags.iter().find_map(|tag| tag.strip_prefix(SHA256));
        let Some(sha256) = tagged else {
            return Ok(None);
        };
        let known = cx.catalog.image_of(sha256).await?;
        Ok(known.map(|image| {
            Recalled::from(ImageSpec {
                image: image.id,
                name: image.name,
                source: image.source,
                sha256: image.sha256,
                disk_format: image.disk_format,
            })
        }))
    }
}

/// The tag of what its bytes are, or will be.
const SHA256: &str = "rm.sha256=";

/// The name of a copy beside another image of the name.
fn own_name(name: &str, sha256: &str) -> String {
    format!("{name}-{}", sha256.get(..12).unwrap_or(sha256))
}

/// The images of this name, or of the name that a copy of it gets, that have
/// or will have these bytes.
pub(crate) async fn with_bytes(
    glance: &Glance,
    name: &str,
    sha256: &str,
) -> Result<Vec<Image>, client::Error> {
    let mut found = glance.find(name).await?;
    if !found.is_empty() && !found.iter().any(|image| has_bytes(image, sha256)) {
        found = glance.find(&own_name(name, sha256)).await?;
    }
    found.retain(|image| has_bytes(image, sha256));
    Ok(found)
}

fn has_bytes(image: &Image, sha256: &str) -> bool {
    match (&image.os_hash_algo, &image.os_hash_value) {
        (Some(algorithm), Some(value)) if algorithm == "sha256" => {
            value.eq_ignore_ascii_case(sha256)
        }
        _ => image
            .tags
            .iter()
            .filter_map(|tag| tag.strip_prefix(SHA256))
            .any(|tagged| tagged.eq_ignore_ascii_case(sha256)),
    }
}

/// The id under which an image is made. Glance never makes another of an id,
/// not even after the first is deleted.
fn image_id(mark: &Mark) -> String {
    let id = mark.resource.to_string();
    match (mark.incarnation, id.split_at_checked(28)) {
        (0 | 1, _) | (_, None) => id,
        (n, Some((head, tail))) => match u32::from_str_radix(tail, 16) {
            Ok(tail) => format!("{head}{:08x}", tail ^ n),
            Err(_) => id,
        },
    }
}

fn sight(image: &Image) -> Seen<SiteImage> {
    let mut mark = mark::read(&image.tags);
    let mut is_of = |generation| {
        if let Some(mark) = &mut mark {
            mark.generation = generation;
        }
    };
    let phase = match image.status.as_str() {
        // Its bytes never change: it is as wanted, whatever was tried again.
        "active" => {
            is_of(u64::MAX);
            Phase::Ready
        }
        // Without bytes: as good as made, and to be changed.
        "queued" => {
            is_of(0);
            Phase::Ready
        }
        "saving" | "importing" | "uploading" => Phase::Changing,
        "deleted" | "pending_delete" => Phase::Gone,
        _ => Phase::Failed,
    };
    Seen {
        id: RemoteId(image.id.clone()),
        name: image.name.clone(),
        mark,
        phase,
        reason: match phase {
            Phase::Ready => String::new(),
            _ => format!("the image is {}", image.status),
        },
        stamp: None,
        view: Some(ImageView {
            bytes: image.size.unwrap_or(0),
            checksum: image
                .os_hash_value
                .clone()
                .or_else(|| image.checksum.clone()),
        }),
    }
}

#[cfg(test)]
mod tests;
