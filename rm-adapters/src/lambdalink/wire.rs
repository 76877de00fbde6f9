//! How the original tells what is wrong, and what a cluster is doing.

use axum::http::StatusCode;
use rm_core::life::{State, Wanted};
use rm_core::record::ResourceRecord;
use rm_core::{Error, ErrorKind};
use serde_json::{Map, Value, json};

use crate::door::Reply;
use crate::door::problem::{Problem, Rendered};

/// A refusal in the shapes of the original's framework.
pub(super) fn refuse(problem: &Problem<'_>) -> Rendered {
    let error = problem.error;
    let (status, body) = match error.kind() {
        _ if !problem.faults.is_empty() => {
            let mut fields: Map<String, Value> = Map::new();
            for fault in problem.faults {
                let field = fault
                    .pointer
                    .split('/')
                    .nth(1)
                    .unwrap_or("non_field_errors");
                let message = match fault.code {
                    "missing-key" => "This field is required.",
                    "too-short" => "This field may not be blank.",
                    _ => fault.detail.as_str(),
                };
                let messages = fields
                    .entry(field.to_owned())
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Some(messages) = messages.as_array_mut() {
                    messages.push(json!(message));
                }
            }
            (StatusCode::BAD_REQUEST, Value::Object(fields))
        }
        ErrorKind::Unauthenticated => (StatusCode::FORBIDDEN, detail(error)),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, json!({"detail": "Not found."})),
        ErrorKind::Exists => (StatusCode::BAD_REQUEST, json!({"name": [error.what()]})),
        ErrorKind::Invalid if problem.status == StatusCode::BAD_REQUEST => {
            let body = match error.stable_code() {
                "not-json" | "missing-body" | "unexpected-body" | "unknown-parameter" => {
                    detail(error)
                }
                _ => json!({"non_field_errors": [error.to_string()]}),
            };
            (StatusCode::BAD_REQUEST, body)
        }
        _ => (problem.status, detail(error)),
    };
    Rendered {
        status,
        content_type: "application/json",
        body,
    }
}

fn detail(error: &Error) -> Value {
    json!({"detail": error.to_string()})
}

/// 400 about one member.
pub(super) fn wrong(field: &str, message: &str) -> Reply {
    Reply::json(StatusCode::BAD_REQUEST, json!({field: [message]}))
}

/// 400 about one member where core found the fault; other errors are told as
/// they are.
pub(super) fn blame(field: &str, error: Error) -> rm_core::Result<Reply> {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::NotFound => Ok(wrong(field, &error.to_string())),
        _ => Err(error),
    }
}

/// `PUT` and `PATCH` of what is immutable: nothing may differ. Members that
/// are not shown are ignored, as the original did.
pub(super) fn unchanged(shown: Value, given: &Value) -> Reply {
    let none = Map::new();
    let differs: Map<String, Value> = given
        .as_object()
        .unwrap_or(&none)
        .iter()
        .filter(|(key, value)| {
            let read_only = ["id", "owner", "created", "user", "root_owner"];
            !read_only.contains(&key.as_str())
                && shown.get(key.as_str()).is_some_and(|now| now != *value)
        })
        .map(|(key, _)| {
            let message = "This cannot be changed: delete the entry and add another.";
            (key.clone(), json!([message]))
        })
        .collect();
    if differs.is_empty() {
        Reply::ok(shown)
    } else {
        Reply::json(StatusCode::BAD_REQUEST, Value::Object(differs))
    }
}

/// The original's word for where a cluster is.
pub(super) fn status(wanted: Wanted, seen: State, is_ready: bool) -> &'static str {
    match (wanted, seen) {
        (_, State::Failed | State::Quarantined) => "ERROR",
        (Wanted::Running, State::Ready) if is_ready => "READY",
        (_, State::Nothing) => "INIT",
        _ => "BUILDING",
    }
}

/// Heat's own word for the stack, as far as it is known: where something is under
/// way or has failed the reason tells it, else it follows from what we did last. Of
/// what is in quarantine and was to be made nobody can tell whether it was.
pub(super) fn remote_status(r: &ResourceRecord) -> &str {
    let (in_progress, complete, failed) = match r.changed {
        true => ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "UPDATE_FAILED"),
        false => ("CREATE_IN_PROGRESS", "CREATE_COMPLETE", "CREATE_FAILED"),
    };
    let told = |otherwise| word(&r.reason).unwrap_or(otherwise);
    match r.seen {
        State::Nothing => "NONE",
        State::Building => told(in_progress),
        State::Ready => complete,
        State::Changing => told("UPDATE_IN_PROGRESS"),
        State::Stopping => told("SUSPEND_IN_PROGRESS"),
        State::Failed => told(failed),
        State::Releasing => told("DELETE_IN_PROGRESS"),
        State::Quarantined if r.wanted == Wanted::Absent => told("DELETE_FAILED"),
        State::Quarantined | State::Unknown => "UNKNOWN",
    }
}

