//! Who logs in to a container that runs. It is changed from inside, by the
//! container's own shell: whatever a guest has made of its disk leads nowhere
//! else. Everything here blocks.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rm_core::model::NodeUser;

use super::tools;
use crate::driver::{Error, Result};

/// How long a guest may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked whether it is done.
const PAUSE: Duration = Duration::from_millis(20);

/// Takes a sign, an account and a key, again and again: a key is taken out with
/// `-`, and put in with `+` where it is not there yet, into an account that is
/// made where there is none. Done twice it is as if it was done once.
///
/// All files are written aside first, and then each takes the place of the old
/// one: what cannot be written changes nothing. Where it fails, its status says
/// how far it came ([`refusal`]). One that nobody waits for any more may still
/// run when the next one begins, and then has lost its turn.
const SCRIPT: &str = r#"
set -eu
umask 077
PATH=/usr/sbin:/usr/bin:/sbin:/bin
new=.rm-new-$$ next=.rm-next-$$ names= made= why=72 lf='
'
now() {
    from=$1
    if [ -f "$1$new" ]; then from=$1$new; fi
}
find() {
    id= group= home=/home/$1 last=999
    keys=$home/.ssh/authorized_keys
    now /etc/passwd
    while IFS=: read -r its _ its_id its_group _ its_home _ || [ -n "$its" ]; do
        if [ "$its" = "$1" ]; then
            id=$its_id group=$its_group home=$its_home
            keys=$home/.ssh/authorized_keys
        fi
        case $its_id in '' | *[!0-9]*) continue ;; esac
        if [ "$its_id" -gt "$last" ] && [ "$its_id" -lt 60000 ]; then last=$its_id; fi
    done < "$from"
}
add() {
    now "$1"
    there= cut=
    while IFS= read -r line || { [ -n "$line" ] && cut=yes; }; do
        case $line in "$name":*) there=$line ;; esac
    done < "$from"
    if [ -n "$there" ]; then return; fi
    if [ "$from" = "$1" ]; then
        why=72
        true > "$1$new"
        why=73
        cp -p "$1" "$1$new"
    fi
    why=73
    if [ -n "$cut" ]; then echo >> "$1$new"; fi
    printf '%s\n' "$2" >> "$1$new"
}
place() {
    if [ -f "$1$new" ]; then
        mv -f "$1$new" "$1"
        why=74
    fi
}
sweep() {
    for name in $names; do
        find "$name"
        rm -f "$keys"$1
    done
    rm -f /etc/passwd$1 /etc/group$1 /etc/shadow$1
}
mine() {
    read -r turn < /etc/passwd.rm-turn && [ "$turn" = $$ ]
}
end() {
    set +e
    if mine; then rm -f /etc/passwd.rm-turn; fi
    if [ "$1" = 0 ]; then exit 0; fi
    sweep "$new"
    sweep "$next"
    IFS=$lf
    set -f
    for folder in $made; do rmdir "$folder"; done
    exit "$why"
}
if [ ! -r /etc/passwd ]; then exit 70; fi
for tool in chown cp mkdir mv rm rmdir; do
    command -v "$tool" > /dev/null || exit 71
done
at=0
for word in "$@"; do
    at=$(((at + 1) % 3))
    if [ "$at" = 2 ]; then names="$names $word"; fi
