//! Tells by a file which address was taken, for those who asked for port 0.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::failure::{Failure, Result};

/// The file is there as long as this is.
#[derive(Debug)]
pub(super) struct Told(Option<PathBuf>);

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            // Somebody may have removed it already.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Writes the file, whole or not at all.
pub(super) fn tell(config: &Config, file: Option<&Path>, at: SocketAddr) -> Result<Told> {
    let Some(file) = file else {
        return Ok(Told(None));
    };
    let file = config.path(file);
    let mut new = file.clone().into_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    std::fs::write(&new, format!("{at}\n"))
        .and_then(|()| std::fs::rename(&new, &file))
        .map_err(|e| {
            Failure::refused(format!("cannot write {}", file.display()))
                .detail(e.kind().to_string())
        })?;
    Ok(Told(Some(file)))
}
