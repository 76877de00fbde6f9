//! Storage of the host: pools, and volumes that are filled from here.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::client::Client;
use crate::error::{Error, Malformed, Result};
use crate::procedure::{
    POOL_CREATE_XML, POOL_INFO, POOL_LOOKUP, VOLUME_CREATE_XML, VOLUME_DELETE, VOLUME_INFO,
    VOLUME_LOOKUP, VOLUME_PATH, VOLUME_UPLOAD,
};
use crate::uuid::Uuid;
use crate::xdr::{Reader, Writer};

/// How much is read at once of what is uploaded.
const CHUNK: usize = 128 * 1024;
/// Makes the folder of a new pool.
const WITH_BUILD: u32 = 1;

/// A storage pool: a folder, or something that can be used like one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pool {
    /// Unique on a host.
    pub name: String,
    /// Stays the same as long as the pool is there.
    pub uuid: Uuid,
}

impl Pool {
    fn encode(&self, into: &mut Writer) {
        into.string(&self.name).fixed(&self.uuid.0);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            name: from.string()?,
            uuid: Uuid(from.fixed()?),
        })
    }
}

/// A volume: a file of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// The name of its pool.
    pub pool: String,
    /// Unique in its pool.
    pub name: String,
    /// Unique on its host.
    pub key: String,
}

impl Volume {
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            pool: from.string()?,
            name: from.string()?,
            key: from.string()?,
        })
    }

    fn arguments(&self) -> Writer {
        let mut arguments = Writer::new();
        arguments
            .string(&self.pool)
            .string(&self.name)
            .string(&self.key);
        arguments
    }
}

impl Client {
    /// The pool of this name; [`Code::NO_STORAGE_POOL`](crate::Code::NO_STORAGE_POOL)
    /// if there is none.
    pub async fn pool_by_name(&self, name: &str) -> Result<Pool> {
        let mut arguments = Writer::new();
        arguments.string(name);
        self.call(POOL_LOOKUP, arguments, Pool::decode).await
    }

    /// Make a pool, its folder too, that is known until libvirt ends.
    pub async fn create_pool_xml(&self, xml: &str) -> Result<Pool> {
        let mut arguments = Writer::new();
        arguments.string(xml).u32(WITH_BUILD);
        self.call(POOL_CREATE_XML, arguments, Pool::decode).await
    }

    /// How many bytes a pool has left, as libvirt saw when it last looked: it
    /// counts volumes that are made and deleted, and not what they grow by.
    pub async fn pool_available(&self, pool: &Pool) -> Result<u64> {
        let mut arguments = Writer::new();
        pool.encode(&mut arguments);
        self.call(POOL_INFO, arguments, |answer| {
            let _state = answer.i32()?;
            let _capacity = answer.u64()?;
            let _allocation = answer.u64()?;
            answer.u64()
        })
        .await
    }

    /// The volume of this name; [`Code::NO_STORAGE_VOL`](crate::Code::NO_STORAGE_VOL)
    /// if there is none.
    pub async fn volume_by_name(&self, pool: &Pool, name: &str) -> Result<Volume> {
        let mut arguments = Writer::new();
        pool.encode(&mut arguments);
        arguments.string(name);
        self.call(VOLUME_LOOKUP, arguments, Volume::decode).await
    }

    /// Make a volume.
    pub async fn create_volume_xml(&self, pool: &Pool, xml: &str) -> Result<Volume> {
        let mut arguments = Writer::new();
        pool.encode(&mut arguments);
        arguments.string(xml).u32(0);
        self.call(VOLUME_CREATE_XML, arguments, Volume::decode)
            .await
    }

    /// Delete a volume and what is in it.
    pub async fn delete_volume(&self, volume: &Volume) -> Result<()> {
        let mut arguments = volume.arguments();
        arguments.u32(0);
        self.order(VOLUME_DELETE, arguments).await
    }

    /// How many bytes a machine sees in it; it may take less of the host's room.
    pub async fn volume_capacity(&self, volume: &Volume) -> Result<u64> {
        self.call(VOLUME_INFO, volume.arguments(), |answer| {
            let _kind = answer.i32()?;
            let capacity = answer.u64()?;
            let _allocation = answer.u64()?;
            Ok(capacity)
        })
        .await
    }

    /// Where the host has it.
    pub async fn volume_path(&self, volume: &Volume) -> Result<String> {
        self.text(VOLUME_PATH, volume.arguments()).await
    }

    /// Fill a volume from its beginning. The deadline is for the beginning and
    /// for the end, not for the bytes between.
    ///
    /// # Errors
    ///
    /// As of every call; and [`Error::Source`] if the bytes cannot be read.
    pub async fn upload_volume(
        &self,
        volume: &Volume,
        mut bytes: impl AsyncRead + Unpin,
    ) -> Result<()> {
        let mut arguments = volume.arguments();
        // From offset 0, of any length.
        arguments.u64(0).u64(0).u32(0);
        let mut stream = self.open_stream(VOLUME_UPLOAD, arguments).await?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = bytes.read(&mut chunk).await;
            match read.map_err(|error| Error::Source(error.into()))? {
                0 => break,
                count => stream.write(&chunk[..count]).await?,
            }
        }
        self.in_time(VOLUME_UPLOAD, stream.finish()).await
    }
}
