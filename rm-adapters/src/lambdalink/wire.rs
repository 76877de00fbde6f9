//! How the original tells what is wrong, and what a cluster is doing.

use axum::http::StatusCode;
use rm_core::life::{State, Wanted};
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

/// What Heat would call it.
pub(super) fn remote_status(seen: State) -> &'static str {
    match seen {
        State::Nothing => "NONE",
        State::Building => "CREATE_IN_PROGRESS",
        State::Ready => "CREATE_COMPLETE",
        State::Changing => "UPDATE_IN_PROGRESS",
        State::Stopping => "SUSPEND_IN_PROGRESS",
        State::Failed => "CREATE_FAILED",
        State::Releasing => "DELETE_IN_PROGRESS",
        State::Quarantined => "DELETE_FAILED",
        State::Unknown => "UNKNOWN",
    }
}

/// Whether the original would have forgotten it already.
pub(super) fn is_hidden(wanted: Wanted, seen: State) -> bool {
    wanted == Wanted::Absent && seen != State::Quarantined
}

#[cfg(test)]
mod tests {
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
                assert!(!remote_status(seen).is_empty());
            }
        }
    }
}
