//! Archives of root file systems, unpacked once for all containers of a host.
//!
//! An image is there under its checksum and is there only whole: it is unpacked
//! aside while its checksum is taken, and put in its place when that is right.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

use crate::driver::{Error, Image, Result};
use crate::files::{self, Aside, told};
use crate::turns::Turns;

pub(crate) mod source;
mod unpack;

/// The format of an image that is an archive of a root file system.
pub const ROOTFS: &str = "rootfs";
/// The format of an image that is an archive of a kernel and what belongs to it.
pub const KERNEL: &str = "kernel";
/// The format of an image that is a disk, byte for byte.
pub const RAW: &str = "raw";
/// The format of an image that is a disk of QEMU's.
pub const QCOW2: &str = "qcow2";

/// What folders that are begun aside are called.
const ASIDE: &str = ".new-";

/// Images of one host.
#[derive(Debug, Clone)]
pub struct Images {
    folder: PathBuf,
    most_mib: u64,
    format: &'static str,
    /// Who fetches one.
    turns: Arc<Turns>,
    /// How many MiB those have that somebody asked for: they never change.
    sizes: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Images {
    /// Kept in this folder, and unpacked to at most so many MiB each.
    pub fn at(folder: &Path, most_mib: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            most_mib,
            format: ROOTFS,
            turns: Arc::default(),
            sizes: Arc::default(),
        }
    }

    /// The same for archives of this format.
    #[must_use]
    pub fn of_format(mut self, format: &'static str) -> Self {
        self.format = format;
        self
    }

    /// The root file system of an image that was brought.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] where it was not.
    pub fn root(&self, image: &Image) -> Result<PathBuf> {
        let root = self.place(image)?.join("rootfs");
        match root.is_dir() {
            true => Ok(root),
            false => Err(wrong(image, "is not on the host yet")),
        }
    }

    /// Brings an image from wherever it is, unless it is there; goes on when
    /// nobody waits for it any more, and who asks again waits for the same.
    ///
    /// # Errors
    ///
    /// As of [`bring`](Self::bring), and [`Error::Unavailable`] where its
    /// source does not answer.
    pub(crate) async fn bring_from_anywhere(&self, image: &Image) -> Result<()> {
        let (images, image) = (self.clone(), image.clone());
        let bring = tokio::spawn(async move {
            if !source::is_far(&image) {
                return blocking(move || images.bring(&image).map(drop)).await;
            }
            let _turn = images.turns.of(&image.sha256).await;
            let (known, wanted) = (images.clone(), image.clone());
            let is_there = move || Ok(known.root(&wanted).is_ok());
            if blocking(is_there).await? {
                return Ok(());
            }
            let folder = images.folder.clone();
            blocking(move || fs::create_dir_all(&folder).map_err(|e| told(&folder, &e))).await?;
            let here = source::here(&image, &images.folder, ASIDE, images.most_mib).await?;
            blocking(move || images.bring(&here.image).map(drop)).await
        });
        bring.await.unwrap_or_else(|_| Err(cut_off()))
    }

    /// Unpacks an image, unless it is there, and answers its root. Blocks.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] where its bytes are not what they should be or cannot
    /// be read: then nothing of it stays.
    pub fn bring(&self, image: &Image) -> Result<PathBuf> {
        if let Ok(root) = self.root(image) {
            return Ok(root);
        }
        if image.format != self.format {
            let why = format!("is not of the format {}, an archive", self.format);
            return Err(wrong(image, &why));
        }
        let place = self.place(image)?;
        fs::create_dir_all(&self.folder).map_err(|e| told(&self.folder, &e))?;
        // Programs of a guest's root among them.
        files::close(&self.folder).map_err(|e| told(&self.folder, &e))?;
        // One at a time: who waits finds it done.
        let _turn = files::lock(&self.folder)?;
        if let Ok(root) = self.root(image) {
            return Ok(root);
        }
        files::sweep(&self.folder, ASIDE).map_err(|e| told(&self.folder, &e))?;
        let aside = Aside::make(&self.folder, ASIDE)?;
        let root = aside.path().join("rootfs");
        fs::create_dir(&root).map_err(|e| told(&root, &e))?;
        self.unpack(image, &root)?;
        aside.place(&place)?;
        Ok(place.join("rootfs"))
    }

    /// Removes what was fetched or unpacked in part by those who were cut off.
    /// Blocks.
    pub(crate) fn sweep_up(&self) -> Result<()> {
        match self.folder.is_dir() {
            true => files::sweep(&self.folder, ASIDE).map_err(|e| told(&self.folder, &e)),
            false => Ok(()),
        }
    }

    /// What bringing an image takes of the disk at the least, in MiB: as much as
    /// its archive has, as far as that is known; nothing where it is there.
    pub(crate) fn to_bring_mib(&self, image: &Image) -> u64 {
        match self.root(image).is_ok() || source::is_far(image) {
            true => 0,
            false => open(image).map_or(0, |(_, file)| mib(file.metadata().map_or(0, |m| m.len()))),
        }
    }

