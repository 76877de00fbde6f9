//! Images that appliances need and sites lack, brought to Glance.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rm_core::backend::{
    Absence, Backend, Capability, CreateKey, Cx, Look, Mark, Offer, Phase, Resize, Seen, Target,
};
use rm_core::catalog::Site;
use rm_core::model::{ImageSpec, ImageView, SiteImage};
use rm_core::store::Page;
use rm_core::{Error, ErrorKind, RemoteId, ResourceId, Result};

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

    /// An offer names how the site would get it; what is there already under
    /// that name is not ours, and is used as it is.
    async fn offers(&self, cx: &Cx<'_>, want: &ImageSpec) -> Result<Vec<Offer>> {
        let found = self
            .glance(cx)?
            .find(&want.name)
            .await
            .map_err(|e| failure(&cx.site.name, "find image", e))?;
        let mut offer = Offer::room(None);
        if found.iter().any(Image::is_active) {
            "the site has it".clone_into(&mut offer.why);
            offer.there = true;
        } else {
            "it would be uploaded".clone_into(&mut offer.why);
        }
        Ok(vec![offer])
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
            match glance.show(&image_id(target.mark.resource)).await {
                Ok(image) => items.push(sight(&image)),
                Err(e) if e.is_not_found() => {}
                Err(e) => return Err(failed(e)),
            }
        }
        Ok(Page { items, next: None })
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &ImageSpec) -> Result<RemoteId> {
        let mut image = NewImage::new(&*spec.name, &*spec.disk_format);
        image.id = Some(image_id(mark.resource));
        image.tags = mark::tags(mark);
        match self.glance(cx)?.create(&image).await {
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
}

/// The id under which an image is made.
fn image_id(resource: ResourceId) -> String {
    resource.to_string()
}

fn sight(image: &Image) -> Seen<SiteImage> {
    let mut mark = mark::read(&image.tags);
    let phase = match image.status.as_str() {
        "active" => Phase::Ready,
        // Without bytes: as good as made, and to be changed.
        "queued" => {
            if let Some(mark) = &mut mark {
                mark.generation = 0;
            }
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
