//! A disc with a few files, as ECMA-119 (ISO 9660) describes it, in memory.
//!
//! Names are written as they are, small letters too, as every reader on Linux
//! takes them; that is how cloud-init finds its seed.

use crate::driver::{Error, Result};

const SECTOR: usize = 2048;
/// Where the folder is; before it are descriptors and tables.
const ROOT: usize = 20;
const FIRST_FILE: usize = 21;
/// So much of nothing at the end, for readers that look far ahead.
const PAD: usize = 150;
/// No more files than the folder's one sector has room for.
const MOST: usize = 16;

/// The disc of this label with these files in its root.
///
/// # Errors
///
/// [`Error::Invalid`] for more than 16 files, names of more than 30 bytes, and
/// what takes more than 4 GiB.
pub(super) fn disc(label: &str, files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let fits = files.len() <= MOST && files.iter().all(|(name, _)| name.len() <= 30);
    let sectors = FIRST_FILE
        + PAD
        + files
            .iter()
            .map(|(_, b)| b.len().div_ceil(SECTOR))
            .sum::<usize>();
    let (true, Ok(all)) = (fits && label.len() <= 32, u32::try_from(sectors)) else {
        return Err(Error::invalid(
            "what a node is born with does not fit on a disc",
        ));
    };
    let mut disc = vec![0; 16 * SECTOR];
    disc.append(&mut primary(label, all));
    let mut end = vec![255];
    end.extend(b"CD001\x01");
    sector(&mut disc, end);
    // The table of folders: the root alone, in either order of bytes.
    let root = u32::try_from(ROOT).unwrap_or_default();
    for (root, itself) in [
        (root.to_le_bytes(), 1_u16.to_le_bytes()),
        (root.to_be_bytes(), 1_u16.to_be_bytes()),
    ] {
        let mut table = vec![1, 0];
        table.extend(root);
        table.extend(itself);
        table.extend([0, 0]);
        sector(&mut disc, table);
    }
    let mut folder = entry(&[0], ROOT, SECTOR, true);
    folder.append(&mut entry(&[1], ROOT, SECTOR, true));
    let mut at = FIRST_FILE;
    // A reader may want them in order.
    let mut sorted = files.to_vec();
    sorted.sort_by_key(|(name, _)| *name);
    for (name, bytes) in &sorted {
        folder.append(&mut entry(name.as_bytes(), at, bytes.len(), false));
        at += bytes.len().div_ceil(SECTOR);
    }
    sector(&mut disc, folder);
    for (_, bytes) in &sorted {
        disc.extend(*bytes);
        disc.resize(disc.len().next_multiple_of(SECTOR), 0);
    }
    disc.resize(disc.len() + PAD * SECTOR, 0);
    Ok(disc)
}

/// Appends what fits into one sector.
fn sector(disc: &mut Vec<u8>, mut what: Vec<u8>) {
    what.resize(SECTOR, 0);
    disc.append(&mut what);
}

/// What the disc is: section 8.4.
fn primary(label: &str, sectors: u32) -> Vec<u8> {
    let mut d = vec![1];
    d.extend(b"CD001\x01\0");
    text(&mut d, "LINUX", 32);
    text(&mut d, label, 32);
    d.extend([0; 8]);
    both32(&mut d, sectors);
    d.extend([0; 32]);
    both16(&mut d, 1);
    both16(&mut d, 1);
    both16(&mut d, 2048);
    both32(&mut d, 10);
    d.extend(18_u32.to_le_bytes());
    d.extend([0; 4]);
    d.extend(19_u32.to_be_bytes());
    d.extend([0; 4]);
    d.extend(entry(&[0], ROOT, SECTOR, true));
    // The set, who published, prepared and wrote it, and three files about it.
    text(&mut d, "", 4 * 128 + 3 * 37);
    // Nobody says when.
    for _ in 0..4 {
        d.extend(b"0000000000000000\0");
    }
    d.push(1);
    d.resize(SECTOR, 0);
    d
}

/// A file or folder in a folder: section 9.1.
fn entry(name: &[u8], at: usize, bytes: usize, is_folder: bool) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut e = vec![0, 0];
    both32(&mut e, number(at));
    both32(&mut e, number(bytes));
    e.extend([0; 7]);
    e.extend([u8::from(is_folder) << 1, 0, 0]);
    both16(&mut e, 1);
    e.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    e.extend(name);
    e.resize(e.len().next_multiple_of(2), 0);
    e[0] = u8::try_from(e.len()).unwrap_or(u8::MAX);
    e
}

fn text(into: &mut Vec<u8>, text: &str, width: usize) {
    let end = into.len() + width;
    into.extend(text.as_bytes());
    into.resize(end, b' ');
}

/// A number in both orders of bytes.
fn both32(into: &mut Vec<u8>, n: u32) {
    into.extend(n.to_le_bytes());
    into.extend(n.to_be_bytes());
}

fn both16(into: &mut Vec<u8>, n: u16) {
    into.extend(n.to_le_bytes());
    into.extend(n.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disc_has_its_label_and_its_files_where_a_reader_looks() {
        let long = vec![b'x'; 5000];
        let files: [(&str, &[u8]); 2] = [("user-data", &long), ("meta-data", b"a: b\n")];
        let disc = disc("cidata", &files).unwrap();
        assert_eq!(disc.len() % SECTOR, 0);
        let at = |sector: usize| &disc[sector * SECTOR..];
        assert_eq!(&at(16)[..7], b"\x01CD001\x01");
        assert_eq!(&at(16)[40..47], b"cidata ");
        let sectors = u32::from_le_bytes(at(16)[80..84].try_into().unwrap());
        assert_eq!(sectors as usize * SECTOR, disc.len());
        assert_eq!(&at(17)[..6], b"\xffCD001");
        // The root, by the way of the descriptor.
        let root = u32::from_le_bytes(at(16)[158..162].try_into().unwrap());
        let mut folder = at(root as usize);
        let mut found = Vec::new();
        while folder[0] > 0 {
            let (one, rest) = folder.split_at(folder[0].into());
            let first = u32::from_le_bytes(one[2..6].try_into().unwrap()) as usize;
            let size = u32::from_le_bytes(one[10..14].try_into().unwrap()) as usize;
            let name = &one[33..33 + usize::from(one[32])];
            if name.len() > 1 {
                found.push((name.to_vec(), at(first)[..size].to_vec()));
            }
            folder = rest;
        }
        let want = [
            (b"meta-data".to_vec(), b"a: b\n".to_vec()),
            (b"user-data".to_vec(), long.clone()),
        ];
        assert_eq!(found, want);
        let name = "x".repeat(31);
        assert!(super::disc("cidata", &[(&name, b"")]).is_err());
        assert!(super::disc(&name.repeat(2), &[]).is_err());
    }
}
