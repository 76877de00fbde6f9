//! What must not reach a host: asked for at every kind of place, refused before
//! anything exists.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use rm_core::ErrorKind;
use rm_core::catalog::NewImage;
use rm_core::env::Env;
use rm_core::life::State;
use rm_core::model::{Action, Interface, NodeImage, NodeSpec, NodeUser, Request};
use rm_testkit::conformance::Eyes;
use serde_json::json;
use tempfile::TempDir;

use super::{Place, Program, RealEnv};

type Edit = fn(&mut NodeSpec);

/// What is wrong with a request by itself, or too much for any host.
const WRONG: &[(Edit, ErrorKind)] = &[
    (|s| s.hostname = Some("a/../b".into()), ErrorKind::Invalid),
    (
        |s| s.hostname = Some("a\nlxc.hook.start = /x".into()),
        ErrorKind::Invalid,
    ),
    (|s| s.hostname = Some("'\"<x>".into()), ErrorKind::Invalid),
    (
        |s| s.hostname = Some("</name><x/>".into()),
        ErrorKind::Invalid,
    ),
    (|s| s.users = vec![user("../../root")], ErrorKind::Invalid),
    (|s| s.users = vec![user("a:b")], ErrorKind::Invalid),
    (|s| s.users = vec![user("$(x)")], ErrorKind::Invalid),
    (
        |s| s.interfaces = vec![bridge("br0\n</interface>")],
        ErrorKind::Invalid,
    ),
    (
        |s| s.interfaces = vec![bridge("../br0")],
        ErrorKind::Invalid,
    ),
    (|s| s.requests = vec![snapshot("../x")], ErrorKind::Invalid),
    (|s| s.memory_mib = 1 << 29, ErrorKind::NoCapacity),
    (|s| s.vcpus = 4096, ErrorKind::NoCapacity),
    (|s| s.user_data = "x".repeat(10 << 20), ErrorKind::Invalid),
    (|s| s.image.sha256 = "0".repeat(64), ErrorKind::Invalid),
    (|s| s.image.sha256 = "../".repeat(22), ErrorKind::Invalid),
];

fn user(name: &str) -> NodeUser {
    NodeUser {
        name: name.to_owned(),
        ssh_keys: Vec::new(),
    }
}

fn bridge(name: &str) -> Interface {
    Interface {
        bridge: Some(name.to_owned()),
        ..Interface::default()
    }
}

fn snapshot(name: &str) -> Request {
    Request {
        number: 1,
        action: Action::Snapshot(name.to_owned()),
    }
}

/// What is in these folders.
pub(crate) fn files(folders: &[&Path]) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder).unwrap() {
            files.insert(entry.unwrap().path().display().to_string());
        }
    }
    files
}

/// Asks for all of it; the host's own lists, which are what the eyes see and
/// the files where it keeps such things, stay as they were.
pub(crate) async fn nothing_comes_of_it(
    mut place: Place,
    eyes: &dyn Eyes,
    files: &dyn Fn() -> BTreeSet<String>,
) {
    let most = match place.image.disk_format.as_str() {
        "rootfs" => 24,
        // A kernel is larger than our small root.
        _ => 128,
    };
    place.section["image_mib"] = json!(most);
    let p = Program::on(place).await;
    let (id, _) = p.node(p.place.spec()).await;
    let before = lists(eyes, files, &p).await;
    for (at, (edit, kind)) in WRONG.iter().enumerate() {
        let mut spec = p.place.spec();
        edit(&mut spec);
        // Some kinds of host have a limit of their own for one node.
        let limited = spec.vcpus > 1;
        let e = p.ask(spec, false).await.unwrap_err();
        let known = e.kind() == *kind || limited && e.kind() == ErrorKind::Unsupported;
        assert!(known, "{at}: {e}");
        assert!(e.next().is_some(), "{at}: {e}");
        assert!(e.to_string().len() < 400, "{at}: {e}");
    }
    let given = p.get(id).await.view().unwrap().interfaces;
    if let Some(address) = given.first().and_then(|nic| nic.addresses.first()) {
        let with = |count: usize| NodeSpec {
            interfaces: vec![
                Interface {
                    addresses: vec![*address],
                    ..Interface::default()
                };
                count
            ],
            ..p.place.spec()
        };
        // Another node's, and the same twice.
        for count in [1, 2] {
            let taken = p.ask(with(count), false).await.unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::Conflict, "{taken}");
            assert!(taken.next().is_some(), "{taken}");
        }
    }
    assert_eq!(lists(eyes, files, &p).await, before);
    images(&p, most).await;
    assert_eq!(lists(eyes, files, &p).await, before);
    p.end(id).await;
}

/// What the host has of this program, and its files.
async fn lists(
    eyes: &dyn Eyes,
    files: &dyn Fn() -> BTreeSet<String>,
    p: &Program,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let all = eyes.everything(RealEnv.now()).await.unwrap().into_iter();
    let ours = all.filter(|real| real.mark.installation == p.installation);
    (ours.map(|real| real.id.0).collect(), files())
}

/// Nodes of images that are not what they should be fail with words that tell
/// why.
async fn images(p: &Program, most_mib: u64) {
    let files = TempDir::new().unwrap();
    let mut way_out = tar::Header::new_gnu();
    let name = b"../../escaped";
    way_out.as_old_mut().name[..name.len()].copy_from_slice(name);
    way_out.set_size(0);
    way_out.set_mode(0o644);
    way_out.set_cksum();
    let mut bomb = tar::Header::new_gnu();
    bomb.set_path("zeros").unwrap();
    bomb.set_size(512 << 20);
    bomb.set_mode(0o644);
    bomb.set_cksum();
    let zeros = vec![0; 512 << 20];
    let too_much = format!("more than the {most_mib} MiB");
    for (name, header, data, words) in [
        ("escaping", way_out, &[][..], "leads out of it"),
        ("bomb", bomb, &zeros[..], &*too_much),
    ] {
        let path = files.path().join(name);
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(header.as_bytes()).unwrap();
        packed.write_all(data).unwrap();
        let bytes = packed.finish().unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        let sha256 = sum.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        let image = NewImage {
            name: name.to_owned(),
            source: format!("file:{}", path.display()),
            sha256,
            ..p.place.image.clone()
        };
        fails(p, image, words).await;
    }
    let other_bytes = NewImage {
        name: "other".to_owned(),
        sha256: "1".repeat(64),
        ..p.place.image.clone()
    };
    fails(p, other_bytes, "has another checksum").await;
    assert!(!files.path().parent().unwrap().join("escaped").exists());
}

async fn fails(p: &Program, image: NewImage, words: &str) {
    let catalog = p.host.catalog();
    catalog.add_image(&p.operator, image.clone()).await.unwrap();
    let spec = NodeSpec {
        image: NodeImage {
            name: image.name,
            sha256: image.sha256,
        },
        ..p.place.spec()
    };
    let id = p.ask(spec, false).await.unwrap();
    let node = p.settled(id).await;
    let record = node.record();
    assert_eq!(record.seen, State::Failed, "{record:#?}");
    assert!(record.reason.contains(words), "{}", record.reason);
    p.end(id).await;
}
