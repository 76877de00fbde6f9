//! Where keys come from: a file, the environment, or a command.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rm_core::{Error, Result};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::key::Key;

/// More than any list of keys needs.
const AT_MOST: u64 = 64 * 1024;

/// Where a key is kept. Each source may hold several, one a line; the first of
/// them is the newest.
///
/// In configuration: `key = { file = "/etc/operation-manager/key" }`,
/// `{ env = "OPERATION_MANAGER_KEY" }` or `{ command = ["pass", "show", "key"] }`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// A file that only its owner may read.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
    /// What a program prints. Its standard error goes where ours goes; no shell
    /// is involved.
    Command(Vec<String>),
}

/// Names the source; the arguments of a command are not shown.
impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the key file {}", path.display()),
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::Command(argv) => {
                let program = argv.first().map_or("", String::as_str);
                write!(f, "the key command {program}")
            }
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySource({self})")
    }
}

impl KeySource {
    /// Every key it holds; at least one.
    pub(super) fn read(&self) -> Result<Vec<Key>> {
        let text = match self {
            Self::File(path) => self.of_file(path)?,
            Self::Env(name) => self.of_env(name)?,
            Self::Command(argv) => self.of_command(argv)?,
        };
        let Ok(text) = std::str::from_utf8(&text) else {
            return Err(self.no_key("holds something that is not text"));
        };
        let keys = text
            .split_whitespace()
            .map(Key::parse)
            .collect::<Result<Vec<_>>>()
            .map_err(|_| {
                self.no_key("holds something that is not 32 bytes in base64 or hexadecimal")
            })?;
        if keys.is_empty() {
            return Err(self.no_key("holds no key"));
        }
        Ok(keys)
    }

    fn no_key(&self, why: &str) -> Error {
        Error::invalid(format!("{self} {why}"))
            .advice("make a key with `key new`, or with `openssl rand -base64 32`")
    }

    fn of_file(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
        let file = File::open(path).map_err(|e| {
            let why = match e.kind() {
                std::io::ErrorKind::NotFound => "does not exist",
                std::io::ErrorKind::PermissionDenied => "may not be read by this process",
                _ => "cannot be read",
            };
            self.no_key(why).because(e)
        })?;
        self.keep_private(&file)?;
        let mut text = Zeroizing::new(Vec::with_capacity(4096));
        file.take(AT_MOST)
            .read_to_end(&mut text)
            .map_err(|e| self.no_key("cannot be read").because(e))?;
        Ok(text)
    }

    /// A key that others can read protects nothing from them.
    #[cfg(unix)]
    fn keep_private(&self, file: &File) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let mode = file
            .metadata()
            .map_err(|e| self.no_key("cannot be read").because(e))?
            .permissions()
            .mode();
        if mode & 0o077 == 0 {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{self} may be read or written by others than its owner (its mode is {:o})",
            mode & 0o777
        ))
        .advice("take that away with `chmod 600`; if others may have read it, make a new key"))
    }

    #[cfg(not(unix))]
    fn keep_private(&self, _file: &File) -> Result<()> {
        Ok(())
    }

    fn of_env(&self, name: &str) -> Result<Zeroizing<Vec<u8>>> {
        match std::env::var_os(name) {
            Some(text) => Ok(Zeroizing::new(text.into_encoded_bytes())),
            None => Err(self.no_key("is not set")),
        }
    }

    fn of_command(&self, argv: &[String]) -> Result<Zeroizing<Vec<u8>>> {
        let Some((program, arguments)) = argv.split_first() else {
            return Err(Error::invalid("the key command is empty")
                .advice("give the program and its arguments as a list"));
        };
        let run = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| {
                Error::invalid(format!("{self} cannot be started"))
                    .advice("look whether the program is there and may be run")
                    .because(e)
            })?;
        let text = Zeroizing::new(run.stdout);
        if run.status.success() {
            return Ok(text);
        }
        Err(Error::invalid(format!("{self} has failed: {}", run.status))
            .advice("run it by hand to see why"))
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use rm_core::ErrorKind;

    use super::*;
    use crate::generate_key;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mode = std::fs::Permissions::from_mode(mode);
        file.as_file().set_permissions(mode).unwrap();
        file
    }

    fn ids(source: &KeySource) -> Vec<String> {
        source.read().unwrap().iter().map(Key::id).collect()
    }

    #[test]
    fn a_file_holds_keys_one_a_line() {
        let keys = [generate_key().unwrap(), generate_key().unwrap()];
        let text = format!("{}\n{}\n", keys[0].expose(), keys[1].expose());
        let file = file(&text, 0o600);
        let ids = ids(&KeySource::File(file.path().to_owned()));
        let same: Vec<String> = keys
            .iter()
            .map(|k| Key::parse(k.expose()).unwrap().id())
            .collect();
        assert_eq!(ids, same);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let key = generate_key().unwrap();
        for mode in [0o640, 0o604, 0o660, 0o666] {
            let file = file(key.expose(), mode);
            let e = KeySource::File(file.path().to_owned()).read().unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Invalid);
            assert!(e.to_string().contains("chmod 600"), "{e}");
        }
    }

    #[test]
    fn a_command_prints_a_key() {
        let key = generate_key().unwrap();
        let argv = |argv: &[&str]| KeySource::Command(argv.iter().map(|a| (*a).into()).collect());
        assert_eq!(
            ids(&argv(&["echo", key.expose()])),
            [Key::parse(key.expose()).unwrap().id()]
        );
        for bad in [
            argv(&[]),
            argv(&["false"]),
            argv(&["/no/such/program"]),
            argv(&["echo", "canary"]),
        ] {
            let e = bad.read().unwrap_err();
            assert!(!format!("{e} {e:?} {bad:?}").contains("canary"), "{e:?}");
        }
    }

    #[test]
    fn every_failure_names_the_source_and_no_key() {
        let canary = "canary".repeat(10);
        let file = file(&canary, 0o600);
        for (source, name) in [
            (KeySource::File(file.path().to_owned()), "key file"),
            (KeySource::File("/no/such/key".into()), "/no/such/key"),
            (
                KeySource::Env("RM_STORE_NO_SUCH_KEY".into()),
                "RM_STORE_NO_SUCH_KEY",
            ),
        ] {
            let e = source.read().unwrap_err();
            assert!(e.to_string().contains(name), "{e}");
            assert!(!format!("{e} {e:?}").contains("canary"), "{e:?}");
        }
    }

    #[test]
    fn the_forms_in_configuration() {
        let read = |text: &str| serde_json::from_str::<KeySource>(text).unwrap();
        assert_eq!(read(r#"{"file": "/k"}"#), KeySource::File("/k".into()));
        assert_eq!(read(r#"{"env": "K"}"#), KeySource::Env("K".into()));
        assert_eq!(
            read(r#"{"command": ["pass", "k"]}"#),
            KeySource::Command(vec!["pass".into(), "k".into()])
        );
    }
}
