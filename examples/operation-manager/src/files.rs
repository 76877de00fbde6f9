//! Files that only their owner may read.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::{Failure, Result};

/// The largest file that could be a token, a key or a credential.
const MOST: u64 = 64 * 1024;

/// Writes a new file that nobody else can read. It must not exist.
pub(crate) fn create_private(path: &Path, content: &str) -> Result<()> {
    create(path, content, 0o600)
}

/// Writes a new file. It must not exist.
pub(crate) fn create_public(path: &Path, content: &str) -> Result<()> {
    create(path, content, 0o644)
}

/// Gives a file that nobody else can read another content, whole or not at all.
pub(crate) fn replace_private(path: &Path, content: &str) -> Result<()> {
    let mut new = path.to_owned().into_os_string();
    new.push(".new");
    let new = std::path::PathBuf::from(new);
    create_private(&new, content)?;
    std::fs::rename(&new, path).map_err(|e| {
        // What is left of it is a secret: it must not stay behind.
        let _ = std::fs::remove_file(&new);
        Failure::refused(format!("cannot write {}", path.display())).detail(e.kind().to_string())
    })
}

fn create(path: &Path, content: &str, mode: u32) -> Result<()> {
    let shown = path.display();
    let done = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(content.as_bytes())?;
            file.sync_all()
        });
    done.map_err(|e| {
        if e.kind() == std::io::ErrorKind::AlreadyExists {
            Failure::refused(format!("{shown} exists, and nothing is overwritten"))
                .advice("move it away, or choose another place")
        } else {
            Failure::refused(format!("cannot write {shown}")).detail(e.kind().to_string())
        }
    })
}

/// Reads what only its owner may read, without the blanks at its ends.
/// `what` says for people what should be in it.
pub(crate) fn read_private(what: &str, path: &Path) -> Result<Zeroizing<String>> {
    let shown = path.display();
    let unread = |e: std::io::Error| {
        Failure::usage(format!("cannot read {what} from {shown}")).detail(e.kind().to_string())
    };
    let file = File::open(path).map_err(unread)?;
    let about = file.metadata().map_err(unread)?;
    if about.is_file() && about.mode() & 0o077 != 0 {
        return Err(
            Failure::usage(format!("others can read {what} in {shown}")).advice(format!(
                "take that from them: chmod 600 {shown}, and think about whether it is still a secret"
            )),
        );
    }
    let text = read_secret(what, &shown.to_string(), file)?;
    if text.is_empty() {
        return Err(
            Failure::usage(format!("{shown} is empty")).detail(format!("{what} should be in it"))
        );
    }
    Ok(text)
}

/// Reads a short text to its end and keeps no copy of it.
pub(crate) fn read_secret(what: &str, from: &str, input: impl Read) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    input
        .take(MOST + 1)
        .read_to_string(&mut text)
        .map_err(|e| {
            Failure::usage(format!("cannot read {what} from {from}")).detail(e.kind().to_string())
        })?;
    if text.len() as u64 > MOST {
        return Err(Failure::usage(format!("{from} is too large to be {what}")));
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("t");
        create_private(&file, "  S3CRET \n").unwrap();
        assert_eq!(read_private("a token", &file).unwrap().as_str(), "S3CRET");
        assert!(create_private(&file, "x").is_err());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let said = read_private("a token", &file).unwrap_err().to_string();
        assert!(said.contains("chmod 600") && !said.contains("S3CRET"));
    }
}
