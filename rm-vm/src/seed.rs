//! What a guest is born with, written into the upper part of its disk.
//!
//! The image may be anybody's: a link in it is never followed, so nothing is
//! read or written outside of the two folders.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use rm_core::model::NodeUser;

use crate::driver::{Error, Result, Seed};
use crate::files::told;

/// What the image's init is and understands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// What is to be its first process, where it is not the image's own.
    pub(crate) init: Option<&'static str>,
    /// The signal that asks it to stop.
    pub(crate) halt: &'static str,
}

const INIT: &str = "sbin/init";
const OURS: &str = "etc/resource-manager";

/// Runs the commands beside the image's own init, at the first boot only.
const FIRST: &str = "\
#!/bin/sh
# Runs what this node was to run when it first boots, then the image's own init.
here=/etc/resource-manager
if [ -f $here/boot ]; then
    mv $here/boot $here/booted
    (sh $here/booted </dev/null >$here/boot.log 2>&1 &)
fi
exec /sbin/init \"$@\"
";

/// More than any of the files that are read here has.
const MOST: u64 = 4 << 20;

/// Writes a seed into `upper`, over an image's `lower`.
pub(crate) fn plant(lower: &Path, upper: &Path, name: &str, seed: &Seed) -> Result<Guest> {
    let disk = Disk { lower, upper };
    disk.root()?;
    let hostname = &seed.hostname;
    disk.write(
        "etc/hostname",
        format!("{hostname}\n").as_bytes(),
        Rights::FILE,
    )?;
    let mut hosts = disk.text("etc/hosts")?;
    if hosts.is_empty() {
        hosts.push_str("127.0.0.1 localhost\n::1 localhost\n");
    }
    hosts.push_str(&format!("127.0.1.1 {hostname}\n"));
    disk.write("etc/hosts", hosts.as_bytes(), Rights::FILE)?;
    for user in &seed.users {
        add_user(&disk, user)?;
    }
    if !seed.user_data.is_empty() {
        let meta = format!("instance-id: {name}\nlocal-hostname: {hostname}\n");
        let at = "var/lib/cloud/seed/nocloud";
        disk.write(&format!("{at}/meta-data"), meta.as_bytes(), Rights::SECRET)?;
        disk.write(
            &format!("{at}/user-data"),
            seed.user_data.as_bytes(),
            Rights::SECRET,
        )?;
    }
    let mut init = None;
    if !seed.boot_commands.is_empty() {
        let commands = format!("{}\n", seed.boot_commands.join("\n"));
        disk.write(&format!("{OURS}/boot"), commands.as_bytes(), Rights::SECRET)?;
        disk.write(&format!("{OURS}/init"), FIRST.as_bytes(), Rights::PROGRAM)?;
        init = Some("/etc/resource-manager/init");
    }
    Ok(Guest {
        init,
        halt: halt(lower),
    })
}

/// The signal for which an init stops the system. The link tells which it is;
/// it is not followed.
fn halt(lower: &Path) -> &'static str {
    let leads = fs::read_link(lower.join(INIT)).unwrap_or_default();
    let leads = leads.to_string_lossy();
    if leads.contains("systemd") {
        "SIGRTMIN+3"
    } else if leads.contains("busybox") {
        "SIGUSR2"
    } else {
        "SIGPWR"
    }
}

/// Makes an account unless the image has it, and lets these keys in.
fn add_user(disk: &Disk<'_>, user: &NodeUser) -> Result<()> {
    let name = &user.name;
    let mut passwd = disk.text("etc/passwd")?;
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let known = passwd
        .lines()
        .map(fields)
        .find(|f| f[0] == *name && f.len() >= 7);
    let (id, group, home) = match known {
        Some(known) => {
            let number = |at: usize| known[at].parse::<u32>().unwrap_or(0);
            (number(2), number(3), known[5].clone())
        }
        None => {
            let mut group = disk.text("etc/group")?;
            let used = |text: &str| {
                text.lines()
                    .filter_map(|l| fields(l).get(2)?.parse::<u32>().ok())
                    .filter(|id| (1000..60_000).contains(id))
                    .max()
            };
            let id = used(&passwd)
                .max(used(&group))
                .map_or(1000, |last| last + 1);
            let home = format!("/home/{name}");
            line(&mut passwd, &format!("{name}:x:{id}:{id}::{home}:/bin/sh"));
            line(&mut group, &format!("{name}:x:{id}:"));
            disk.write("etc/passwd", passwd.as_bytes(), Rights::FILE)?;
            disk.write("etc/group", group.as_bytes(), Rights::FILE)?;
            let mut shadow = disk.text("etc/shadow")?;
            if !shadow.is_empty() {
                // No password, and not locked: keys let in.
                line(&mut shadow, &format!("{name}:*:19000:0:99999:7:::"));
                disk.write("etc/shadow", shadow.as_bytes(), Rights::SECRET)?;
            }
            (id, id, home)
        }
    };
    let own = |mode| Rights { mode, id, group };
    let home = home.trim_start_matches('/');
    disk.folder(home, own(0o700))?;
    if !user.ssh_keys.is_empty() {
        let file = format!("{home}/.ssh/authorized_keys");
        disk.folder(&format!("{home}/.ssh"), own(0o700))?;
        let mut keys = disk.text(&file)?;
        for key in &user.ssh_keys {
            line(&mut keys, key);
        }
        disk.write(&file, keys.as_bytes(), own(0o600))?;
    }
    Ok(())
}