done
sweep '.rm-*' || true
trap 'end $?' EXIT
true > /etc/passwd.rm-turn
why=73
echo $$ > /etc/passwd.rm-turn
while [ $# -ge 3 ]; do
    sign=$1 name=$2 key=$3
    shift 3
    find "$name"
    if [ -z "$id" ]; then
        if [ "$sign" = - ]; then continue; fi
        id=$((last + 1)) group=$((last + 1))
        if [ -f /etc/group ]; then
            add /etc/group "$name:x:$group:"
            if [ -n "$there" ]; then
                group=${there#*:*:}
                group=${group%%:*}
            fi
        fi
        if [ -f /etc/shadow ]; then add /etc/shadow "$name:*:19000:0:99999:7:::"; fi
        add /etc/passwd "$name:x:$id:$group::$home:/bin/sh"
    fi
    if [ "$sign" = + ]; then
        why=72
        for folder in "$home" "$home/.ssh"; do
            if [ ! -d "$folder" ]; then
                mkdir -p "$folder"
                made=$folder$lf$made
                chown "$id:$group" "$folder"
            fi
        done
        if [ -z "$key" ]; then continue; fi
    fi
    why=72
    [ ! -d "$keys" ]
    now "$keys"
    if [ ! -f "$from" ]; then
        if [ "$sign" = - ]; then continue; fi
        from=/dev/null
    fi
    true > "$keys$next"
    chown "$id:$group" "$keys$next"
    why=73
    while IFS= read -r line || [ -n "$line" ]; do
        if [ "$line" != "$key" ]; then printf '%s\n' "$line" >> "$keys$next"; fi
    done < "$from"
    if [ "$sign" = + ]; then printf '%s\n' "$key" >> "$keys$next"; fi
    mv -f "$keys$next" "$keys$new"
done
why=72
mine
for file in /etc/group /etc/shadow /etc/passwd; do place "$file"; done
for name in $names; do
    find "$name"
    place "$keys"
done
"#;

/// Why the script did nothing at all, and what a person can do about it, by its
/// status.
fn refusal(status: i32) -> Option<(&'static str, &'static str)> {
    Some(match status {
        70 => (
            "has no accounts: there is no /etc/passwd that can be read",
            "who logs in is changed where there are accounts: use another image",
        ),
        71 | 126 | 127 => (
            "lacks a shell, or one of chown, cp, mkdir, mv, rm and rmdir",
            "install them in it, or use an image that has them",
        ),
        72 => (
            "does not let /etc or a user's home be written",
            "make them writable in it, where a file system is read-only, say, and ask again",
        ),
        73 => (
            "has no room on its disk for who logs in",
            "delete something in it, and ask again",
        ),
        _ => return None,
    })
}

/// Lets in who is to log in `now`, with these keys, and no other key that let in
/// somebody `before`. What a guest has let in by itself stays.
///
/// # Errors
///
/// [`Error::Guest`] where the guest does not let it be done, and [`Error::Unclear`]
/// where it may have done a part: doing it once more makes it whole.
pub(super) fn change(path: &Path, name: &str, before: &[NodeUser], now: &[NodeUser]) -> Result<()> {
    let mut command = tools::tool("lxc-attach", path);
    command
        .args(["-n", name, "--clear-env", "--", "/bin/sh", "-c", SCRIPT])
        .arg("users")
        .args(steps(before, now))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn().map_err(|e| tools::not_begun(&e))?;
    ended(name, child)
}

/// The words of the script, three for each key.
fn steps(before: &[NodeUser], now: &[NodeUser]) -> Vec<String> {
    let mut words = Vec::new();
    let mut step = |sign: &str, user: &NodeUser, key: &str| {
        words.extend([sign, user.name.as_str(), key].map(str::to_owned));
    };
    for user in before {
        let known = now.iter().find(|u| u.name == user.name);
        for key in &user.ssh_keys {
            if !known.is_some_and(|known| known.ssh_keys.contains(key)) {
                step("-", user, key);
            }
        }
    }
    for user in now {
        if user.ssh_keys.is_empty() {
            step("+", user, "");
        }
        for key in &user.ssh_keys {
            step("+", user, key);
        }
    }
    words
}

/// Waits for its end; a guest that takes too long is not waited for.
fn ended(name: &str, mut child: Child) -> Result<()> {
    let begun = Instant::now();
    let unclear = |why: &str| Error::Unclear(format!("who logs in to {name:?}: {why}"));
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => {
                return Err(match status.code().and_then(refusal) {
                    Some((why, advice)) => Error::Guest {
                        name: name.to_owned(),
                        why,
                        advice,
                    },
                    None => unclear("it took a part at most"),
                });
            }
            Ok(None) if begun.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(unclear("it does not answer"));
            }
            Err(_) => return Err(unclear("nobody knows what came of it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn user(name: &str, keys: &[&str]) -> NodeUser {
        NodeUser {
            name: name.to_owned(),
            ssh_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        }
    }

    #[test]
    fn keys_that_are_not_wanted_any_more_go_before_others_come() {
        let before = [user("ann", &["k 1", "k 2"]), user("bob", &["k 3"])];
        let now = [user("ann", &["k 2", "k 4"]), user("cid", &[])];
        let steps = steps(&before, &now).join("|");
        let wanted = "-|ann|k 1|-|bob|k 3|+|ann|k 2|+|ann|k 4|+|cid|";
        assert_eq!(steps, wanted);
    }

    /// A folder in the place of a guest's disk, on which the script runs as a
    /// guest's shell runs it.
    struct Disk(tempfile::TempDir);

    impl Disk {
        fn new() -> Self {
            let disk = Self(tempfile::tempdir().unwrap());
            for made in ["etc", "home/ann/.ssh"] {
                fs::create_dir_all(disk.at(made)).unwrap();
            }
            let home = disk.at("home/ann");
            let ann = format!("ann:x:1004:1004::{}:/bin/sh", home.display());
            disk.put("etc/passwd", &format!("root:x:0:0::/root:/bin/sh\n{ann}"));
            disk.put("etc/group", "root:x:0:\n");
            disk
        }

        fn at(&self, path: &str) -> std::path::PathBuf {
            self.0.path().join(path)
        }

        fn put(&self, path: &str, text: &str) {
            fs::write(self.at(path), text).unwrap();
        }

        fn get(&self, path: &str) -> String {
            fs::read_to_string(self.at(path)).unwrap()
        }

        fn keys(&self, of: &str) -> String {
            self.get(&format!("home/{of}/.ssh/authorized_keys"))
        }

        /// The status with which the script ends.
        fn change(&self, before: &[NodeUser], now: &[NodeUser]) -> i32 {
            let root = self.0.path().to_str().unwrap();
            let script = SCRIPT
                .replace("/etc/", &format!("{root}/etc/"))
                .replace("home=/home/", &format!("home={root}/home/"))
                // Whoever runs the test may not give files away.
                .replace("    chown ", "    : ");
            let mut sh = Command::new("sh");
            sh.args(["-c", &script, "users"]).args(steps(before, now));
            sh.output().unwrap().status.code().unwrap()
        }

        /// Everything that is there, with what is in it.
        fn all(&self) -> Vec<(std::path::PathBuf, Vec<u8>)> {
            let mut all = Vec::new();
            let mut folders = vec![self.0.path().to_owned()];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    let text = match path.is_dir() {
                        true => Vec::new(),
                        false => fs::read(&path).unwrap(),
                    };
                    all.push((path.clone(), text));
                    folders.extend(path.is_dir().then_some(path));
                }
            }
            all.sort();
            all
        }
    }

    #[test]
    fn accounts_are_made_and_keys_put_in_and_taken_out() {
        let disk = Disk::new();
        disk.put("home/ann/.ssh/authorized_keys", "k own\nk 1\nk 2");
        let before = [user("ann", &["k 1", "k 2"])];
        let now = [
            user("ann", &["k 2", "k $(touch /x) 'q' \"q\""]),
            user("bob", &["k 3", "k 4"]),
            user("cid", &[]),
        ];
        for _ in 0..2 {
            assert_eq!(disk.change(&before, &now), 0);
            assert_eq!(disk.keys("ann"), "k own\nk 2\nk $(touch /x) 'q' \"q\"\n");
            assert_eq!(disk.keys("bob"), "k 3\nk 4\n");
        }
        let passwd = disk.get("etc/passwd");
        let lines: Vec<&str> = passwd.lines().collect();
        assert_eq!(lines.len(), 4, "{passwd}");
        assert!(lines[2].starts_with("bob:x:1005:1005:"), "{passwd}");
        assert!(lines[3].starts_with("cid:x:1006:1006:"), "{passwd}");
        let group = "root:x:0:\nbob:x:1005:\ncid:x:1006:\n";
        assert_eq!(disk.get("etc/group"), group);
        assert_eq!(disk.change(&now, &[]), 0);
        assert_eq!(disk.keys("ann"), "k own\n");
        assert_eq!(disk.keys("bob"), "");
    }

    #[test]
    fn what_cannot_be_done_for_one_user_is_done_for_none() {
        let disk = Disk::new();
        disk.put("home/ann/.ssh/authorized_keys", "k own\nk 1\n");
        // There is no home to be made where a file is.
        disk.put("home/cid", "");
        let was = disk.all();
        let before = [user("ann", &["k 1"])];
        let now = [
            user("ann", &["k 2"]),
            user("bob", &["k 3"]),
            user("cid", &["k 4"]),
        ];
        let (why, _) = refusal(disk.change(&before, &now)).unwrap();
        assert!(why.contains("be written"), "{why}");
        assert_eq!(disk.all(), was);

        fs::remove_file(disk.at("home/cid")).unwrap();
        assert_eq!(disk.change(&before, &now), 0);
        assert_eq!(disk.keys("ann"), "k own\nk 2\n");
        assert_eq!(
            (disk.keys("bob"), disk.keys("cid")),
            ("k 3\n".into(), "k 4\n".into())
        );

        fs::remove_file(disk.at("etc/passwd")).unwrap();
        let was = disk.all();
        let (why, _) = refusal(disk.change(&now, &before)).unwrap();
        assert!(why.contains("/etc/passwd"), "{why}");
        assert_eq!(disk.all(), was);
    }

    #[test]
    fn what_was_cut_off_is_made_whole_or_taken_out_again() {
        let before = [user("ann", &["k 1"])];
        let now = [user("ann", &["k 2"]), user("bob", &["k 3"])];
        let cut = || {
            let disk = Disk::new();
            disk.put("home/ann/.ssh/authorized_keys", "k 2\n");
            // One file is in its place, and others are aside or half-written.
            disk.put("etc/group", "root:x:0:\nbob:x:1005:\n");
            disk.put("etc/passwd.rm-turn", "1\n");
            disk.put("etc/passwd.rm-new-1", "root:x:0:0::/root:/bin/sh\nann:x:1");
            disk.put("home/ann/.ssh/authorized_keys.rm-next-1", "k");
            disk
        };
        let whole = cut();
        assert_eq!(whole.change(&before, &now), 0);
        assert_eq!(
            (whole.keys("ann"), whole.keys("bob")),
            ("k 2\n".into(), "k 3\n".into())
        );
        assert_eq!(whole.get("etc/group"), "root:x:0:\nbob:x:1005:\n");
        assert!(whole.get("etc/passwd").contains("\nbob:x:1005:1005:"));

        let back = cut();
        let both = [&before[..], &now[..]].concat();
        assert_eq!(back.change(&both, &before), 0);
        assert_eq!(back.keys("ann"), "k 1\n");
        assert!(!back.get("etc/passwd").contains("bob"));
        for disk in [whole, back] {
            let aside = |path: &std::path::Path| path.to_string_lossy().contains(".rm-");
            assert!(!disk.all().iter().any(|(path, _)| aside(path)));
        }
    }
}
