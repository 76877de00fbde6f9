//! From the wire client's errors to the house's one error.

use rm_core::{Error, ErrorKind};

use crate::client;

/// What is called so is a login.
pub(crate) const LOG_IN: &str = "log in";

/// Says at which site what went wrong, what became of it, and what to do.
pub(crate) fn failure(site: &str, operation: &'static str, e: client::Error) -> Error {
    let kind = match kind(&e) {
        // So Keystone says that there is no such application credential, or that a
        // token is none; of a wrong address it says something else.
        ErrorKind::NotFound if operation == LOG_IN && is_missing(&e) => ErrorKind::Credential,
        kind => kind,
    };
    let what = match e.refusal() {
        Some(refusal) if !refusal.message.is_empty() => {
            format!("{site}: {}: {}", refusal.call, refusal.message)
        }
        // Its hint is the advice, and is not told twice.
        Some(refusal) => {
            let mut bare = refusal.clone();
            bare.hint = None;
            format!("{site}: {bare}")
        }
        _ => format!("{site}: {e}"),
    };
    let mut error = Error::new(kind, what).operation(operation).site(site);
    error = match (e.hint(), advice(kind)) {
        (Some(hint), _) => error.advice(hint),
        (None, Some(advice)) => error.advice(advice),
        (None, None) => error,
    };
    // 409 beside "exists": something else is under way at the site.
    error = if e.is_temporary() || kind == ErrorKind::Busy {
        error.temporary()
    } else {
        error.permanent()
    };
    if let Some(after) = e.retry_after() {
        error = error.retry_after(after);
    }
    if e.effect() == client::Effect::Unknown {
        error = error.effect_unknown();
    }
    error.because(e)
}

fn is_missing(e: &client::Error) -> bool {
    let refusal = e.refusal();
    refusal.is_some_and(|refusal| refusal.message.starts_with("Could not "))
}

fn kind(e: &client::Error) -> ErrorKind {
    use client::Error as E;
    if e.is_stack_exists() {
        return ErrorKind::Exists;
    }
    // No other site takes it either, and nothing needs to be deleted.
    if e.is_too_large() {
        return ErrorKind::Invalid;
    }
    if e.is_over_limit() {
        return ErrorKind::NoCapacity;
    }
    if e.is_of_its_own() {
        return ErrorKind::Unavailable;
    }
    match e {
        E::Refused(refusal) => match refusal.status {
            401 | 403 => ErrorKind::Credential,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Busy,
            429 => ErrorKind::RateLimited,
            400..=499 => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        },
        E::Transport {
            how: client::error::Transport::Timeout,
            ..
        } => ErrorKind::Timeout,
        E::Transport { .. } => ErrorKind::Unavailable,
        E::Unreadable { .. } => ErrorKind::Unavailable,
        E::NoEndpoint { .. } => ErrorKind::Unsupported,
        E::Invalid { .. } => ErrorKind::Invalid,
        _ => ErrorKind::Failed,
    }
}

fn advice(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Credential => {
            "check the credential for this site: user, password, project, and the user's roles in it"
        }
        ErrorKind::NoCapacity => {
            "the project's limits at the site are reached; delete something there or ask its operator for more"
        }
        ErrorKind::Unavailable | ErrorKind::Timeout => {
            "it is tried again by itself; if it lasts, ask the site's operator"
        }
        ErrorKind::Invalid => "correct the template or the parameters",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Service;
    use crate::client::error::{Call, Effect, Refusal};

    fn refusal(message: &str) -> client::Error {
        client::Error::Refused(Box::new(Refusal {
            call: Call::write(Service::Orchestration, "create stack"),
            status: 400,
            error_type: Some("RequestLimitExceeded".to_owned()),
            message: message.to_owned(),
            request_id: None,
            retry_after: None,
            effect: Effect::None,
            hint: None,
        }))
    }

    #[test]
    fn what_is_too_large_is_no_quota() {
        let words = "Request limit exceeded: JSON body size (1048833 bytes) exceeds maximum \
                     allowed size (1048576 bytes).";
        let e = failure("here", "create", refusal(words));
        assert_eq!(e.kind(), ErrorKind::Invalid);
        let told = e.to_string();
        for part in ["1048576 bytes", "correct the template or the parameters"] {
            assert!(told.contains(part), "{part:?} is not in: {told}");
        }
        let words = "Request limit exceeded: You have reached the maximum stacks per tenant, 1. \
                     Please delete some stacks.";
        let e = failure("here", "create", refusal(words));
        assert_eq!(e.kind(), ErrorKind::NoCapacity);
    }

    #[test]
    fn what_heat_falls_over_by_itself_is_tried_again_and_a_template_is_not() {
        let fell = |call: Call| {
            client::Error::Refused(Box::new(Refusal {
                call,
                status: 400,
                error_type: Some("AttributeError".to_owned()),
                message: String::new(),
                request_id: None,
                retry_after: None,
                effect: Effect::None,
                hint: None,
            }))
        };
        for (call, kind) in [
            (
                Call::write(Service::Orchestration, "delete stack"),
                ErrorKind::Unavailable,
            ),
            (
                Call::read(Service::Orchestration, "show stack"),
                ErrorKind::Unavailable,
            ),
            (
                Call::write(Service::Orchestration, "create stack"),
                ErrorKind::Invalid,
            ),
            (
                Call::read(Service::Orchestration, "preview stack"),
                ErrorKind::Invalid,
            ),
            (
                Call::read(Service::Orchestration, "validate template"),
                ErrorKind::Invalid,
            ),
        ] {
            let e = failure("here", call.operation, fell(call));
            assert_eq!(e.kind(), kind, "{e}");
            assert_eq!(e.is_temporary(), kind == ErrorKind::Unavailable, "{e}");
        }
    }

    #[test]
    fn what_keystone_does_not_find_is_a_wrong_credential() {
        let of_keystone = "Could not find Application Credential: x.";
        for (operation, message, kind) in [
            (LOG_IN, of_keystone, ErrorKind::Credential),
            (
                LOG_IN,
                "Could not recognize Fernet token",
                ErrorKind::Credential,
            ),
            (
                LOG_IN,
                "The resource could not be found.",
                ErrorKind::NotFound,
            ),
            ("show stack", of_keystone, ErrorKind::NotFound),
        ] {
            let missing = Refusal {
                call: Call::read(Service::Identity, "log in"),
                status: 404,
                error_type: None,
                message: message.to_owned(),
                request_id: None,
                retry_after: None,
                effect: Effect::None,
                hint: None,
            };
            let e = failure("here", operation, client::Error::Refused(Box::new(missing)));
            assert_eq!(e.kind(), kind);
        }
    }

    #[test]
    fn a_hint_is_told_once() {
        for message in ["", "it says no"] {
            let refusal = Refusal {
                call: Call::write(Service::Orchestration, "create stack"),
                status: 403,
                error_type: Some("Forbidden".to_owned()),
                message: message.to_owned(),
                request_id: None,
                retry_after: None,
                effect: Effect::None,
                hint: Some("log in otherwise"),
            };
            let e = client::Error::Refused(Box::new(refusal));
            let told = failure("here", "create", e).to_string();
            assert_eq!(told.matches("log in otherwise").count(), 1, "{told}");
            assert!(told.contains("here: heat: create stack: "), "{told}");
        }
    }
}
