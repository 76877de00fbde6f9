//! From the drivers' errors to the house's one error.

use rm_core::error::Effect;
use rm_core::{Error, ErrorKind};

use crate::driver;

/// Says at which host it is that something cannot be, of what this program
/// itself has found: there is nothing below it.
pub(crate) fn at(site: &str, e: Error) -> Error {
    debug_assert!(e.effect() == Effect::None, "{e}");
    let mut told = Error::new(e.kind(), format!("{site}: {}", e.what())).site(site);
    if let Some(advice) = e.next() {
        told = told.advice(advice);
    }
    match e.is_temporary() {
        true => told.temporary(),
        false => told.permanent(),
    }
}

/// Says at which host what went wrong, what became of it, and what to do.
pub(crate) fn failure(site: &str, operation: &'static str, e: driver::Error) -> Error {
    use driver::Error as E;
    let (kind, advice) = match &e {
        E::Invalid(_) => (ErrorKind::Invalid, Some("correct the request")),
        E::NotFound(_) => (ErrorKind::NotFound, None),
        E::Exists(_) => (ErrorKind::Exists, None),
        E::NotNow { .. } => (ErrorKind::Busy, Some("it is tried again by itself")),
        E::Unsupported { .. } => (
            ErrorKind::Unsupported,
            Some("ask for it on a host of another kind"),
        ),
        E::Image { .. } => (
            ErrorKind::Failed,
            Some("check the image's source and its sha256 in the catalog"),
        ),
        E::NoRoom(_) => (
            ErrorKind::NoCapacity,
            Some("delete something there, or give the host more"),
        ),
        E::Denied(_) => (
            ErrorKind::Credential,
            Some("check the rights of this program on the host"),
        ),
        E::Unavailable(_) => (
            ErrorKind::Unavailable,
            Some("it is tried again by itself; if it lasts, look at the host"),
        ),
        E::ConsoleInUse(_) => (
            ErrorKind::Busy,
            Some("ask again when that session is over; the operator of the host knows whose it is"),
        ),
        E::Late(_) => (
            ErrorKind::Busy,
            Some(
                "it is tried again by itself; if it lasts, give calls more time (call_timeout_seconds)",
            ),
        ),
        E::Guest { advice, .. } => (ErrorKind::Failed, Some(*advice)),
        E::Failed(_) | E::Unclear(_) => (ErrorKind::Failed, Some("look at the host's own log")),
    };
    let mut error = Error::new(kind, format!("{site}: {e}"))
        .operation(operation)
        .site(site);
    if let Some(advice) = advice {
        error = error.advice(advice);
    }
    if matches!(
        e,
        E::NotNow { .. } | E::ConsoleInUse(_) | E::Late(_) | E::Unclear(_)
    ) {
        error = error.temporary();
    }
    if matches!(e, E::Unclear(_)) {
        error = error.effect_unknown();
    }
    error.because(e)
}
