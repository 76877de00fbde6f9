//! Volumes of the one pool of a host in which is what its machines need.

use rm_libvirt::{Client, Code, Error as Said, Pool, Volume};
use tokio::io::AsyncRead;

use super::failure::failure;
use crate::driver::{Error, Result};

/// The volumes of one pool. Their names are ours: letters, digits, hyphens,
/// dots and underscores.
#[derive(Debug)]
pub(super) struct Volumes {
    client: Client,
    pool: String,
}

/// What a volume is at first.
#[derive(Debug, Clone, Copy)]
pub(super) struct New<'a> {
    /// `raw` or `qcow2`.
    pub(super) format: &'a str,
    pub(super) bytes: u64,
    /// The path and format of the volume that it shows where nothing was
    /// written yet.
    pub(super) over: Option<(&'a str, &'a str)>,
}

impl<'a> New<'a> {
    pub(super) fn raw(bytes: u64) -> Self {
        Self {
            format: "raw",
            bytes,
            over: None,
        }
    }

    /// This name, as libvirt reads it.
    fn xml(&self, name: &str) -> Result<String> {
        let New {
            format,
            bytes,
            over,
        } = self;
        let over = match over {
            // The path is that of a volume, so the pool's own.
            Some((path, _)) if path.contains(['<', '&', '\'']) => {
                return Err(Error::invalid(
                    "the path of a pool has letters that XML has not",
                ));
            }
            Some((path, format)) => {
                format!("<backingStore><path>{path}</path><format type='{format}'/></backingStore>")
            }
            None => String::new(),
        };
        Ok(format!(
            "<volume><name>{name}</name><capacity unit='bytes'>{bytes}</capacity>\
             <target><format type='{format}'/></target>{over}</volume>"
        ))
    }
}

impl Volumes {
    pub(super) fn new(client: Client, pool: String) -> Self {
        Self { client, pool }
    }

    async fn pool(&self) -> Result<Pool> {
        let found = self.client.pool_by_name(&self.pool).await;
        found.map_err(|e| failure(&self.pool, &e))
    }

    /// The room that is left in the pool; absent where there is no such pool.
    pub(super) async fn free_mib(&self) -> Result<Option<u64>> {
        let pool = match self.client.pool_by_name(&self.pool).await {
            Err(e) if e.code() == Some(Code::NO_STORAGE_POOL) => return Ok(None),
            pool => pool.map_err(|e| failure(&self.pool, &e))?,
        };
        let left = self.client.pool_available(&pool).await;
        left.map(|bytes| Some(bytes >> 20))
            .map_err(|e| failure(&self.pool, &e))
    }

    async fn find(&self, pool: &Pool, name: &str) -> Result<Option<Volume>> {
        match self.client.volume_by_name(pool, name).await {
            Ok(volume) => Ok(Some(volume)),
            Err(e) if e.code() == Some(Code::NO_STORAGE_VOL) => Ok(None),
            Err(e) => Err(failure(name, &e)),
        }
    }

    /// A volume and where it is on the host; nothing where it is not.
    pub(super) async fn place(&self, name: &str) -> Result<Option<(Volume, String)>> {
        let Some(volume) = self.find(&self.pool().await?, name).await? else {
            return Ok(None);
        };
        let path = self.path(&volume).await?;
        Ok(path.map(|path| (volume, path)))
    }

    /// Where one is that was found before; nothing where it is not any more.
    pub(super) async fn path(&self, volume: &Volume) -> Result<Option<String>> {
        match self.client.volume_path(volume).await {
            Ok(path) => Ok(Some(path)),
            Err(e) if e.code() == Some(Code::NO_STORAGE_VOL) => Ok(None),
            Err(e) => Err(failure(&volume.name, &e)),
        }
    }

    /// What an error means where something was to be put into the pool. That
    /// there is no room for it has no code of its own, and is told in the words
    /// of the system's own error; who has not its words looks at them himself.
    /// libvirt removes what it cannot make; what could not be put into a volume
    /// that is there, who made the volume removes with it.
    fn unplaced(&self, name: &str, e: &Said) -> Error {
        let said = e.to_string();
        let full = ["No space left on device", "Disk quota exceeded"];
        match full.iter().any(|words| said.contains(words)) {
            true => Error::NoRoom(format!("its storage pool {:?}: {said}", self.pool)),
            false => failure(name, e),
        }
    }

    /// Makes one, in the stead of what was left under its name, and answers
    /// where it is.
    pub(super) async fn make(&self, name: &str, new: New<'_>) -> Result<String> {
        let volume = self.anew(name, new).await?;
        let path = self.client.volume_path(&volume).await;
        path.map_err(|e| failure(name, &e))
    }

    /// Makes one, unless there is one of this name: then the answer is false.
    pub(super) async fn create(&self, name: &str, new: New<'_>) -> Result<bool> {
        let xml = new.xml(name)?;
        let pool = self.pool().await?;
        match self.client.create_volume_xml(&pool, &xml).await {
            Ok(_) => Ok(true),
            Err(e) if e.code() == Some(Code::STORAGE_VOL_EXIST) => Ok(false),
            Err(e) => Err(self.unplaced(name, &e)),
        }
    }

    /// Puts these bytes into one that is there.
    pub(super) async fn upload(
        &self,
        name: &str,
        bytes: impl AsyncRead + Send + Unpin,
    ) -> Result<()> {
        let pool = self.pool().await?;
        let volume = self.client.volume_by_name(&pool, name).await;
        let volume = volume.map_err(|e| failure(name, &e))?;
        let uploaded = self.client.upload_volume(&volume, bytes).await;
        uploaded.map_err(|e| self.unplaced(name, &e))
    }

    /// How many bytes there are in one, as a machine would see it; nothing
    /// where it is not.
    pub(super) async fn bytes(&self, name: &str) -> Result<Option<u64>> {
        let Some(volume) = self.find(&self.pool().await?, name).await? else {
            return Ok(None);
        };
        let bytes = self.client.volume_capacity(&volume).await;
        bytes.map(Some).map_err(|e| failure(name, &e))
    }

    async fn anew(&self, name: &str, new: New<'_>) -> Result<Volume> {
        let xml = new.xml(name)?;
        let pool = self.pool().await?;
        if let Some(left) = self.find(&pool, name).await? {
            let deleted = self.client.delete_volume(&left).await;
            deleted.map_err(|e| kept(name, &e))?;
        }
        let made = self.client.create_volume_xml(&pool, &xml).await;
        made.map_err(|e| match e.code() {
            // Somebody else makes the same one.
            Some(Code::STORAGE_VOL_EXIST) => Error::Exists(name.to_owned()),
            _ => self.unplaced(name, &e),
        })
    }

    /// Removes one, if it is there.
    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        let Some(volume) = self.find(&self.pool().await?, name).await? else {
            return Ok(());
        };
        match self.client.delete_volume(&volume).await {
            Err(e) if e.code() != Some(Code::NO_STORAGE_VOL) => Err(kept(name, &e)),
            _ => Ok(()),
        }
    }
}

/// Why a volume is not removed. One that somebody still fills, who may have been
/// cut off and libvirt not, can be removed when that is over.
fn kept(name: &str, e: &Said) -> Error {
    match e.code() {
        Some(Code::OPERATION_INVALID) => Error::Unavailable(e.to_string()),
        _ => failure(name, e),
    }
}
