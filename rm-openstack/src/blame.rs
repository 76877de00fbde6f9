//! Which resource a stack failed for, where Heat's reason for the stack does not
//! say it: after a timeout, and where an engine of Heat's has died.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use rm_core::backend::{Cx, Phase, Seen};
use rm_core::env::Timestamp;
use rm_core::model::Cluster;
use tokio::time::timeout;

use crate::client::heat::{Action, ResourceQuery, Stack, StackRef, StackResource, State};
use crate::client::{Heat, tidy};

/// For so many stacks of one look at most it is asked: a look must end in time.
/// Of the others it is said at a later one.
const ASKED_AT_ONCE: usize = 8;

/// So many answers are kept.
const KEPT: usize = 1000;

/// How deep resources may be nested; Heat's own limit is 5.
const DEPTH: u8 = 5;

/// How long a failure of which Heat has told nothing is not asked for: twice as
/// long each time, up to an hour. It keeps none of the others from being told.
const AGAIN: Duration = Duration::from_secs(5);

const HOUR: Duration = Duration::from_secs(3600);

/// What was found out, by the id of the stack.
#[derive(Debug, Default)]
pub(crate) struct Blame {
    known: Mutex<BTreeMap<String, Asked>>,
}

/// What came of asking for a failure.
#[derive(Debug)]
struct Asked {
    /// Of the failure.
    stamp: Option<String>,
    /// Empty where Heat has no resource to blame, nothing where it did not
    /// answer.
    found: Option<String>,
    tries: u32,
    /// Not before this it is asked again.
    again: Timestamp,
}

impl Blame {
    /// Completes what is said of stacks that failed, as far as Heat tells it
    /// within a quarter of the time of a call: what is seen does not wait for
    /// why.
    pub(crate) async fn complete(
        &self,
        cx: &Cx<'_>,
        heat: &Heat,
        stacks: &[Stack],
        seen: &mut [Seen<Cluster>],
    ) {
        let within = cx.timeout / 4;
        let silent: Vec<(usize, &Stack)> = stacks
            .iter()
            .enumerate()
            .filter(|(at, stack)| {
                let failed = seen.get(*at).is_some_and(|s| s.phase == Phase::Failed);
                failed && stack.status.action != Action::Delete && !names_one(&stack.status_reason)
            })
            .collect();
        let unknown = silent
            .iter()
            .filter(|(at, stack)| self.is_to_be_asked(stack, &seen[*at], cx.env.now()))
            .take(ASKED_AT_ONCE);
        let asked = unknown.map(|(at, stack)| async {
            let found = timeout(within, failed(heat, &stack.reference())).await;
            (*at, stack.id.clone(), found.ok().flatten())
        });
        let asked = join_all(asked).await;
        for (at, id, found) in asked {
            let Some(seen) = seen.get(at) else { continue };
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= KEPT {
                known.clear();
            }
            let before = known.remove(&id).filter(|asked| asked.stamp == seen.stamp);
            let tries = before.map_or(0, |before| before.tries.saturating_add(1));
            let wait = AGAIN.saturating_mul(1 << tries.min(10)).min(HOUR);
            let asked = Asked {
                stamp: seen.stamp.clone(),
                found,
                tries,
                again: cx.env.now().plus(wait),
            };
            known.insert(id, asked);
        }
        for (at, stack) in silent {
            let found = seen.get(at).and_then(|seen| self.known(stack, seen));
            if let (Some(found), Some(seen)) = (found, seen.get_mut(at))
                && !found.is_empty()
            {
                seen.reason = format!("{}: {found}", seen.reason);
            }
        }
    }

    fn known(&self, stack: &Stack, seen: &Seen<Cluster>) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = known.get(&stack.id).filter(|a| a.stamp == seen.stamp)?;
        asked.found.clone()
    }

    fn is_to_be_asked(&self, stack: &Stack, seen: &Seen<Cluster>, now: Timestamp) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = known.get(&stack.id).filter(|a| a.stamp == seen.stamp);
        asked.is_none_or(|asked| asked.found.is_none() && asked.again <= now)
    }
}

/// Whether a reason has the path of a resource, as Heat writes it.
fn names_one(reason: &str) -> bool {
    reason.contains("resources.") || reason.contains("resources[")
}

/// What failed in a stack, or was under way when it did; empty where nothing was.
/// Nothing where Heat does not answer: it is asked again.
async fn failed(heat: &Heat, stack: &StackRef) -> Option<String> {
    let mut all = Vec::new();
    // In this order: what fails between the two questions is told by one of them.
    // Of a group that was given up, the member that it waited for may be under
    // way for a moment more.
    for state in ["IN_PROGRESS", "FAILED"] {
        let query = ResourceQuery {
            nested_depth: DEPTH,
            status: Some(state.to_owned()),
            ..ResourceQuery::default()
        };
        all.extend(heat.resources(stack, &query).await.ok()?);
    }
    Some(told(&all).unwrap_or_default())
}

