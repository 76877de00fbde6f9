//! Images. The SHA-256 of the bytes is computed here, so that nobody copies
//! one by hand.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{Value, json};

use crate::cli::{ImageCommand, NewImage};
use crate::client::{Client, quote};
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, cell, sheet, time};
use crate::tokens::hex;

use super::progress::Bar;

const COLUMNS: &[Column] = &[
    ("NAME", |i| cell(&i["name"])),
    ("FORMAT", |i| cell(&i["disk_format"])),
    ("SHA256", |i| cell(&i["sha256"]).chars().take(16).collect()),
    ("SOURCE", |i| cell(&i["source"])),
    ("ID", |i| cell(&i["id"])),
];

const COPIES: &[Column] = &[
    ("SITE", |c| cell(&c["site"])),
    ("STATE", |c| cell(&c["state"])),
    ("NEEDED BY", |c| cell(&c["needed_by"])),
    ("BYTES", |c| cell(&c["bytes"])),
    ("UPDATED", |c| time(&c["updated"])),
    ("ID", |c| cell(&c["id"])),
    ("REASON", |c| cell(&c["reason"])),
];

pub(super) async fn run(client: &Client, out: Output, command: ImageCommand) -> Result<()> {
    match command {
        ImageCommand::Add(new) => {
            let image = client.post("/images", &body(new, out)?).await?;
            out.show(&image, one)
        }
        ImageCommand::List => {
            let images = client.list("/images").await?;
            out.list(&images, COLUMNS, "There is no image yet.")
        }
        ImageCommand::Remove { image } => {
            client.delete(&format!("/images/{}", quote(&image))).await?;
            let done = json!({"removed": image});
            out.show(&done, |d| {
                format!("image {} is removed", cell(&d["removed"]))
            })
        }
        ImageCommand::Copies { image } => {
            let path = format!("/images/{}/copies", quote(&image));
            let copies = client.list(&path).await?;
            out.list(&copies, COPIES, "No site has a copy of it.")
        }
        ImageCommand::DropCopy {
            image,
            copy,
            abandon,
        } => {
            let mut path = format!("/images/{}/copies/{}", quote(&image), quote(&copy));
            let said = match abandon {
                Some(reason) => {
                    path += &format!("?abandon={}", quote(&reason));
                    "is abandoned"
                }
                None => "is on its way out",
            };
            client.delete(&path).await?;
            let done = json!({"dropped": copy});
            out.show(&done, |d| format!("copy {} {said}", cell(&d["dropped"])))
        }
    }
}

fn body(new: NewImage, out: Output) -> Result<Value> {
    let shown = new.file.display().to_string();
    let unread = |e: std::io::Error| {
        Failure::usage(format!("cannot read {shown}")).detail(e.kind().to_string())
    };
    let source = match new.source {
        Some(source) => source,
        None => {
            let path = std::fs::canonicalize(&new.file).map_err(unread)?;
            format!("file:{}", path.display())
        }
    };
    let (sha256, first) = digest(&new.file, out).map_err(unread)?;
    let disk_format = new
        .disk_format
        .unwrap_or_else(|| format_of(&first).to_owned());
    Ok(json!({
        "name": new.name,
        "source": source,
        "sha256": sha256,
        "disk_format": disk_format,
    }))
}

/// The digest of a file's bytes, and the first of them.
fn digest(file: &Path, out: Output) -> std::io::Result<(String, Vec<u8>)> {
    let mut file = File::open(file)?;
    let bar = Bar::bytes(out, file.metadata()?.len());
    let mut context = Context::new(&SHA256);
    let mut first = Vec::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        if first.len() < 16 {
            first.extend_from_slice(&buffer[..n.min(16)]);
        }
        context.update(&buffer[..n]);
        bar.grew(n as u64);
    }
    bar.done();
    Ok((hex(context.finish().as_ref()), first))
}

fn format_of(first: &[u8]) -> &'static str {
    match first {
        [b'Q', b'F', b'I', 0xfb, ..] => "qcow2",
        [b'K', b'D', b'M', b'V', ..] => "vmdk",
        [b'<', b'<', b'<', b' ', ..] => "vdi",
        _ => "raw",
    }
}

fn one(image: &Value) -> String {
    sheet(&[
        ("id", cell(&image["id"])),
        ("name", cell(&image["name"])),
        ("source", cell(&image["source"])),
        ("sha256", cell(&image["sha256"])),
        ("disk format", cell(&image["disk_format"])),
        ("owner", cell(&image["owner"])),
        ("created", time(&image["created"])),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_sha256sum() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("i");
        std::fs::write(&file, b"QFI\xfbabc").unwrap();
        let (sha256, first) = digest(&file, Output { json: true }).unwrap();
        assert_eq!(sha256.len(), 64);
        assert_eq!(format_of(&first), "qcow2");
        std::fs::write(&file, b"abc").unwrap();
        let (sha256, first) = digest(&file, Output { json: true }).unwrap();
        assert_eq!(
            sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(format_of(&first), "raw");
    }
}
