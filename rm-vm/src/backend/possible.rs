//! What is refused of a node before anything of it exists, because of the image
//! that it is made of.

use rm_core::model::{Action, NodeSpec};
use rm_core::{Error, ErrorKind, Result};

use super::make::definition;
use crate::driver::Image;
use crate::failure::failure;
use crate::hosts::Host;

/// Refuses what cannot be of this image on this host, as far as that is known
/// before anything exists.
pub(super) fn possible(host: &Host, image: &Image, spec: &NodeSpec) -> Result<()> {
    keeps(host, image, spec)?;
    let new = definition(host, "rm-offer", image, spec, &[], String::new());
    let checked = host.driver.check(&new);
    checked.map_err(|e| failure(&host.name, "create node", e))
}

/// Refuses snapshots of what has no disk to keep.
pub(super) fn keeps(host: &Host, image: &Image, spec: &NodeSpec) -> Result<()> {
    let of_disk = |a: &Action| matches!(a, Action::Snapshot(_) | Action::Restore(_));
    let asks = spec.requests.iter().any(|r| of_disk(&r.action));
    match asks && !host.driver.keeps(image) {
        true => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{}: a node of the image {:?} has no disk of which a snapshot could be made",
                host.name, image.name
            ),
        )
        .advice("leave it out, or ask for a node of an image that is a disk")
        .site(&*host.name)),
        false => Ok(()),
    }
}