/// The innermost of them, with its path and its own reason: what it is nested in
/// failed because of it. What failed itself comes before what was under way, and
/// then the first by its path, so that it is always the same.
fn told(all: &[StackResource]) -> Option<String> {
    let stuck = |r: &&StackResource| matches!(r.status.state, State::Failed | State::InProgress);
    let holds_another = |r: &StackResource| {
        let nested = r.nested();
        let mut others = all.iter().filter(stuck);
        nested.is_some_and(|nested| others.any(|o| o.stack().is_some_and(|s| s.id == nested.id)))
    };
    let innermost = all.iter().filter(stuck).filter(|r| !holds_another(r));
    let (_, path, one) = innermost
        .map(|r| (r.status.state != State::Failed, path(all, r), r))
        .min_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)))?;
    let why = match one.status_reason.as_str() {
        "" => String::new(),
        why => format!(": {}", tidy(why)),
    };
    Some(format!(
        "resource {path} ({}): {}{why}",
        one.kind, one.status
    ))
}

/// From the outermost stack down to it.
fn path(all: &[StackResource], of: &StackResource) -> String {
    let mut names = vec![of.name.as_str()];
    let mut at = of;
    while names.len() <= usize::from(DEPTH) {
        let within = at.stack();
        let parent = all.iter().find(|r| {
            r.nested().is_some()
                && r.nested().map(|n| n.id) == within.as_ref().map(|s| s.id.clone())
        });
        match parent {
            Some(parent) => {
                names.push(&parent.name);
                at = parent;
            }
            None => {
                // What it is in is complete, or not listed: its name at least.
                names.extend(at.parent_resource.as_deref());
                break;
            }
        }
    }
    names.reverse();
    names.join(".")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resource(name: &str, stack: &str, nested: Option<&str>, status: &str) -> Value {
        let link = |rel: &str, id: &str| json!({"rel": rel, "href": format!("http://h/v1/p/stacks/n/{id}/x")});
        let mut links = vec![link("stack", stack)];
        links.extend(nested.map(|id| link("nested", id)));
        json!({
            "resource_name": name, "resource_type": "T", "resource_status": status,
            "resource_status_reason": format!("{name} says why"), "links": links,
        })
    }

    #[test]
    fn the_innermost_is_named_with_its_path_and_its_own_reason() {
        let all: Vec<StackResource> = serde_json::from_value(json!([
            resource("group", "top", Some("mid"), "CREATE_FAILED"),
            resource("1", "mid", Some("low"), "CREATE_FAILED"),
            resource("fine", "low", None, "CREATE_COMPLETE"),
            resource("disk", "low", None, "CREATE_FAILED"),
        ]))
        .unwrap();
        assert_eq!(
            told(&all).unwrap(),
            "resource group.1.disk (T): CREATE_FAILED: disk says why"
        );
        assert_eq!(told(&all[2..3]), None);
    }

    #[test]
    fn a_member_that_is_still_under_way_is_named_and_not_the_group_that_was_given_up() {
        let mut all: Vec<StackResource> = serde_json::from_value(json!([
            resource("0", "mid", None, "CREATE_IN_PROGRESS"),
            resource("another", "top", None, "CREATE_IN_PROGRESS"),
            resource("group", "top", Some("mid"), "CREATE_FAILED"),
        ]))
        .unwrap();
        let told_of = |all: &[StackResource]| told(all).unwrap();
        assert!(told_of(&all[..1]).starts_with("resource 0 "));
        assert!(told_of(&all).starts_with("resource another "));
        all.remove(1);
        assert!(told_of(&all).starts_with("resource group.0 "));
        // What failed for a reason of its own is not the fault of its neighbours.
        assert!(told_of(&all[1..]).starts_with("resource group "));
        let failed = resource("disk", "top", None, "CREATE_FAILED");
        all.push(serde_json::from_value(failed).unwrap());
        assert!(told_of(&all).starts_with("resource disk "));
    }

    #[test]
    fn a_reason_with_a_path_needs_no_call() {
        assert!(names_one("Resource CREATE failed: E: resources.disk: no"));
        assert!(names_one("E: resources[1]: no"));
        assert!(!names_one("Timed out"));
        assert!(!names_one("Engine went down during stack CREATE"));
    }
}
