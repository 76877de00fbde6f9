//! Calls about the host and its libvirt.

use std::collections::BTreeMap;
use std::fmt;

use crate::client::Client;
use crate::error::{Malformed, Result};
use crate::procedure::{
    CAPABILITIES, FREE_MEMORY, HOSTNAME, LIB_VERSION, MEMORY_STATS, NODE_INFO, TYPE, VERSION,
};
use crate::xdr::{Reader, Writer};

/// A version of libvirt or of a hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 9 of 9.0.1.
    pub major: u64,
    /// 0 of 9.0.1.
    pub minor: u64,
    /// 1 of 9.0.1.
    pub release: u64,
}

impl Version {
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let number = from.u64()?;
        Ok(Self {
            major: number / 1_000_000,
            minor: number / 1_000 % 1_000,
            release: number % 1_000,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.release)
    }
}

/// What the host is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeInfo {
    /// The processors' architecture, such as `x86_64`.
    pub model: String,
    /// The host's memory, in KiB.
    pub memory_kib: u64,
    /// How many processors are online.
    pub cpus: u32,
    /// Their speed; 0 if it is not known.
    pub mhz: u32,
    /// How many NUMA nodes.
    pub nodes: u32,
    /// How many sockets in a node.
    pub sockets: u32,
    /// How many cores in a socket.
    pub cores: u32,
    /// How many threads in a core.
    pub threads: u32,
}

impl NodeInfo {
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        // 32 characters, of which each takes four bytes.
        let mut model = Vec::with_capacity(32);
        for _ in 0..32 {
            let [_, _, _, byte] = from.u32()?.to_be_bytes();
            model.push(byte);
        }
        let end = model.iter().position(|byte| *byte == 0).unwrap_or(32);
        Ok(Self {
            model: String::from_utf8_lossy(&model[..end]).into_owned(),
            memory_kib: from.u64()?,
            cpus: from.u32()?,
            mhz: from.u32()?,
            nodes: from.u32()?,
            sockets: from.u32()?,
            cores: from.u32()?,
            threads: from.u32()?,
        })
    }
}

impl Client {
    /// The driver's name: `TEST`, `LXC`, `QEMU`, `Xen`.
    pub async fn driver_type(&self) -> Result<String> {
        self.text(TYPE, Writer::new()).await
    }

    /// The version of the hypervisor.
    pub async fn version(&self) -> Result<Version> {
        self.call(VERSION, Writer::new(), Version::decode).await
    }

    /// The version of the daemon.
    pub async fn lib_version(&self) -> Result<Version> {
        self.call(LIB_VERSION, Writer::new(), Version::decode).await
    }

    /// The host's name, as the host says it.
    pub async fn hostname(&self) -> Result<String> {
        self.text(HOSTNAME, Writer::new()).await
    }

    /// What the host and the driver can do, as XML.
    pub async fn capabilities(&self) -> Result<String> {
        self.text(CAPABILITIES, Writer::new()).await
    }

    /// What the host is made of.
    pub async fn node_info(&self) -> Result<NodeInfo> {
        self.call(NODE_INFO, Writer::new(), NodeInfo::decode).await
    }

    /// The host's memory in KiB, by what it is for. Linux tells `total`, `free`,
    /// `buffers` and `cached`; drivers that are no Linux's have no such call.
    pub async fn memory_stats(&self) -> Result<BTreeMap<String, u64>> {
        // Who asks for none is told how many there are.
        let (_, count) = self.some_memory_stats(0).await?;
        Ok(self.some_memory_stats(count).await?.0)
    }

    async fn some_memory_stats(&self, most: i32) -> Result<(BTreeMap<String, u64>, i32)> {
        const ALL_CELLS: i32 = -1;
        let mut arguments = Writer::new();
        arguments.i32(most).i32(ALL_CELLS).u32(0);
        self.call(MEMORY_STATS, arguments, |answer| {
            let count = answer.count(4 + 8)?;
            let stats: Result<_, _> = (0..count)
                .map(|_| Ok((answer.string()?, answer.u64()?)))
                .collect();
            Ok((stats?, answer.i32()?))
        })
        .await
    }

    /// The host's free memory, in bytes; Linux does not count what it would free.
    pub async fn free_memory(&self) -> Result<u64> {
        self.call(FREE_MEMORY, Writer::new(), |answer| answer.u64())
            .await
    }
}
