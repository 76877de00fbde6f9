//! Whose a thing is, written down with the thing.

use super::Engine;
use super::act::Reach;
use crate::backend::Capability;
use crate::driver::Sight;
use crate::owner::Owner;
use crate::record::ResourceRecord;
use crate::store::Claim;

impl Engine {
    /// Brings what the thing says of its owner up to date. It has no other
    /// effect, so it is not journaled: what fails is done by the next sweep.
    pub(super) async fn note_owner(&self, reach: &Reach, mut claim: Claim, sight: Sight) {
        let cx = self.cx(reach);
        let call = self.ours(claim.until, reach.driver.note(&cx, sight));
        let noted = self.core.timed("note", reach.cap.call_timeout, call).await;
        if let Err(e) = &noted {
            tracing::info!(resource = %claim.row.record.id, error = %e, "its owner is not noted");
        }
        let due = self.next_sweep();
        self.write(&mut claim, due, |r, _| {
            if noted.is_ok() {
                r.noted.clone_from(&reach.owner);
            }
        })
        .await;
    }
}

/// Whether the thing says something else of its owner than the record does.
pub(super) fn owes_note(r: &ResourceRecord, cap: &Capability) -> bool {
    cap.keeps_owner && r.noted.as_ref() != Some(&Owner::of(r))
}