fn line(text: &mut String, line: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
}

/// Who may do what with a file that is new.
#[derive(Clone, Copy)]
struct Rights {
    mode: u32,
    id: u32,
    group: u32,
}

impl Rights {
    const FILE: Self = Self::root(0o644);
    const SECRET: Self = Self::root(0o600);
    const PROGRAM: Self = Self::root(0o755);

    const fn root(mode: u32) -> Self {
        Self {
            mode,
            id: 0,
            group: 0,
        }
    }

    fn of(there: &fs::Metadata) -> Self {
        Self {
            mode: there.mode() & 0o7777,
            id: there.uid(),
            group: there.gid(),
        }
    }

    fn give(self, path: &Path) -> io::Result<()> {
        lchown(path, Some(self.id), Some(self.group))?;
        fs::set_permissions(path, Permissions::from_mode(self.mode))
    }
}

/// A disk of two folders: what is in the upper one hides what is in the lower.
struct Disk<'a> {
    lower: &'a Path,
    upper: &'a Path,
}

impl Disk<'_> {
    /// The upper folder is what the guest sees of the root.
    fn root(&self) -> Result<()> {
        let there = fs::symlink_metadata(self.lower).map_err(|e| told(self.lower, &e))?;
        Rights::of(&there)
            .give(self.upper)
            .map_err(|e| told(self.upper, &e))
    }

    /// What is at a path below the root, in the upper folder or else in the
    /// lower one; a link on the way or at its end is refused.
    fn there(&self, path: &str) -> Result<Option<(PathBuf, fs::Metadata)>> {
        for top in [self.upper, self.lower] {
            let mut at = top.to_owned();
            let mut found = None;
            for name in names(path)? {
                at.push(name);
                found = match fs::symlink_metadata(&at) {
                    Ok(there) if there.is_symlink() => {
                        return Err(Error::invalid(format!(
                            "the image has a link at {path:?}, through which nothing is written; use one without"
                        )));
                    }
                    Ok(there) => Some(there),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {
                        found = None;
                        break;
                    }
                    Err(e) => return Err(told(&at, &e)),
                };
            }
            if let Some(found) = found {
                return Ok(Some((at, found)));
            }
        }
        Ok(None)
    }

    /// The text of a file; none where there is none.
    fn text(&self, path: &str) -> Result<String> {
        let Some((at, there)) = self.there(path)? else {
            return Ok(String::new());
        };
        if !there.is_file() || there.len() > MOST {
            return Err(Error::invalid(format!(
                "the image's {path:?} is not a text file"
            )));
        }
        let mut bytes = Vec::new();
        let file = File::open(&at).map_err(|e| told(&at, &e))?;
        file.take(MOST)
            .read_to_end(&mut bytes)
            .map_err(|e| told(&at, &e))?;
        String::from_utf8(bytes)
            .map_err(|_| Error::invalid(format!("the image's {path:?} is not a text file")))
    }

    /// A folder in the upper part, as the image has it or else with these
    /// rights.
    fn folder(&self, path: &str, new: Rights) -> Result<()> {
        let mut so_far = String::new();
        let all = names(path)?;
        for (at, name) in all.iter().enumerate() {
            so_far.push('/');
            so_far.push_str(name);
            let last = at + 1 == all.len();
            let rights = match self.there(&so_far)? {
                Some((_, there)) if there.is_dir() => Rights::of(&there),
                Some(_) => {
                    return Err(Error::invalid(format!(
                        "the image has no folder at {so_far:?}"
                    )));
                }
                None if last => new,
                None => Rights::PROGRAM,
            };
            let folder = self.upper.join(so_far.trim_start_matches('/'));
            match fs::create_dir(&folder) {
                Ok(()) => rights.give(&folder).map_err(|e| told(&folder, &e))?,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(told(&folder, &e)),
            }
        }
        Ok(())
    }

    /// A file in the upper part, with the rights of the image's own or else
    /// these.
    fn write(&self, path: &str, bytes: &[u8], new: Rights) -> Result<()> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent, Rights::PROGRAM)?;
        }
        let rights = match self.there(path)? {
            Some((_, there)) if there.is_file() => Rights::of(&there),
            Some(_) => {
                return Err(Error::invalid(format!(
                    "the image's {path:?} is not a file"
                )));
            }
            None => new,
        };
        let at = self.upper.join(path.trim_start_matches('/'));
        let write = || {
            match fs::remove_file(&at) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            File::create_new(&at)?.write_all(bytes)?;
            rights.give(&at)
        };
        write().map_err(|e| told(&at, &e))
    }
}

/// The names of a path below the root, none of which leads anywhere else.
fn names(path: &str) -> Result<Vec<&str>> {
    let names: Vec<&str> = path.split('/').filter(|n| !n.is_empty()).collect();
    match names.is_empty()
        || names
            .iter()
            .any(|n| matches!(*n, "." | "..") || n.contains('\0'))
    {
        false => Ok(names),
        true => Err(Error::invalid(
            "the image has an account whose home is no folder",
        )),
    }
}

#[cfg(test)]
mod tests;
