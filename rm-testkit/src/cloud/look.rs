//! What a look at a site shows.

use rm_core::backend::{Absence, Cx, Look, Mark, Phase, Seen, Target};
use rm_core::env::Timestamp;
use rm_core::model::Cluster;
use rm_core::store::{Cursor, Page};
use rm_core::{Error, ErrorKind, Result};

use super::SimCloud;
use super::call::{Known, account};
use super::fault::Verb;
use super::site::Site;
use super::thing::Thing;

impl SimCloud {
    /// A look, whatever it is that the things stand for.
    pub(super) async fn look<S: Sync>(
        &self,
        cx: &Cx<'_>,
        look: Look<'_, S>,
    ) -> Result<Page<Seen<Cluster>>> {
        let what = match look {
            Look::These(targets) => format!("{} things", targets.len()),
            Look::Closely(target, _) => target.mark.name(),
            Look::All(_) => "all".to_owned(),
        };
        let account = account(cx)?;
        let key = (cx.site.name.clone(), account.clone());
        if matches!(look, Look::These(_)) {
            self.lock().faults.open_look(key.clone());
        }
        // Counted down when this future ends or is dropped.
        let _counted = matches!(look, Look::These(_)).then(|| Counted { cloud: self, key });
        let now = self.now(cx);
        self.call(cx, Verb::Observe, what, |state, site| {
            Ok(match look {
                Look::These(targets) => Page {
                    items: these(site, &account, targets, state, now),
                    next: None,
                },
                Look::Closely(target, _) => Page {
                    items: meant(site, target, |t| t.name == target.mark.name())
                        .into_iter()
                        .filter(|t| t.account == account && t.exists())
                        .filter_map(|t| t.shown(now, site.lag, site.marks, true))
                        .collect(),
                    next: None,
                },
                Look::All(_) if !state.listed => return Err(unlisted()),
                Look::All(after) => all(site, &account, after, state.page, now),
            })
        })
        .await
    }
}

/// What is meant: by its id where that is known, else whatever is shown by
/// what the mark says.
fn meant<'a>(site: &'a Site, target: &Target, shown: impl Fn(&Thing) -> bool) -> Vec<&'a Thing> {
    match &target.remote {
        Some(id) => site.things.get(id).into_iter().collect(),
        None => site.things.values().filter(|t| shown(t)).collect(),
    }
}

fn these(
    site: &Site,
    account: &str,
    targets: &[Target],
    known: &Known,
    now: Timestamp,
) -> Vec<Seen<Cluster>> {
    let dead = |seen: &Seen<Cluster>, by_id: bool| {
        // The dead are shown to who knows their id, where they are kept.
        seen.phase == Phase::Gone && !(by_id && known.absence == Absence::Tombstone)
    };
    let mut items: Vec<Seen<Cluster>> = Vec::new();
    for target in targets {
        let by_id = target.remote.is_some();
        let name = (!by_id).then(|| target.mark.name());
        let found = meant(site, target, |t| {
            let marked = |m: &Mark| m.resource == target.mark.resource;
            ((known.named || known.listed) && Some(&t.name) == name.as_ref())
                || (known.listed && t.mark.as_ref().is_some_and(marked))
        });
        for thing in found.into_iter().filter(|t| t.account == account) {
            if let Some(seen) = thing.shown(now, site.lag, site.marks, false)
                && !dead(&seen, by_id)
                && !items.iter().any(|known| known.id == seen.id)
            {
                items.push(seen);
            }
        }
    }
    items
}

fn all(
    site: &Site,
    account: &str,
    after: Option<&Cursor>,
    page: u32,
    now: Timestamp,
) -> Page<Seen<Cluster>> {
    let page = usize::try_from(page).unwrap_or(usize::MAX).max(1);
    let mut marked = site
        .things
        .values()
        .filter(|t| t.account == account && t.mark.is_some())
        .filter(|t| after.is_none_or(|c| t.id.0 > c.0))
        .filter_map(|t| t.shown(now, site.lag, site.marks, false))
        .filter(|s| s.phase != Phase::Gone);
    let items: Vec<Seen<Cluster>> = marked.by_ref().take(page).collect();
    let more = marked.next().is_some();
    Page {
        next: items
            .last()
            .filter(|_| more)
            .map(|last| Cursor(last.id.0.clone())),
        items,
    }
}

fn unlisted() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the site cannot list what bears a mark",
    )
}

struct Counted<'a> {
    cloud: &'a SimCloud,
    key: (String, String),
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.cloud.lock().faults.open_looks.get_mut(&self.key) {
            *open -= 1;
        }
    }
}
