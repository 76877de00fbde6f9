//! Images of the simulated cloud: made without bytes, then filled by a call
//! that takes its time.

use std::time::Duration;

use async_trait::async_trait;
use rm_core::backend::{
    Absence, Backend, Capability, CreateKey, Cx, Look, Mark, Offer, Phase, Recalled, Resize, Seen,
    Target,
};
use rm_core::catalog::Site as CatalogSite;
use rm_core::env::Timestamp;
use rm_core::model::{ImageSpec, ImageView, SiteImage};
use rm_core::store::Page;
use rm_core::{Error, ErrorKind, RemoteId, ResourceId, Result};

use super::SimCloud;
use super::call::{account, listens};
use super::fault::{Fault, Verb};
use super::site::{Effect, Site};

/// One image at a simulated site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimImage {
    /// How the site names it; never free again, not even when it is gone.
    pub id: RemoteId,
    /// Its name, which others may have, too.
    pub name: String,
    /// The account that can see it.
    pub account: String,
    /// Whose it is.
    pub mark: Option<Mark>,
    /// The SHA-256 of its bytes, or of those that it is made for.
    pub sha256: String,
    /// How far it is.
    pub fill: Fill,
}

/// How far an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// It has no bytes yet.
    Empty,
    /// They are on their way.
    Filling,
    /// It can be used.
    Full,
    /// It is gone.
    Gone,
}

impl SimImage {
    /// Whether it is there at all.
    pub fn exists(&self) -> bool {
        self.fill != Fill::Gone
    }

    fn shown(&self) -> Seen<SiteImage> {
        let (phase, generation) = match self.fill {
            // As good as made, and to be changed.
            Fill::Empty => (Phase::Ready, Some(0)),
            Fill::Filling => (Phase::Changing, None),
            // Its bytes are what they are, whatever the generation.
            Fill::Full => (Phase::Ready, Some(u64::MAX)),
            Fill::Gone => (Phase::Gone, None),
        };
        let mut mark = self.mark.clone();
        if let (Some(mark), Some(generation)) = (&mut mark, generation) {
            mark.generation = generation;
        }
        Seen {
            id: self.id.clone(),
            name: self.name.clone(),
            mark,
            phase,
            reason: String::new(),
            stamp: None,
            view: Some(ImageView {
                bytes: if self.fill == Fill::Full { BYTES } else { 0 },
                checksum: (self.fill == Fill::Full).then(|| self.sha256.clone()),
            }),
        }
    }
}

/// What every simulated image weighs.
const BYTES: u64 = 4 << 20;

/// Into how many parts an upload is cut.
const PARTS: u32 = 4;

/// An image that a cluster is to be made of.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) sha256: String,
    /// Which one, where it was brought by us.
    pub(super) id: Option<RemoteId>,
}

/// Something that is asked of a site's images.
#[derive(Debug, Clone)]
pub(super) enum Order {
    Create {
        account: String,
        mark: Mark,
        name: String,
        sha256: String,
    },
    Destroy {
        id: RemoteId,
    },
}

impl Order {
    /// Of which image.
    pub(super) fn id(self) -> RemoteId {
        match self {
            Self::Create { mark, .. } => id_of(&mark),
            Self::Destroy { id } => id,
        }
    }
}

impl Site {
    pub(super) fn carry_out(&mut self, order: Order) -> Result<RemoteId> {
        match order {
            Order::Create {
                account,
                mark,
                name,
                sha256,
            } => {
                let id = id_of(&mark);
                if self.images.contains_key(&id) {
                    return Err(Error::new(
                        ErrorKind::Exists,
                        format!("the id {id} is not free"),
                    ));
                }
                let image = SimImage {
                    id: id.clone(),
                    name,
                    account,
                    mark: Some(mark),
                    sha256,
                    fill: Fill::Empty,
                };
                self.images.insert(id.clone(), image);
                Ok(id)
            }
            Order::Destroy { id } => {
                if let Some(image) = self.images.get_mut(&id) {
                    image.fill = Fill::Gone;
                }
                Ok(id)
            }
        }
    }

    /// The image that a cluster of an account asks for.
    pub(super) fn usable(&self, account: &str, wanted: &Wanted) -> Result<RemoteId> {
        let found = self.images.values().find(|i| match &wanted.id {
            Some(id) => i.id == *id,
            None => i.name == wanted.name,
        });
        found
            .filter(|i| i.account == account && i.fill == Fill::Full && i.sha256 == wanted.sha256)
            .map(|i| i.id.clone())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Failed,
                    format!("the image {:?} cannot be used", wanted.name),
                )
            })
    }
}

