//! From libvirt's errors to those of a driver.

use rm_libvirt::{Code, Effect, Error as E};

use crate::driver::Error;

/// What an error of libvirt means for the domain of this name.
pub(super) fn failure(name: &str, e: &E) -> Error {
    let said = e.to_string();
    match (e, e.effect()) {
        (E::Config(_) | E::Argument { .. }, _) => Error::Invalid(said),
        (E::Remote { error, .. }, effect) => match (error.code, effect) {
            (Code::NO_DOMAIN, _) => Error::NotFound(name.to_owned()),
            (Code::DOM_EXIST, _) => Error::Exists(name.to_owned()),
            (Code::ACCESS_DENIED | Code::OPERATION_DENIED | Code::AUTH_FAILED, _) => {
                Error::Denied(said)
            }
            (_, Effect::Unknown) => Error::Unclear(said),
            (Code::NO_MEMORY, _) => Error::NoRoom(said),
            (_, Effect::None) => Error::Failed(said),
        },
        (_, Effect::Unknown) => Error::Unclear(said),
        (_, Effect::None) => Error::Unavailable(said),
    }
}
