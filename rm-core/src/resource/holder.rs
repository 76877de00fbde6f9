//! Who may change a resource, and by which hold.

use crate::caller::{Caller, Role};
use crate::error::{Error, ErrorKind, Result};
use crate::id::HoldId;
use crate::record::ResourceRecord;

/// Refuses who holds nothing of it; an operator may all the same.
pub(super) fn holder(who: &Caller, r: &ResourceRecord) -> Result<()> {
    if who.is(Role::Operator) || r.holds.iter().any(|h| h.user == who.user) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Forbidden,
        format!("{} holds nothing of this {}", who.user, r.kind),
    )
    .advice("ask one of its holders, or request it yourself to hold it too")
    .resource(r.id))
}

/// Which of the holds is meant: the one that is named, or the caller's only one.
pub(super) fn own_hold(who: &Caller, r: &ResourceRecord, hold: Option<HoldId>) -> Result<usize> {
    holder(who, r)?;
    let mine: Vec<usize> = (0..r.holds.len())
        .filter(|i| match hold {
            Some(id) => {
                r.holds[*i].id == id && (who.is(Role::Operator) || r.holds[*i].user == who.user)
            }
            None => r.holds[*i].user == who.user,
        })
        .collect();
    match (mine.as_slice(), hold) {
        ([one], _) => Ok(*one),
        ([], Some(id)) => {
            Err(Error::not_found(format!("there is no hold {id} of yours on it")).resource(r.id))
        }
        ([], None) if r.holds.len() == 1 => Ok(0),
        (several, _) => {
            let ids: Vec<String> = several.iter().map(|i| r.holds[*i].id.to_string()).collect();
            Err(Error::new(
                ErrorKind::Conflict,
                format!("it has {} holds: which one?", r.holds.len()),
            )
            .code("several-holds")
            .advice(if ids.is_empty() {
                "name the hold".to_owned()
            } else {
                format!("name the hold; yours are: {}", ids.join(", "))
            })
            .resource(r.id))
        }
    }
}
