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
const SCRIPT: &str = r#"
set -eu
umask 077
PATH=/usr/sbin:/usr/bin:/sbin:/bin
add() {
    last=
    if [ -f "$1" ]; then while IFS= read -r last; do :; done < "$1"; fi
    if [ -n "$last" ]; then echo >> "$1"; fi
    printf '%s\n' "$2" >> "$1"
}
find() {
    id= group= home= next=1000
    while IFS=: read -r its _ its_id its_group _ its_home _ || [ -n "$its" ]; do
        if [ "$its" = "$1" ]; then id=$its_id group=$its_group home=$its_home; fi
        case $its_id in '' | *[!0-9]*) continue ;; esac
        if [ "$its_id" -ge "$next" ] && [ "$its_id" -lt 60000 ]; then next=$((its_id + 1)); fi
    done < /etc/passwd
}
while [ $# -ge 3 ]; do
    sign=$1 name=$2 key=$3
    shift 3
    find "$name"
    if [ -z "$id" ]; then
        if [ "$sign" = - ]; then continue; fi
        id=$next group=$next home=/home/$name
        add /etc/group "$name:x:$group:"
        add /etc/passwd "$name:x:$id:$group::$home:/bin/sh"
        if [ -f /etc/shadow ]; then add /etc/shadow "$name:*:19000:0:99999:7:::"; fi
    fi
    keys=$home/.ssh/authorized_keys
    if [ "$sign" = - ]; then
        if [ ! -f "$keys" ]; then continue; fi
        while IFS= read -r line || [ -n "$line" ]; do
            if [ "$line" != "$key" ]; then printf '%s\n' "$line"; fi
        done < "$keys" > "$keys.new"
    else
        for folder in "$home" "$home/.ssh"; do
            if [ ! -d "$folder" ]; then
                mkdir -p "$folder"
                chown "$id:$group" "$folder"
            fi
        done
        if [ -z "$key" ]; then continue; fi
        : > "$keys.new"
        if [ -f "$keys" ]; then
            while IFS= read -r line || [ -n "$line" ]; do
                if [ "$line" != "$key" ]; then printf '%s\n' "$line"; fi
            done < "$keys" > "$keys.new"
        fi
        printf '%s\n' "$key" >> "$keys.new"
    fi
    chown "$id:$group" "$keys.new"
    mv -f "$keys.new" "$keys"
done
"#;

/// Lets in who is to log in `now`, with these keys, and no other key that let in
/// somebody `before`. What a guest has let in by itself stays.
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
            Ok(Some(_)) => {
                return Err(Error::Failed(format!(
                    "{name:?} does not take who logs in: it needs a shell, mkdir, chown and mv"
                )));
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

    /// The script as a guest's shell runs it, over a folder in the place of its
    /// disk.
    #[test]
    fn accounts_are_made_and_keys_put_in_and_taken_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        for made in ["etc", "home/ann/.ssh"] {
            fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        let put = |path: &str, text: &str| fs::write(folder.path().join(path), text).unwrap();
        let get = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
        put(
            "etc/passwd",
            &format!("root:x:0:0::/root:/bin/sh\nann:x:1004:1004::{root}/home/ann:/bin/sh"),
        );
        put("etc/group", "root:x:0:\n");
        put("home/ann/.ssh/authorized_keys", "k own\nk 1\nk 2");
        let script = SCRIPT
            .replace("/etc/", &format!("{root}/etc/"))
            .replace("home=/home/", &format!("home={root}/home/"))
            // Whoever runs the test may not give files away.
            .replace("chown ", ": ");
        let run = |before: &[NodeUser], now: &[NodeUser]| {
            let mut sh = Command::new("sh");
            sh.args(["-c", &script, "users"]).args(steps(before, now));
            let done = sh.output().unwrap();
            assert!(done.status.success(), "{done:?}");
        };
        let before = [user("ann", &["k 1", "k 2"])];
        let now = [
            user("ann", &["k 2", "k $(touch /x) 'q' \"q\""]),
            user("bob", &["k 3"]),
            user("cid", &[]),
        ];
        for _ in 0..2 {
            run(&before, &now);
            let keys = get("home/ann/.ssh/authorized_keys");
            assert_eq!(keys, "k own\nk 2\nk $(touch /x) 'q' \"q\"\n");
            assert_eq!(get("home/bob/.ssh/authorized_keys"), "k 3\n");
        }
        let passwd = get("etc/passwd");
        let lines: Vec<&str> = passwd.lines().collect();
        assert_eq!(lines.len(), 4, "{passwd}");
        assert!(lines[2].starts_with("bob:x:1005:1005:"), "{passwd}");
        assert!(lines[3].starts_with("cid:x:1006:1006:"), "{passwd}");
        assert_eq!(get("etc/group"), "root:x:0:\nbob:x:1005:\ncid:x:1006:\n");
        run(&now, &[]);
        assert_eq!(get("home/ann/.ssh/authorized_keys"), "k own\n");
        assert_eq!(get("home/bob/.ssh/authorized_keys"), "");
    }
}
