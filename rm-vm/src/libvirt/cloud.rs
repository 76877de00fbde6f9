//! What a machine is born with, as cloud-init's NoCloud source reads it: on a
//! disc of its own, or on the kernel's command line.

use std::fmt::Write as _;

use super::disc::disc;
use crate::driver::{Definition, Nic, Result, Seed};

/// By which cloud-init knows the disc.
const LABEL: &str = "cidata";

/// Whether there is more to tell than a kernel's command line has places for.
pub(super) fn is_born_with(seed: &Seed) -> bool {
    !seed.users.is_empty() || !seed.user_data.is_empty() || !seed.boot_commands.is_empty()
}

/// The disc. What is asked for beside somebody's own user data goes into the
/// vendor data, which cloud-init merges.
pub(super) fn seed(new: &Definition) -> Result<Vec<u8>> {
    let ours = config(&new.seed);
    let meta = format!(
        "instance-id: {}\nlocal-hostname: {}\n",
        new.name, new.seed.hostname
    );
    let network = network(&new.nics);
    let own = &new.seed.user_data;
    let mut files: Vec<(&str, &[u8])> = vec![
        ("meta-data", meta.as_bytes()),
        ("network-config", network.as_bytes()),
    ];
    match own.is_empty() {
        true => files.push(("user-data", ours.as_bytes())),
        false => {
            files.push(("user-data", own.as_bytes()));
            files.push(("vendor-data", ours.as_bytes()));
        }
    }
    disc(LABEL, &files)
}

/// Users, keys and commands as a `#cloud-config`.
fn config(seed: &Seed) -> String {
    let mut text = format!("#cloud-config\n{}", body(seed));
    if seed.users.is_empty() && seed.boot_commands.is_empty() {
        text.push_str("{}\n");
    }
    text
}

fn body(seed: &Seed) -> String {
    let mut text = String::new();
    if !seed.users.is_empty() {
        text.push_str("users:\n");
    }
    for user in &seed.users {
        let _ = writeln!(text, " - name: {}", user.name);
        if !user.ssh_keys.is_empty() {
            text.push_str("   ssh_authorized_keys:\n");
        }
        for key in &user.ssh_keys {
            let _ = writeln!(text, "    - {}", quoted(key));
        }
    }
    if !seed.boot_commands.is_empty() {
        text.push_str("runcmd:\n");
    }
    for command in &seed.boot_commands {
        let _ = writeln!(text, " - {}", quoted(command));
    }
    text
}

/// For the command line of a kernel, where there is no disc: `cc:` and
/// `end_cc`, and between them what cannot end it.
pub(super) fn on_command_line(seed: &Seed) -> String {
    if !is_born_with(seed) {
        return String::new();
    }
    let mut text = "cc:".to_owned();
    for byte in body(seed).bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'/'
            | b'@'
            | b'+'
            | b'='
            | b',' => text.push(byte.into()),
            byte => {
                let _ = write!(text, "%{byte:02x}");
            }
        }
    }
    text.push_str(" end_cc");
    text
}

/// Addresses and gateways, by hardware address.
fn network(nics: &[Nic]) -> String {
    let mut text = "version: 2\nethernets:\n".to_owned();
    for (at, nic) in nics.iter().enumerate() {
        let _ = writeln!(
            text,
            " eth{at}:\n  match:\n   macaddress: {}\n  set-name: eth{at}",
            quoted(&nic.mac)
        );
        if !nic.addresses.is_empty() {
            text.push_str("  addresses:\n");
        }
        for address in &nic.addresses {
            let _ = writeln!(text, "   - {address}");
        }
        if !nic.gateways.is_empty() {
            text.push_str("  routes:\n");
        }
        for gateway in &nic.gateways {
            let to = if gateway.is_ipv4() {
                "0.0.0.0/0"
            } else {
                "::/0"
            };
            let _ = writeln!(text, "   - to: {}\n     via: {gateway}", quoted(to));
        }
    }
    if nics.is_empty() {
        text = "version: 2\nethernets: {}\n".to_owned();
    }
    text
}

/// A text as YAML takes it whatever is in it: JSON is YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use rm_core::model::NodeUser;

    use super::*;

    fn seed_of(commands: &[&str]) -> Seed {
        Seed {
            hostname: "n".to_owned(),
            users: vec![NodeUser {
                name: "ann".to_owned(),
                ssh_keys: vec!["ssh-ed25519 AAAA ann@x".to_owned()],
            }],
            user_data: String::new(),
            boot_commands: commands.iter().map(|c| (*c).to_owned()).collect(),
        }
    }

    #[test]
    fn what_is_asked_for_cannot_become_another_key() {
        let text = config(&seed_of(&["echo \"a: b\"\nruncmd: # x"]));
        let lines: Vec<&str> = text.lines().collect();
        let want = [
            "#cloud-config",
            "users:",
            " - name: ann",
            "   ssh_authorized_keys:",
            "    - \"ssh-ed25519 AAAA ann@x\"",
            "runcmd:",
            " - \"echo \\\"a: b\\\"\\nruncmd: # x\"",
        ];
        assert_eq!(lines, want);
    }

    #[test]
    fn a_command_line_has_it_as_words_that_end_where_they_should() {
        let line = on_command_line(&seed_of(&["end_cc init=/x \"'"]));
        assert!(
            line.starts_with("cc:users%3a%0a%20-%20name%3a%20ann%0a"),
            "{line}"
        );
        assert_eq!(line.split(' ').count(), 2, "{line}");
        assert_eq!(on_command_line(&Seed::default()), "");
    }

    #[test]
    fn a_network_is_told_by_hardware_address() {
        let nic = Nic {
            bridge: "br0".to_owned(),
            mac: "02:00:00:00:00:01".to_owned(),
            addresses: vec!["10.0.0.2/24".parse().unwrap()],
            gateways: vec!["10.0.0.1".parse().unwrap()],
            shaping: None,
        };
        let text = network(&[nic]);
        for line in [
            "macaddress: \"02:00:00:00:00:01\"",
            "- 10.0.0.2/24",
            "via: 10.0.0.1",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