    /// How much an image that was brought has in its files, in MiB.
    pub(crate) fn unpacked_mib(&self, image: &Image) -> Option<u64> {
        let root = self.root(image).ok()?;
        let mut known = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mib) = known.get(&image.sha256) {
            return Some(*mib);
        }
        let mib = mib(files::bytes(&root));
        known.insert(image.sha256.clone(), mib);
        Some(mib)
    }

    fn place(&self, image: &Image) -> Result<PathBuf> {
        let digits = image.sha256.bytes().all(|b| b.is_ascii_hexdigit());
        match digits && image.sha256.len() == 64 {
            true => Ok(self.folder.join(&image.sha256)),
            false => Err(wrong(image, "has no SHA-256")),
        }
    }

    fn unpack(&self, image: &Image, root: &Path) -> Result<()> {
        let unread = |e: io::Error| wrong(image, &format!("cannot be read: {e}"));
        let (_, mut file) = open(image)?;
        let most = self.most_mib.saturating_mul(1 << 20);
        let mut first = [0; 6];
        let n = file.read(&mut first).map_err(unread)?;
        file.rewind().map_err(unread)?;
        let mut bytes = Summed {
            from: BufReader::with_capacity(1 << 16, file),
            sum: Context::new(&SHA256),
        };
        let unpacked = match &first[..n] {
            [0x1f, 0x8b, ..] => {
                let mut plain = flate2::read::MultiGzDecoder::new(&mut bytes);
                unpack::archive(&mut plain, root, most)
            }
            b"\xfd7zXZ\0" | [0x28, 0xb5, 0x2f, 0xfd, ..] | [b'B', b'Z', b'h', ..] => {
                Err(unpack::Wrong::Archive(
                    "is packed with xz, zstd or bzip2; pack it with gzip".to_owned(),
                ))
            }
            _ => unpack::archive(&mut bytes, root, most),
        };
        // The checksum is of all bytes, those after the archive's end, too. It
        // tells more than what was found wrong on the way.
        io::copy(&mut bytes, &mut io::sink()).map_err(unread)?;
        bytes.checked(image)?;
        unpacked.map_err(|e| match e {
            unpack::Wrong::Archive(why) => wrong(image, &why),
            unpack::Wrong::Host(path, e) => told(&path, &e),
        })
    }
}

/// The file of an image whose checksum is right, and where it is. Blocks.
///
/// # Errors
///
/// [`Error::Image`] where its bytes are not what they should be or cannot be
/// read.
pub(crate) fn summed(image: &Image) -> Result<(PathBuf, File)> {
    let (path, file) = open(image)?;
    let mut bytes = Summed {
        from: BufReader::with_capacity(1 << 16, file),
        sum: Context::new(&SHA256),
    };
    let unread = |e: io::Error| wrong(image, &format!("cannot be read: {e}"));
    io::copy(&mut bytes, &mut io::sink()).map_err(unread)?;
    let mut file = bytes.checked(image)?.into_inner();
    file.rewind().map_err(unread)?;
    Ok((path, file))
}

/// The file that an image's source names.
fn open(image: &Image) -> Result<(PathBuf, File)> {
    let Some(path) = image.source.strip_prefix("file:") else {
        return Err(wrong(
            image,
            "has a source that is neither a file: of this machine nor an http address",
        ));
    };
    let path = Path::new(path.strip_prefix("//").unwrap_or(path));
    let unread = |e: io::Error| wrong(image, &format!("cannot be read: {e}"));
    let file = File::open(path).map_err(unread)?;
    match file.metadata().map_err(unread)?.is_file() {
        true => Ok((path.to_owned(), file)),
        false => Err(wrong(image, "is not a file")),
    }
}

/// Takes the checksum of what is read.
struct Summed<R> {
    from: R,
    sum: Context,
}

impl<R> Summed<R> {
    /// What was read, where all of it has the checksum of the image.
    fn checked(self, image: &Image) -> Result<R> {
        let sum = hex(self.sum.finish().as_ref());
        match sum == image.sha256 {
            true => Ok(self.from),
            false => Err(wrong(
                image,
                &format!("has another checksum: its bytes are {sum}"),
            )),
        }
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.sum.update(&buf[..n]);
        Ok(n)
    }
}

/// Runs what blocks beside everything else.
async fn blocking<T: Send + 'static>(
    what: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(what).await;
    done.unwrap_or_else(|_| Err(cut_off()))
}

fn cut_off() -> Error {
    Error::Failed("an image was cut off by a defect of this program".to_owned())
}

/// Every MiB that was begun.
fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn wrong(image: &Image, why: &str) -> Error {
    Error::Image {
        name: image.name.clone(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests;