fn id_of(mark: &Mark) -> RemoteId {
    RemoteId(format!("image-{}", mark.name()))
}

#[async_trait]
impl Backend<SiteImage> for SimCloud {
    fn capability(&self, _site: &CatalogSite) -> Capability {
        let mut cap = Capability::new();
        cap.create_key = CreateKey::ClientUuid;
        cap.absence = Absence::NotListed;
        cap.visibility = Duration::ZERO;
        cap.late = Duration::from_secs(60);
        cap.list_by_owner = true;
        cap.resize = Resize::InPlace;
        cap.concurrency = 2;
        cap.change_timeout = Some(Duration::from_secs(600));
        cap.page = 100;
        cap
    }

    async fn offers(&self, cx: &Cx<'_>, want: &ImageSpec) -> Result<Vec<Offer>> {
        let account = account(cx)?;
        self.call(cx, Verb::Offers, want.name.clone(), |_, site| {
            let same = site.images.values().filter(|i| {
                i.exists() && i.account == account && i.name == want.name && i.sha256 == want.sha256
            });
            let mut offers: Vec<Offer> = same
                .map(|i| Offer {
                    there: i.fill == Fill::Full,
                    existing: i.mark.as_ref().map(|m| m.resource),
                    ..Offer::room(None)
                })
                .collect();
            offers.push(Offer::room(None));
            Ok(offers)
        })
        .await
    }

    async fn observe(
        &self,
        cx: &Cx<'_>,
        look: Look<'_, ImageSpec>,
    ) -> Result<Page<Seen<SiteImage>>> {
        let account = account(cx)?;
        let all = |site: &Site| -> Vec<Seen<SiteImage>> {
            site.images
                .values()
                .filter(|i| i.exists() && i.account == account)
                .map(SimImage::shown)
                .collect()
        };
        let of = |target: &Target| target.remote.clone().unwrap_or_else(|| id_of(&target.mark));
        let (what, wanted) = match look {
            Look::These(targets) => (
                format!("{} images", targets.len()),
                Some(targets.iter().map(of).collect::<Vec<_>>()),
            ),
            Look::Closely(target, _) => (of(target).0, Some(vec![of(target)])),
            Look::All(_) => ("all images".to_owned(), None),
        };
        self.call(cx, Verb::Observe, what, |_, site| {
            let mut items = all(site);
            items.retain(|seen| match &wanted {
                Some(wanted) => wanted.contains(&seen.id),
                None => seen.mark.is_some(),
            });
            Ok(Page { items, next: None })
        })
        .await
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &ImageSpec) -> Result<RemoteId> {
        let order = Order::Create {
            account: account(cx)?,
            mark: mark.clone(),
            name: spec.name.clone(),
            sha256: spec.sha256.clone(),
        };
        self.effect(cx, Verb::Create, id_of(mark).0, |_, _| Effect::Image(order))
            .await
    }

    /// Fills it: one call that lasts until the last byte is there. Who hangs up
    /// leaves it empty.
    async fn change(
        &self,
        cx: &Cx<'_>,
        _mark: &Mark,
        seen: &Seen<SiteImage>,
        _spec: &ImageSpec,
    ) -> Result<()> {
        let verb = Verb::Change;
        self.arrive(cx).await;
        let name = &cx.site.name;
        let (number, fault, begun) = {
            let mut state = self.lock();
            let (number, fault) = state
                .faults
                .begin(self.now(cx), name, verb, seen.id.0.clone());
            let admitted = state.admit(cx, verb);
            let site = state.site(&self.config, name);
            let begun = listens(site, name)
                .and(admitted)
                .and_then(|()| match fault {
                    Some(Fault::LostBefore | Fault::Refused(_) | Fault::TooMany(_)) => {
                        Err(Error::new(ErrorKind::Internal, "the fault answers"))
                    }
                    Some(Fault::Forgotten) => Ok(false),
                    _ => begin(site, &seen.id).map(|()| true),
                });
            (number, fault, begun)
        };
        let answered = match begun {
            Ok(true) => self.fill(cx, &seen.id, fault).await,
            Ok(false) => Ok(()),
            Err(e) => Err(e),
        };
        self.leave(cx, verb, number, fault, answered).await
    }