/// The first word of Heat's in a reason: an action and what became of it.
fn word(reason: &str) -> Option<&str> {
    const ACTIONS: [&str; 11] = [
        "INIT", "CREATE", "UPDATE", "DELETE", "ROLLBACK", "SUSPEND", "RESUME", "ADOPT", "SNAPSHOT",
        "CHECK", "RESTORE",
    ];
    let is_one = |word: &&str| {
        let parts = word.split_once('_');
        parts.is_some_and(|(action, became)| {
            ACTIONS.contains(&action) && ["IN_PROGRESS", "COMPLETE", "FAILED"].contains(&became)
        })
    };
    let plain = |c: char| !c.is_ascii_uppercase() && c != '_';
    reason.split(plain).find(is_one)
}

/// The id of Heat's stack. How the site names a cluster is the backend's; of
/// several parts the last one is the id that it had from the site.
pub(super) fn remote_id(r: &ResourceRecord) -> Option<&str> {
    let remote = r.remote.as_ref()?.0.as_str();
    Some(remote.rsplit_once('/').map_or(remote, |(_, id)| id))
}

/// Whether the original would have forgotten it already.
pub(super) fn is_hidden(wanted: Wanted, seen: State) -> bool {
    wanted == Wanted::Absent && seen != State::Quarantined
}

#[cfg(test)]
mod tests {
    use rm_core::caller::Tenant;
    use rm_core::env::Timestamp;
    use rm_core::{Kind, RemoteId};

    use super::*;

    #[test]
    fn every_pair_has_a_word_and_only_what_is_ready_is_called_so() {
        for wanted in Wanted::ALL {
            for seen in State::ALL {
                for is_ready in [false, true] {
                    let word = status(wanted, seen, is_ready);
                    assert!(["INIT", "BUILDING", "READY", "ERROR"].contains(&word));
                    let ready = is_ready && wanted == Wanted::Running && seen == State::Ready;
                    assert_eq!(word == "READY", ready, "{wanted:?} {seen}");
                }
            }
        }
    }

    #[test]
    fn a_stack_is_told_in_the_words_of_heat() {
        let mut r = record();
        r.remote = Some(RemoteId("4d3c/rm-1/9f2a-77".to_owned()));
        assert_eq!(remote_id(&r), Some("9f2a-77"));
        r.remote = Some(RemoteId("sim-7".to_owned()));
        assert_eq!(remote_id(&r), Some("sim-7"));
        for (seen, changed, reason, told) in [
            (State::Nothing, false, "", "NONE"),
            (State::Building, false, "", "CREATE_IN_PROGRESS"),
            (State::Ready, false, "", "CREATE_COMPLETE"),
            (State::Ready, true, "", "UPDATE_COMPLETE"),
            (State::Changing, false, "", "UPDATE_IN_PROGRESS"),
            (State::Failed, true, "", "UPDATE_FAILED"),
            (State::Failed, false, "nobody knows", "CREATE_FAILED"),
            (
                State::Failed,
                false,
                "UPDATE_FAILED: resources.master: BAD_REQUEST",
                "UPDATE_FAILED",
            ),
            (
                State::Failed,
                false,
                "not ready in time: RESUME_IN_PROGRESS: later",
                "RESUME_IN_PROGRESS",
            ),
            (State::Unknown, false, "", "UNKNOWN"),
        ] {
            (r.seen, r.changed, r.reason) = (seen, changed, reason.to_owned());
            assert_eq!(remote_status(&r), told, "{seen} {reason}");
        }
        (r.seen, r.reason) = (State::Quarantined, String::new());
        assert_eq!(remote_status(&r), "UNKNOWN");
        r.wanted = Wanted::Absent;
        assert_eq!(remote_status(&r), "DELETE_FAILED");
    }

    fn record() -> ResourceRecord {
        let id = "01a20038-ceab-70d3-b0fe-5770a8ee0735";
        let place = serde_json::from_value(json!({
            "manager": "m", "site": id, "site_name": "s", "credential": id, "spec": {},
        }));
        ResourceRecord::new(
            id.parse().unwrap(),
            Kind::CLUSTER,
            Tenant("t".to_owned()),
            "c".to_owned(),
            place.unwrap(),
            Timestamp::from_millis(0),
        )
    }
}
