//! Storage with no room left: a pool of machines, and where the roots of containers
//! are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rm_core::ErrorKind;
use rm_core::model::{Action, NodeSpec, NodeUser, Power};
use rm_libvirt::{Client, Code, ListFlags};
use rm_vm::driver::{Definition, Driver, Error};
use tempfile::TempDir;

use crate::booted::image;
use crate::house::Program;
use crate::lab::{Lab, OwnLab, clear};

/// A pool on a file system of its own, which goes with this. The lab's libvirtd
/// sees other mounts than we do.
struct Small {
    lab: String,
    at: PathBuf,
    name: String,
}

impl Small {
    async fn make(lab: &Lab, test: &str, mib: u32) -> Self {
        let name = format!("rm-full-{test}-{}", std::process::id());
        let small = Self {
            lab: std::fs::read_to_string(lab.dir.join("pid")).unwrap(),
            at: Path::new(lab.text("/rootfs")).join(&name),
            name,
        };
        std::fs::create_dir(&small.at).unwrap();
        let size = format!("size={mib}m");
        let at = small.at.display().to_string();
        let mounted = small.inside(&["mount", "-t", "tmpfs", "-o", &size, "tmpfs", &at]);
        assert!(mounted, "the lab takes no mount");
        let xml = format!(
            "<pool type='dir'><name>{}</name><target><path>{}</path></target></pool>",
            small.name,
            small.at.display()
        );
        let pool = lab.somebody("qemu").create_pool_xml(&xml).await;
        pool.unwrap();
        small
    }

    /// Runs something where the lab is.
    fn inside(&self, words: &[&str]) -> bool {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", self.lab.trim(), "--"]);
        let done = command.args(words).stderr(Stdio::null()).status();
        done.unwrap().success()
    }

    fn filler(&self) -> String {
        self.at.join("filler").display().to_string()
    }

    /// Takes all room but so many KiB, until it is given back.
    fn fill(&self, but_kib: u32) {
        let to = format!("of={}", self.filler());
        let ended = self.inside(&["dd", "if=/dev/zero", &to, "bs=64k"]);
        assert!(!ended, "it is full now");
        let but = format!("--size=-{but_kib}K");
        assert!(but_kib == 0 || self.inside(&["truncate", &but, &self.filler()]));
    }

    fn give_back(&self) {
        assert!(self.inside(&["rm", &self.filler()]));
    }

    /// Whether there is a volume of this name.
    async fn has(&self, somebody: &Client, name: &str) -> bool {
        let pool = somebody.pool_by_name(&self.name).await.unwrap();
        match somebody.volume_by_name(&pool, name).await {
            Ok(_) => true,
            Err(e) => {
                assert_eq!(e.code(), Some(Code::NO_STORAGE_VOL), "{e}");
                false
            }
        }
    }

    /// What a machine of this name has in the pool.
    async fn of(&self, somebody: &Client, name: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        for what in ["disk", "seed"] {
            if self.has(somebody, &format!("{name}-{what}")).await {
                found.push(what);
            }
        }
        found
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        self.inside(&["umount", "-l", &self.at.display().to_string()]);
        let _ = std::fs::remove_dir(&self.at);
    }
}