    async fn recall(
        &self,
        cx: &Cx<'_>,
        seen: &Seen<SiteImage>,
    ) -> Result<Option<Recalled<ImageSpec>>> {
        let what = seen.id.to_string();
        let sha256 = self.call(cx, Verb::Observe, what, |_, site| {
            Ok(site.images.get(&seen.id).map(|image| image.sha256.clone()))
        });
        let Some(sha256) = sha256.await? else {
            return Ok(None);
        };
        let known = cx.catalog.image_of(&sha256).await?;
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

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<SiteImage>) -> Result<()> {
        let order = Order::Destroy {
            id: seen.id.clone(),
        };
        self.effect(cx, Verb::Destroy, seen.id.0.clone(), |_, _| {
            Effect::Image(order)
        })
        .await
        .map(|_| ())
    }
}

fn begin(site: &mut Site, id: &RemoteId) -> Result<()> {
    match site.images.get_mut(id) {
        Some(image) if image.fill == Fill::Empty => {
            image.fill = Fill::Filling;
            Ok(())
        }
        Some(image) if image.exists() => Err(Error::new(
            ErrorKind::Conflict,
            format!("{id} is {:?} and takes no bytes", image.fill),
        )),
        _ => Err(Error::not_found(format!("there is no {id} at the site"))),
    }
}

/// Leaves an image empty again whose upload is not carried to its end.
struct Cut<'a> {
    cloud: &'a SimCloud,
    site: &'a str,
    id: &'a RemoteId,
}

impl Cut<'_> {
    fn set(&self, fill: Fill) {
        let mut state = self.cloud.lock();
        let site = state.site(&self.cloud.config, self.site);
        if let Some(image) = site.images.get_mut(self.id)
            && image.fill == Fill::Filling
        {
            image.fill = fill;
        }
    }
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.set(Fill::Empty);
    }
}

impl SimCloud {
    async fn fill(&self, cx: &Cx<'_>, id: &RemoteId, fault: Option<Fault>) -> Result<()> {
        let filling = Cut {
            cloud: self,
            site: &cx.site.name,
            id,
        };
        if let Some(Fault::Hangs(longer)) = fault {
            cx.env.sleep(longer).await;
        }
        for part in 1..=PARTS {
            self.points.pass("within upload").await;
            cx.env.sleep(self.config.upload() / PARTS).await;
            cx.progress
                .tell(BYTES * u64::from(part) / u64::from(PARTS), Some(BYTES));
        }
        if fault == Some(Fault::FailsLater) {
            return Err(Error::new(
                ErrorKind::Failed,
                "the bytes are not what they should be",
            ));
        }
        filling.set(Fill::Full);
        Ok(())
    }

    // -- what a test does and reads -------------------------------------------

    /// Somebody else puts an image of this name and these bytes at a site.
    pub fn plant_image(&self, site: &str, account: &str, name: &str, sha256: &str) -> RemoteId {
        let mut state = self.lock();
        state.named += 1;
        let id = RemoteId(format!("foreign-image-{:06}", state.named));
        let image = SimImage {
            id: id.clone(),
            name: name.to_owned(),
            account: account.to_owned(),
            mark: None,
            sha256: sha256.to_owned(),
            fill: Fill::Full,
        };
        let site = state.site(&self.config, site);
        site.images.insert(id.clone(), image);
        id
    }

    /// Somebody deletes an image.
    pub fn vanish_image(&self, site: &str, id: &RemoteId) {
        let mut state = self.lock();
        let order = Order::Destroy { id: id.clone() };
        // What is not there is gone.
        let _ = state.site(&self.config, site).carry_out(order);
    }

    /// Every image there ever was at a site, whoever made it.
    pub fn images(&self, site: &str) -> Vec<SimImage> {
        let mut state = self.lock();
        let site = state.site(&self.config, site);
        site.images.values().cloned().collect()
    }

    /// Every image of all sites that is not gone and bears a mark, with its
    /// site's name, by resource.
    pub fn marked_images(&self, now: Timestamp) -> Vec<(String, ResourceId, SimImage)> {
        let mut state = self.lock();
        let mut found = Vec::new();
        for (name, site) in &mut state.sites {
            site.advance(now);
            for image in site.images.values().filter(|i| i.exists()) {
                if let Some(mark) = &image.mark {
                    found.push((name.clone(), mark.resource, image.clone()));
                }
            }
        }
        found
    }
}
