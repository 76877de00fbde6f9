use std::io::Write as _;

use tar::{Builder, EntryType, Header};

use super::*;

struct Shelf {
    folder: tempfile::TempDir,
}

impl Shelf {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn images(&self, most_mib: u64) -> Images {
        Images::at(&self.folder.path().join("images"), most_mib)
    }

    /// An image of these bytes.
    fn of(&self, bytes: &[u8]) -> Image {
        let path = self.folder.path().join("archive");
        fs::write(&path, bytes).unwrap();
        Image {
            name: "small".to_owned(),
            source: format!("file:{}", path.display()),
            sha256: hex(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref()),
            format: "rootfs".to_owned(),
        }
    }

    /// Nothing of an image, and nothing that was begun.
    fn is_empty(&self) -> bool {
        match fs::read_dir(self.folder.path().join("images")) {
            Ok(mut entries) => entries.next().is_none(),
            Err(_) => true,
        }
    }
}

/// One entry: its kind, its path, where it leads, its content.
type Item<'a> = (EntryType, &'a str, &'a str, &'a [u8]);

/// An archive with whatever paths: a builder would refuse to write them.
fn archive(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, path, link, content) in items {
        let mut header = Header::new_ustar();
        let raw = header.as_mut_bytes();
        raw[..path.len()].copy_from_slice(path.as_bytes());
        raw[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(u64::try_from(content.len()).unwrap());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn why(e: &Error) -> &str {
    match e {
        Error::Image { why, .. } => why,
        other => panic!("{other}"),
    }
}

#[test]
fn an_image_is_unpacked_once_packed_or_not() {
    let shelf = Shelf::new();
    let plain = archive(&[
        (EntryType::Directory, "./", "", b""),
        (EntryType::Regular, "./etc/hostname", "", b"x\n"),
        (EntryType::Symlink, "./bin", "/usr/bin", b""),
        (EntryType::Link, "./etc/same", "./etc/hostname", b""),
        (EntryType::Char, "./dev/null", "", b""),
    ]);
    for bytes in [plain.clone(), packed(&plain)] {
        let image = shelf.of(&bytes);
        let root = shelf.images(1).bring(&image).unwrap();
        assert_eq!(fs::read(root.join("etc/same")).unwrap(), b"x\n");
        assert_eq!(
            fs::read_link(root.join("bin")).unwrap(),
            Path::new("/usr/bin")
        );
        assert!(!root.join("dev/null").exists());
        fs::remove_file(shelf.folder.path().join("archive")).unwrap();
        assert_eq!(
            shelf.images(1).bring(&image).unwrap(),
            root,
            "not read again"
        );
    }
}

#[test]
fn what_leads_out_of_an_archive_is_refused_and_nothing_stays() {
    let outside = tempfile::tempdir().unwrap();
    let out = outside.path().to_str().unwrap();
    let evil: &[&[Item<'_>]] = &[
        &[(EntryType::Regular, "../evil", "", b"x")],
        &[(EntryType::Regular, "/tmp/evil-rm-vm", "", b"x")],
        &[(EntryType::Regular, "a/../../evil", "", b"x")],
        &[
            (EntryType::Symlink, "a", out, b""),
            (EntryType::Regular, "a/evil", "", b"x"),
        ],
        &[
            (EntryType::Symlink, "a", "..", b""),
            (EntryType::Directory, "a/evil", "", b""),
        ],
        &[(EntryType::Link, "a", "/etc/passwd", b"")],
        &[(EntryType::Link, "a", "../../etc/passwd", b"")],
        &[
            (EntryType::Symlink, "a", "/etc/passwd", b""),
            (EntryType::Link, "b", "a", b""),
        ],
        &[
            (EntryType::Directory, "a", "", b""),
            (EntryType::Symlink, "a", out, b""),
        ],
    ];
    for items in evil {
        let shelf = Shelf::new();
        let e = shelf
            .images(1)
            .bring(&shelf.of(&archive(items)))
            .unwrap_err();
        assert!(!why(&e).is_empty(), "{e}");
        assert!(shelf.is_empty(), "{items:?}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(!Path::new("/tmp/evil-rm-vm").exists());
}

#[test]
fn a_link_that_is_replaced_is_not_written_through() {
    let shelf = Shelf::new();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "as it was").unwrap();
    let items: &[Item<'_>] = &[
        (EntryType::Symlink, "a", victim.to_str().unwrap(), b""),
        (EntryType::Regular, "a", "", b"new"),
    ];
    let root = shelf.images(1).bring(&shelf.of(&archive(items))).unwrap();
    assert_eq!(fs::read(root.join("a")).unwrap(), b"new");
    assert_eq!(fs::read(&victim).unwrap(), b"as it was");
}

#[test]
fn what_unpacks_to_more_than_is_allowed_is_refused() {
    let shelf = Shelf::new();
    let zeros = vec![0; 3 << 20];
    let bomb = packed(&archive(&[(EntryType::Regular, "a", "", &zeros)]));
    assert!(bomb.len() < 1 << 20);
    let e = shelf.images(2).bring(&shelf.of(&bomb)).unwrap_err();
    assert!(why(&e).contains("more than the 2 MiB"), "{e}");
    assert!(shelf.is_empty());
    assert!(shelf.images(4).bring(&shelf.of(&bomb)).is_ok());
}

#[test]
fn bytes_that_are_not_what_the_catalog_says_are_refused() {
    let shelf = Shelf::new();
    let mut image = shelf.of(&archive(&[(EntryType::Regular, "a", "", b"x")]));
    image.sha256 = "0".repeat(64);
    let e = shelf.images(1).bring(&image).unwrap_err();
    assert!(why(&e).contains("another checksum"), "{e}");
    for junk in [
        &b""[..],
        b"no archive at all",
        b"\x1f\x8bbroken",
        b"\xfd7zXZ\0and more",
    ] {
        let e = shelf.images(1).bring(&shelf.of(junk)).unwrap_err();
        assert!(!why(&e).contains("checksum"), "{e}");
    }
    assert!(shelf.is_empty());
}
