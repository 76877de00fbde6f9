//! Whether the hosts of nodes can make them for whom they are to be made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::{Either, select};
use rm_core::life::Wanted;
use rm_core::manager::Want;
use rm_core::model::{Json, NodeSpec, NodeUser};
use rm_core::record::ResourceRecord;
use rm_core::{Call, Result};

use super::Manager;
use super::place::shape;
use crate::geni::sliver::Unfit;

/// How long a site is waited for.
const PROMPT: Duration = Duration::from_secs(5);

/// Asks each site once for each shape of node. One that does not answer will say
/// itself what it cannot do.
pub(super) async fn unfit(
    managers: &[(&'static str, Manager)],
    call: &Call<'_>,
    slivers: &[&ResourceRecord],
    users: &[NodeUser],
) -> Result<Vec<Unfit>> {
    let (mut alike, mut silent) = (BTreeMap::new(), BTreeSet::new());
    for record in slivers.iter().filter(|r| r.wanted == Wanted::Reserved) {
        let place = &record.place;
        let mut spec = shape(&place.spec.read::<NodeSpec>()?);
        spec.users = users.to_vec();
        let key = Json::of(&spec)?.as_str().to_owned();
        let (_, all) = alike
            .entry((place.site, place.credential, record.kind.clone(), key))
            .or_insert_with(|| (spec, Vec::new()));
        all.push(*record);
    }
    let mut unfit = Vec::new();
    for ((at, credential, kind, _), (spec, all)) in alike {
        if silent.contains(&at) {
            continue;
        }
        let site = call.host.catalog().site(&at.to_string()).await?;
        let serves = |m: &Manager| m.serves().kind == kind && m.serves().api == site.api;
        let manager = managers.iter().map(|(_, m)| m).find(|m| serves(m));
        let Some(manager) = manager else { continue };
        let name = site.name.clone();
        let want = Want {
            credential,
            spec,
            key: None,
            asking: None,
            site,
        };
        let wait = call.host.env().sleep(PROMPT);
        match select(manager.only(&want), wait).await {
            Either::Left((Err(e), _)) => unfit.push(Unfit {
                slivers: all.iter().map(|record| record.id).collect(),
                why: e.site(name),
            }),
            Either::Left((Ok(_), _)) => {}
            Either::Right(_) => {
                silent.insert(at);
            }
        }
    }
    Ok(unfit)
}
