//! What has its place at a site and is not there yet: the site does not know of
//! it when it says how much room there is.

use crate::error::Result;
use crate::id::CatalogId;
use crate::life::Wanted;
use crate::record::ResourceRecord;
use crate::store::{Batch, By, Store};

/// So many rows are read at once.
const PAGE: u32 = 200;

/// How many nodes wait to be made by a credential at a site, whosever they are:
/// those in the store, and those in a batch that is being written.
///
/// # Errors
///
/// Where the store cannot be asked.
pub async fn waiting(
    store: &dyn Store,
    site: CatalogId,
    credential: CatalogId,
    batch: &Batch,
) -> Result<u64> {
    let here = |r: &ResourceRecord| (r.place.site, r.place.credential) == (site, credential);
    let written = batch.resources.iter().map(|(record, _)| &**record);
    let mut nodes: u64 = written.filter(|r| here(r)).map(not_there).sum();
    let mut after = None;
    loop {
        let by = By::Account(site, credential);
        let page = store.resources(&by, after.as_ref(), PAGE).await?;
        nodes += page
            .items
            .iter()
            .map(|row| not_there(&row.record))
            .sum::<u64>();
        after = page.next;
        if after.is_none() {
            return Ok(nodes);
        }
    }
}

/// How many nodes are to be made for a record.
fn not_there(r: &ResourceRecord) -> u64 {
    match (r.wanted, &r.remote, r.part_of) {
        (Wanted::Absent, ..) | (_, Some(_), _) => 0,
        // The cluster is charged with it, and is there as soon as it is begun.
        (_, None, Some(_)) => 1,
        (_, None, None) => r.nodes,
    }
}
