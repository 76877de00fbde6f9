//! Machines of QEMU, emulated, through the whole house: asked for, logged into,
//! given up.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rm_core::life::State;
use rm_core::model::{Action, Interface, NodeSpec, NodeUser, Power};
use rm_libvirt::ConsoleFlags;
use rm_vm::driver::{Driver as _, Image};
use tempfile::TempDir;

use crate::house::{Place, Program};
use crate::lab::{Lab, pool};
use crate::machines::archive;

/// A machine that boots under emulation, beside much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A key, and what lets it in.
pub(crate) struct Key {
    dir: TempDir,
    public: String,
}

impl Key {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("key");
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"]);
        assert!(make.arg(&file).status().unwrap().success());
        let public = std::fs::read_to_string(dir.path().join("key.pub")).unwrap();
        Self {
            dir,
            public: public.trim().to_owned(),
        }
    }

    pub(crate) fn root(&self) -> Vec<NodeUser> {
        vec![NodeUser {
            name: "root".to_owned(),
            ssh_keys: vec![self.public.clone()],
        }]
    }

    fn ssh(&self, host: &str, port: u64, command: &str) -> Output {
        let mut ssh = Command::new("ssh");
        ssh.args(["-q", "-i"]).arg(self.dir.path().join("key"));
        ssh.args(["-p", &port.to_string()]);
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "BatchMode=yes",
            "ConnectTimeout=20",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg(format!("root@{host}"))
            .arg(command)
            .output()
            .unwrap()
    }

    /// What a command says in the guest, once it lets in.
    pub(crate) async fn inside(&self, host: &str, port: u64, command: &str) -> String {
        let asked = async {
            loop {
                let said = self.ssh(host, port, command);
                if said.status.success() {
                    return String::from_utf8(said.stdout).unwrap().trim().to_owned();
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap()
    }
}

/// Waits until it is ready, as long as emulation takes.
pub(crate) async fn ready(p: &Program, id: rm_core::ResourceId) -> String {
    let look = async {
        loop {
            let node = p.get(id).await;
            let r = node.record();
            assert_ne!(r.seen, State::Failed, "{r:#?}");
            if node.is_ready() && r.seen_generation == r.generation {
                return node.view().unwrap().name;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap()
}

pub(crate) fn kernel(lab: &Lab, cmdline: &str) -> (TempDir, Image) {
    let files = [
        ("kernel", Path::new(lab.text("/machine/kernel"))),
        ("initrd", Path::new(lab.text("/machine/initrd"))),
    ];
    archive(&files, cmdline)
}

pub(crate) fn with_memory(mut place: Place, memory_mib: u64) -> Place {
    place.memory_mib = memory_mib;
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emulated_machine_is_born_with_a_key_an_address_and_commands() {
    let Some(lab) = Lab::of_this_run("an_emulated_machine_is_born_with_a_key") else {
        return;
    };
    pool(&lab).await;
    // Everything is told by its disc.
    let (_dir, image) = kernel(&lab, "console=ttyS0 quiet panic=-1");
    let place = lab.place_of("qemu", Path::new("rm-test"), &image, [60, 64]);
    let p = Program::on(with_memory(lab.with_vlan(place), 256)).await;
    let key = Key::new();
    let spec = NodeSpec {
        users: key.root(),
        hostname: Some("emulated".to_owned()),
        boot_commands: vec!["echo first > /told".to_owned()],
        user_data: "#!/bin/sh\necho its own > /own\n".to_owned(),
        interfaces: vec![
            Interface::default(),
            Interface {
                vlan: Some(10),
                ..Interface::default()
            },
        ],
        ready_port: Some(22),
        ..p.place.spec()
    };
    let id = p.ask(spec, false).await.unwrap();
    let name = ready(&p, id).await;
    let view = p.get(id).await.view().unwrap();
    let address = view.interfaces[0].addresses[0].ip.to_string();
    let said = key.inside(&address, 22, "hostname; cat /told /own").await;
    assert_eq!(said, "emulated\nfirst\nits own");
    let second = view.interfaces[1].addresses[0].to_string();
    let said = key.inside(&address, 22, "ip address show dev eth1").await;
    assert!(said.contains(&second), "{said}");
    // One more processor, and a quarter less of memory, while it runs.
    let all = memory_kib(&key, &address, 22).await;
    let size = |vcpus: u32, memory_mib: u64| {
        move |spec: &mut NodeSpec| {
            (spec.vcpus, spec.memory_mib) = (vcpus, memory_mib);
            Ok(())
        }
    };
    p.get(id).await.change(&p.user, size(2, 192)).await.unwrap();
    ready(&p, id).await;
    let two = p.get(id).await.view().unwrap();
    assert_eq!((two.vcpus, two.power), (2, Power::Running));
    assert_eq!(two.memory_mib, 192);
    let seen = "ls -d /sys/devices/system/cpu/cpu1 && cat /told";
    let said = key.inside(&address, 22, seen).await;
    assert!(said.ends_with("cpu1\nfirst"), "{said}");
    let quarter = 60 << 10;
    until("it has given some back", async || {
        memory_kib(&key, &address, 22).await + quarter < all
    })
    .await;
    p.get(id).await.change(&p.user, size(2, 256)).await.unwrap();
    ready(&p, id).await;
    until("it has all again", async || {
        memory_kib(&key, &address, 22).await + quarter > all
    })
    .await;
    // More than it started with it can have when it starts again.
    p.get(id).await.change(&p.user, size(2, 300)).await.unwrap();
    let node = p.settled(id).await;
    let reason = &node.record().reason;
    assert!(reason.contains("at most 256 MiB"), "{reason}");
    assert!(node.is_ready(), "it goes on");

    p.end(id).await;
    let somebody = lab.somebody("qemu");
    let pool = somebody.pool_by_name("rm-test").await.unwrap();
    let disc = format!("{name}-seed");
    let left = somebody.volume_by_name(&pool, &disc);
    assert!(left.await.is_err(), "its disc is left");
}

/// Through the TLS of its host, which asks for our certificate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_behind_tls_is_read_and_asked_to_stop_before_it_is_stopped_hard() {
    let Some(lab) = Lab::of_this_run("a_machine_behind_tls_is_read_and_asked_to_stop") else {
        return;
    };
    pool(&lab).await;
    let (_dir, image) = kernel(&lab, "console=ttyS0 quiet panic=-1");
    let place = lab.place_of("qemu", Path::new("rm-test"), &image, [46, 50]);
    let mut place = with_memory(place, 256);
    let tls = lab.text("/uris/test_tls").replacen("test+", "qemu+", 1);
    place.url = tls.replacen("/default", "/system", 1);
    assert!(place.url.starts_with("qemu+tls://"), "{}", place.url);
    place.section["stop_grace_seconds"] = serde_json::json!(60);
    let p = Program::on(place).await;
    let id = p.ask(p.place.spec(), false).await.unwrap();
    let name = ready(&p, id).await;
    until("its console says that it is ready", async || {
        let said = p.get(id).await.console(&p.user, 1 << 16).await.unwrap();
        String::from_utf8_lossy(&said).contains("is ready")
    })
    .await;
    let somebody = lab.somebody("qemu");
    let domain = somebody.domain_by_name(&name).await.unwrap();
    p.get(id).await.stop(&p.user).await.unwrap();
    until("it is stopped", async || {
        let node = p.get(id).await;
        let r = node.record();
        assert_ne!(r.seen, State::Failed, "{r:#?}");
        r.seen == State::Ready && r.seen_generation == r.generation
    })
    .await;
    let why = somebody.state(&domain).await.unwrap();
    // libvirt's number for: it shut down by itself.
    assert_eq!(why, (rm_libvirt::State::Shutoff, 1));
    p.end(id).await;
}

/// What a guest says that it has in all.
pub(crate) async fn memory_kib(key: &Key, host: &str, port: u64) -> u64 {
    let total = "sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo";
    key.inside(host, port, total).await.parse().unwrap()
}

pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let done = tokio::time::timeout(PATIENCE, wait).await;
    assert!(done.is_ok(), "not within {PATIENCE:?}: {what}");
}

/// What a BIOS boots: reads the first byte of the second sector, writes `2` in
/// its place, and then says again and again what it had read.
pub(crate) fn boot_sector() -> Vec<u8> {
    let first = [
        0x31, 0xc0, // xor ax, ax
        0x8e, 0xd8, // mov ds, ax
        0x8e, 0xc0, // mov es, ax
        0x88, 0x16, 0x00, 0x05, // mov [0x500], dl: the disk
        0xb8, 0x01, 0x02, // mov ax, 0x0201: read one sector
        0xbb, 0x00, 0x80, // mov bx, 0x8000
        0xb9, 0x02, 0x00, // mov cx, 2
        0xb6, 0x00, // mov dh, 0
        0xcd, 0x13, // int 0x13
        0xa0, 0x00, 0x80, // mov al, [0x8000]
        0xa2, 0x01, 0x05, // mov [0x501], al
        0xc6, 0x06, 0x00, 0x80, b'2', // mov byte [0x8000], '2'
        0x8a, 0x16, 0x00, 0x05, // mov dl, [0x500]
        0xb8, 0x01, 0x03, // mov ax, 0x0301: write one sector
        0xbb, 0x00, 0x80, // mov bx, 0x8000
        0xb9, 0x02, 0x00, // mov cx, 2
        0xb6, 0x00, // mov dh, 0
        0xcd, 0x13, // int 0x13
        0xba, 0xf8, 0x03, // mov dx, 0x3f8: the serial port
    ];
    let again = [
        0xb0, b'<', 0xee, // mov al, '<'; out dx, al
        0xa0, 0x01, 0x05, 0xee, // mov al, [0x501]; out dx, al
        0xb0, b'>', 0xee, // mov al, '>'; out dx, al
        0xfb, 0xf4, // sti; hlt: until the clock ticks
        0xeb, 0xf2, // jmp 14 bytes back
    ];
    let mut disk = [&first[..], &again].concat();
    disk.resize(510, 0);
    disk.extend([0x55, 0xaa, b'1']);
    disk.resize(1 << 20, 0);
    disk
}

/// What the machine has read.
async fn says(lab: &Lab, name: &str) -> String {
    let somebody = lab.somebody("qemu");
    let domain = somebody.domain_by_name(name).await.unwrap();
    let listen = async {
        let console = somebody.open_console(&domain, None, ConsoleFlags::FORCE);
        let mut console = console.await.unwrap();
        let mut said = String::new();
        loop {
            if let Some((_, after)) = said.split_once('<')
                && let Some((read, _)) = after.split_once('>')
            {
                return read.to_owned();
            }
            let piece = console.read().await.unwrap().unwrap();
            said.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    tokio::time::timeout(PATIENCE, listen).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_of_one_disk_image_have_disks_of_their_own() {
    let Some(lab) = Lab::of_this_run("machines_of_one_disk_image_have_disks_of_their_own") else {
        return;
    };
    pool(&lab).await;
    let dir = TempDir::new().unwrap();
    let raw = dir.path().join("disk.raw");
    std::fs::write(&raw, boot_sector()).unwrap();
    let qcow2 = dir.path().join("disk.qcow2");
    let mut convert = Command::new("qemu-img");
    convert
        .args(["convert", "-O", "qcow2"])
        .args([&raw, &qcow2]);
    assert!(convert.status().unwrap().success());
    for (format, file) in [("raw", raw), ("qcow2", qcow2)] {
        let image = image(format, &file);
        let place = lab.place_of("qemu", Path::new("rm-test"), &image, [65, 69]);
        let p = Program::on(with_memory(place, 64)).await;
        let id = p.ask(p.place.spec(), false).await.unwrap();
        let name = ready(&p, id).await;
        assert_eq!(says(&lab, &name).await, "1", "{format}");
        let again = |spec: &mut NodeSpec| spec.ask(Action::Reboot, 0).map(|_| ());
        p.get(id).await.change(&p.user, again).await.unwrap();
        ready(&p, id).await;
        assert_eq!(says(&lab, &name).await, "2", "it has written");
        // The image is as it was: for another machine, and for this one anew.
        let beside = p.ask(p.place.spec(), false).await.unwrap();
        let other = ready(&p, beside).await;
        assert_eq!(says(&lab, &other).await, "1", "{format}");
        p.end(beside).await;
        let anew = |spec: &mut NodeSpec| spec.ask(Action::Reimage, 1).map(|_| ());
        p.get(id).await.change(&p.user, anew).await.unwrap();
        ready(&p, id).await;
        assert_eq!(says(&lab, &name).await, "1", "{format}");
        p.end(id).await;
        let somebody = lab.somebody("qemu");
        let pool = somebody.pool_by_name("rm-test").await.unwrap();
        let disk = format!("{name}-disk");
        let left = somebody.volume_by_name(&pool, &disk);
        assert!(left.await.is_err(), "its disk is left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_goes_back_to_what_its_disk_was() {
    let Some(lab) = Lab::of_this_run("a_machine_goes_back_to_what_its_disk_was") else {
        return;
    };
    pool(&lab).await;
    let dir = TempDir::new().unwrap();
    let raw = dir.path().join("disk.raw");
    std::fs::write(&raw, boot_sector()).unwrap();
    let image = image("raw", &raw);
    let place = lab.place_of("qemu", Path::new("rm-test"), &image, [55, 59]);
    let p = Program::on(with_memory(place, 64)).await;
    let mut spec = p.place.spec();
    spec.power = Power::Stopped;
    let id = p.ask(spec, false).await.unwrap();
    let name = p.ready(id).await.view().unwrap().name;
    let ask = async |action: Action| {
        let node = p.get(id).await;
        let done = node.view().unwrap().done;
        let ask = |spec: &mut NodeSpec| spec.ask(action.clone(), done).map(|_| ());
        node.change(&p.user, ask).await.unwrap();
        let view = p.ready(id).await.view().unwrap();
        assert_eq!(view.done, done + 1, "{action:?}");
        view
    };
    let named = |name: &str| name.to_owned();
    // Before it has run, and while it does.
    let view = ask(Action::Snapshot(named("clean"))).await;
    assert_eq!(
        (view.snapshots, view.power),
        (vec![named("clean")], Power::Stopped)
    );
    p.get(id).await.start(&p.user).await.unwrap();
    p.ready(id).await;
    assert_eq!(says(&lab, &name).await, "1");
    let view = ask(Action::Snapshot(named("used"))).await;
    let both = vec![named("clean"), named("used")];
    assert_eq!((&view.snapshots, view.power), (&both, Power::Running));
    let still = |spec: &mut NodeSpec| {
        spec.power = Power::Suspended;
        Ok(())
    };
    p.get(id).await.change(&p.user, still).await.unwrap();
    let view = p.ready(id).await.view().unwrap();
    assert_eq!(view.power, Power::Suspended);
    p.get(id).await.start(&p.user).await.unwrap();
    p.ready(id).await;
    assert_eq!(says(&lab, &name).await, "1", "it goes on where it stood");
    for (back, read) in [("clean", "1"), ("used", "2"), ("clean", "1")] {
        let view = ask(Action::Restore(named(back))).await;
        assert_eq!((&view.snapshots, view.power), (&both, Power::Running));
        assert_eq!(says(&lab, &name).await, read, "{back}");
    }
    // Nobody in it knows how to give memory back.
    let less = |spec: &mut NodeSpec| {
        spec.memory_mib = 48;
        Ok(())
    };
    p.get(id).await.change(&p.user, less).await.unwrap();
    let node = p.settled(id).await;
    let reason = &node.record().reason;
    assert!(reason.contains("gives no memory back"), "{reason}");
    assert_eq!(node.view().unwrap().memory_mib, 64);
    // They are in the disk, and go with it.
    let view = ask(Action::Reimage).await;
    assert_eq!(view.snapshots, [""; 0]);
    assert_eq!(says(&lab, &name).await, "1");
    let view = ask(Action::Snapshot(named("clean"))).await;
    assert_eq!(view.snapshots, ["clean"]);
    p.end(id).await;
    let somebody = lab.somebody("qemu");
    let pool = somebody.pool_by_name("rm-test").await.unwrap();
    let disk = format!("{name}-disk");
    let left = somebody.volume_by_name(&pool, &disk);
    assert!(left.await.is_err(), "its disk is left");
}

pub(crate) fn image(format: &str, file: &Path) -> Image {
    let bytes = std::fs::read(file).unwrap();
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    Image {
        name: format.to_owned(),
        source: format!("file:{}", file.display()),
        sha256: sum.as_ref().iter().map(|b| format!("{b:02x}")).collect(),
        format: format.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_names_a_file_of_the_host_never_reaches_it() {
    let Some(lab) = Lab::of_this_run("a_disk_that_names_a_file_of_the_host_never_reaches_it")
    else {
        return;
    };
    pool(&lab).await;
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("disk.qcow2");
    let mut make = Command::new("qemu-img");
    make.args(["create", "-q", "-f", "qcow2", "-u", "-F", "raw"]);
    make.args(["-b", "/etc/shadow"]).arg(&file).arg("1M");
    assert!(make.status().unwrap().success());
    let driver = lab.open("qemu", Some(Path::new("rm-test")));
    let names_another = image("qcow2", &file);
    let refused = driver.bring(&names_another).await.unwrap_err();
    assert!(
        refused.to_string().contains("names another file"),
        "{refused}"
    );
    let as_raw = driver.bring(&image("raw", &file)).await.unwrap_err();
    assert!(as_raw.to_string().contains("not raw"), "{as_raw}");
    let somebody = lab.somebody("qemu");
    let pool = somebody.pool_by_name("rm-test").await.unwrap();
    for last in ["1", "which"] {
        let name = format!("rm-{}-image-{last}", names_another.sha256);
        assert!(somebody.volume_by_name(&pool, &name).await.is_err());
    }
}
