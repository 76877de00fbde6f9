use std::os::unix::fs::symlink;

use super::*;

struct Image {
    folder: tempfile::TempDir,
}

impl Image {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["lower/etc", "lower/home", "upper"] {
            fs::create_dir_all(folder.path().join(part)).unwrap();
        }
        let image = Self { folder };
        image.put(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nbob:x:1004:1004::/home/bob:/bin/sh",
        );
        image.put("etc/group", "root:x:0:\n");
        image
    }

    fn lower(&self) -> PathBuf {
        self.folder.path().join("lower")
    }

    fn upper(&self) -> PathBuf {
        self.folder.path().join("upper")
    }

    fn put(&self, path: &str, text: &str) {
        fs::write(self.lower().join(path), text).unwrap();
    }

    fn plant(&self, seed: &Seed) -> Result<Guest> {
        plant(&self.lower(), &self.upper(), "rm-1", seed)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.upper().join(path)).unwrap()
    }
}

fn seed(users: &[&str]) -> Seed {
    let user = |name: &&str| NodeUser {
        name: (*name).to_owned(),
        ssh_keys: vec!["ssh-ed25519 AAAA x".to_owned()],
    };
    Seed {
        hostname: "n1".to_owned(),
        users: users.iter().map(user).collect(),
        ..Seed::default()
    }
}

#[test]
fn users_get_accounts_of_their_own_and_the_images_own_are_kept() {
    let image = Image::new();
    image.plant(&seed(&["ann", "bob", "cid"])).unwrap();
    let passwd = image.read("etc/passwd");
    let lines: Vec<&str> = passwd.lines().collect();
    assert_eq!(lines.len(), 4, "{passwd}");
    assert_eq!(lines[2], "ann:x:1005:1005::/home/ann:/bin/sh");
    assert_eq!(lines[3], "cid:x:1006:1006::/home/cid:/bin/sh");
    for user in ["ann", "bob", "cid"] {
        let keys = format!("home/{user}/.ssh/authorized_keys");
        assert_eq!(image.read(&keys), "ssh-ed25519 AAAA x\n");
        let there = fs::metadata(image.upper().join(keys)).unwrap();
        assert_eq!(there.mode() & 0o777, 0o600);
        assert!(there.uid() >= 1004);
    }
    assert_eq!(image.read("etc/hostname"), "n1\n");
    assert!(
        fs::read_to_string(image.lower().join("etc/passwd"))
            .unwrap()
            .ends_with("/bin/sh")
    );
}

#[test]
fn commands_run_once_beside_the_images_own_init() {
    let image = Image::new();
    let commands = Seed {
        boot_commands: vec!["echo a".to_owned(), "echo b".to_owned()],
        user_data: "#cloud-config".to_owned(),
        ..seed(&[])
    };
    let guest = image.plant(&commands).unwrap();
    assert_eq!(guest.init, Some("/etc/resource-manager/init"));
    assert_eq!(image.read("etc/resource-manager/boot"), "echo a\necho b\n");
    assert_eq!(
        image.read("var/lib/cloud/seed/nocloud/user-data"),
        "#cloud-config"
    );
    assert_eq!(Image::new().plant(&seed(&[])).unwrap().init, None);
}

#[test]
fn how_the_guest_is_asked_to_stop_follows_from_its_init() {
    let image = Image::new();
    fs::create_dir(image.lower().join("sbin")).unwrap();
    let mut asked = Vec::new();
    for init in ["/lib/systemd/systemd", "../bin/busybox", "other"] {
        let link = image.lower().join("sbin/init");
        let _ = fs::remove_file(&link);
        symlink(init, link).unwrap();
        asked.push(halt(&image.lower()));
    }
    assert_eq!(asked, ["SIGRTMIN+3", "SIGUSR2", "SIGPWR"]);
}

/// Whatever the image makes of the places that are written to, nothing outside
/// is read or written.
#[test]
fn no_link_of_the_image_is_followed() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "as it was").unwrap();
    for place in [
        "etc",
        "etc/passwd",
        "etc/hosts",
        "etc/hostname",
        "home",
        "home/ann",
        "home/ann/.ssh",
    ] {
        let image = Image::new();
        let at = image.lower().join(place);
        if at.is_dir() {
            fs::remove_dir_all(&at).unwrap();
        } else {
            let _ = fs::remove_file(&at);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
        }
        let leads = if place.contains("passwd") || place.contains("host") {
            victim.as_path()
        } else {
            outside.path()
        };
        symlink(leads, &at).unwrap();
        let e = image.plant(&seed(&["ann"])).unwrap_err();
        assert!(matches!(e, Error::Invalid(_)), "{place}: {e}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was", "{place}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "{place}");
    }
    let image = Image::new();
    image.put(
        "etc/passwd",
        "ann:x:1000:1000::/home/../../../tmp:/bin/sh\n",
    );
    assert!(image.plant(&seed(&["ann"])).is_err());
}