/// An image of a disk of so many MiB that no other test has.
fn disk(says: &str, mib: usize) -> (TempDir, rm_vm::driver::Image) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("disk.raw");
    let mut bytes = vec![0; mib << 20];
    bytes[..says.len()].copy_from_slice(says.as_bytes());
    std::fs::write(&file, bytes).unwrap();
    let image = image("raw", &file);
    (dir, image)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_pool_is_full_nothing_half_made_stays_and_it_goes_on_with_room() {
    let Some(lab) = Lab::of_this_run("where_a_pool_is_full_nothing_half_made_stays") else {
        return;
    };
    let small = Small::make(&lab, "driver", 24).await;
    let somebody = lab.somebody("qemu");
    let driver = lab.open("qemu", Some(Path::new(&small.name)));
    let (_dir, image) = disk("in a full pool", 4);
    // The image itself does not fit.
    small.fill(0);
    let full = driver.bring(&image).await.unwrap_err();
    assert!(matches!(full, Error::NoRoom(_)), "{full:?}");
    assert!(full.to_string().contains(&small.name), "{full}");
    for last in ["1", "which"] {
        let name = format!("rm-{}-image-{last}", image.sha256);
        assert!(!small.has(&somebody, &name).await, "{name}");
    }
    small.give_back();
    driver.bring(&image).await.unwrap();

    // What a machine writes to does not, or does and what it is born with does
    // not.
    let mut new = Definition {
        image: image.clone(),
        ..lab.definition("rm-full")
    };
    new.seed.users.push(NodeUser {
        name: "ann".to_owned(),
        ssh_keys: Vec::new(),
    });
    clear(&driver, &new.name).await;
    for (left_kib, which) in [(0, "-disk"), (300, "-seed")] {
        small.fill(left_kib);
        let full = driver.define(&new).await.unwrap_err();
        assert!(matches!(full, Error::NoRoom(_)), "{left_kib}: {full:?}");
        assert!(full.to_string().contains(which), "{left_kib}: {full}");
        assert_eq!(small.of(&somebody, &new.name).await, [""; 0]);
        let there = driver.these(std::slice::from_ref(&new.name)).await;
        assert_eq!(there.unwrap(), []);
        small.give_back();
    }
    driver.define(&new).await.unwrap();
    assert_eq!(small.of(&somebody, &new.name).await, ["disk", "seed"]);
    clear(&driver, &new.name).await;
    assert_eq!(small.of(&somebody, &new.name).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_pool_is_told_to_who_asked_and_the_node_is_made_when_there_is_room() {
    let Some(lab) = Lab::of_this_run("a_full_pool_is_told_to_who_asked") else {
        return;
    };
    let small = Small::make(&lab, "house", 24).await;
    let somebody = lab.somebody("qemu");
    let (_dir, image) = disk("told to who asked", 4);
    let p = Program::on(lab.place_of("qemu", Path::new(&small.name), &image, [61, 63])).await;
    let spec = || NodeSpec {
        power: Power::Stopped,
        ..p.place.spec()
    };
    let first = p.ask(spec(), false).await.unwrap();
    let first_name = p.ready(first).await.view().unwrap().name;
    small.fill(0);
    let id = p.ask(spec(), false).await.unwrap();
    let told = async {
        loop {
            let reason = p.get(id).await.record().reason.clone();
            if reason.contains("no room") {
                return reason;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let reason = tokio::time::timeout(Duration::from_secs(60), told).await;
    let reason = reason.unwrap();
    assert!(reason.contains(&small.name), "{reason}");
    assert!(reason.contains("delete something there"), "{reason}");
    // Only what was there before is there.
    let there = async || {
        let all = somebody.list_domains(ListFlags::default()).await.unwrap();
        all.iter().any(|d| d.name.contains(&id.to_string()))
    };
    // It is tried again and again, and for a moment each time there is something.
    let gone = async { while there().await {} };
    tokio::time::timeout(Duration::from_secs(60), gone)
        .await
        .unwrap();
    assert_eq!(small.of(&somebody, &format!("rm-{id}")).await, [""; 0]);
    assert_eq!(small.of(&somebody, &first_name).await, ["disk", "seed"]);

    // By itself, for who asked has time.
    small.give_back();
    let name = p.ready(id).await.view().unwrap().name;
    assert_eq!(small.of(&somebody, &name).await, ["disk", "seed"]);
    p.end(id).await;
    p.end(first).await;
    for name in [name, first_name] {
        assert_eq!(small.of(&somebody, &name).await, [""; 0]);
    }
}

/// A file system of its own for roots, which goes with this. A lab that starts
/// after it sees it as we do.
struct Roots(PathBuf);

impl Roots {
    fn mount(lab: &Lab, mib: u32) -> Self {
        let at = lab.dir.with_file_name("libvirt-full-roots");
        std::fs::create_dir_all(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]);
        assert!(mount.arg(&at).status().unwrap().success());
        Self(at)
    }

    /// Takes all room but so many KiB, until that file is removed.
    fn fill(&self, but_kib: u64) -> PathBuf {
        let filler = self.0.join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        let full = std::io::copy(&mut std::io::repeat(1), &mut file);
        assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        let all = file.metadata().unwrap().len();
        file.set_len(all - (but_kib << 10)).unwrap();
        filler
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string());
        names.map(Result::unwrap).collect()
    }
}

impl Drop for Roots {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_while_a_root_is_copied_is_told_and_harms_nobody() {
    let Some(beside) = Lab::of_this_run("a_disk_that_is_full_while_a_root_is_copied") else {
        return;
    };
    let roots = Roots::mount(&beside, 32);
    let Some(lab) = OwnLab::start("full") else {
        return;
    };
    let somebody = lab.0.somebody("lxc");
    let domains = async || -> BTreeSet<String> {
        let all = somebody.list_domains(ListFlags::default()).await.unwrap();
        all.into_iter().map(|domain| domain.name).collect()
    };
    let p = Program::on(lab.0.place("lxc", &roots.0, [10, 20])).await;
    let mut spec = p.place.spec();
    spec.ready_port = Some(80);
    let (first, name) = p.node(spec.clone()).await;
    // It has its place, and is copied when there is no room for all of it.
    let id = p.ask(spec.clone(), true).await.unwrap();
    let filler = roots.fill(512);
    let refused = p.ask(spec, false).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NoCapacity, "{refused}");
    p.get(id).await.start(&p.user).await.unwrap();
    let told = async |id| {
        let told = async {
            while !p.get(id).await.record().reason.contains("no room") {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let soon = Duration::from_secs(60);
        tokio::time::timeout(soon, told).await.unwrap();
    };
    told(id).await;
    // It is tried again and again, and for a moment each time there is something.
    let kept = [".images", "filler", name.as_str()].map(str::to_owned);
    let kept = BTreeSet::from(kept);
    let nothing = async {
        while roots.names() != kept {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), nothing)
        .await
        .unwrap();
    assert_eq!(domains().await, BTreeSet::from([name.clone()]));
    // What is there goes on, and answers.
    p.ready(first).await;

    std::fs::remove_file(&filler).unwrap();
    p.ready(id).await;

    // Nor is a root lost that is to be made anew.
    let filler = roots.fill(512);
    let anew = |spec: &mut NodeSpec| spec.ask(Action::Reimage, 0).map(|_| ());
    p.get(first).await.change(&p.user, anew).await.unwrap();
    told(first).await;
    assert!(roots.0.join(&name).join("rootfs/sbin/init").exists());
    p.ready(id).await;
    std::fs::remove_file(&filler).unwrap();
    for id in [id, first] {
        p.ready(id).await;
        p.end(id).await;
    }
    assert_eq!(roots.names(), BTreeSet::from([".images".to_owned()]));
    assert_eq!(domains().await, BTreeSet::new());
}
