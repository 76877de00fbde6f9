//! The procedures of the program that manages domains, by their numbers in
//! libvirt's `remote_protocol.x`.

use crate::error::Effect;

/// A procedure: its number, its name in messages, and whether it only reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Procedure {
    pub(crate) number: i32,
    pub(crate) name: &'static str,
    /// No failure of such a call can have changed anything.
    pub(crate) reads: bool,
}

impl Procedure {
    /// The effect of a failure after which the server may have worked on it.
    pub(crate) const fn doubt(self) -> Effect {
        if self.reads {
            Effect::None
        } else {
            Effect::Unknown
        }
    }

    /// What became of a call that nobody said anything about.
    pub(crate) const fn effect(self, sent: bool) -> Effect {
        if sent { self.doubt() } else { Effect::None }
    }
}

const fn read(number: i32, name: &'static str) -> Procedure {
    Procedure {
        number,
        name,
        reads: true,
    }
}

const fn write(number: i32, name: &'static str) -> Procedure {
    Procedure {
        number,
        name,
        reads: false,
    }
}

// The connection. What is opened and registered ends with the connection.
pub(crate) const OPEN: Procedure = read(1, "open");
pub(crate) const TYPE: Procedure = read(3, "driver type");
pub(crate) const VERSION: Procedure = read(4, "hypervisor version");
pub(crate) const NODE_INFO: Procedure = read(6, "node info");
pub(crate) const CAPABILITIES: Procedure = read(7, "capabilities");
pub(crate) const HOSTNAME: Procedure = read(59, "hostname");
pub(crate) const SUPPORTS_FEATURE: Procedure = read(60, "supported feature");
pub(crate) const AUTH_LIST: Procedure = read(66, "list of authentications");
pub(crate) const AUTH_POLKIT: Procedure = read(70, "authentication by polkit");
pub(crate) const FREE_MEMORY: Procedure = read(102, "free memory");
pub(crate) const LIB_VERSION: Procedure = read(157, "libvirt version");
pub(crate) const MEMORY_STATS: Procedure = read(228, "memory of the host");
pub(crate) const EVENT_REGISTER: Procedure = read(316, "registration for events");
/// Sent by the server, for the above.
pub(crate) const EVENT_LIFECYCLE: i32 = 318;

// Domains.
pub(crate) const CREATE_XML: Procedure = write(10, "create transient domain");
pub(crate) const DEFINE_XML: Procedure = write(11, "define domain");
pub(crate) const XML_DESC: Procedure = read(14, "domain XML");
pub(crate) const INFO: Procedure = read(16, "domain info");
pub(crate) const LOOKUP_BY_NAME: Procedure = read(23, "look up domain by name");
pub(crate) const LOOKUP_BY_UUID: Procedure = read(24, "look up domain by UUID");
pub(crate) const REBOOT: Procedure = write(27, "reboot domain");
pub(crate) const RESUME: Procedure = write(28, "resume domain");
pub(crate) const SUSPEND: Procedure = write(34, "suspend domain");
pub(crate) const MANAGED_SAVE: Procedure = write(182, "save domain");
pub(crate) const HAS_MANAGED_SAVE: Procedure = read(183, "saved state of domain");
pub(crate) const MANAGED_SAVE_REMOVE: Procedure = write(184, "remove saved state of domain");
pub(crate) const CREATE: Procedure = write(196, "start domain");
pub(crate) const SET_VCPUS: Procedure = write(199, "set vcpus of domain");
pub(crate) const OPEN_CONSOLE: Procedure = read(201, "open console");
pub(crate) const SET_MEMORY: Procedure = write(204, "set memory of domain");
pub(crate) const STATE: Procedure = read(212, "domain state");
pub(crate) const UNDEFINE: Procedure = write(231, "undefine domain");
pub(crate) const DESTROY: Procedure = write(234, "destroy domain");
pub(crate) const SHUTDOWN: Procedure = write(258, "shut down domain");
pub(crate) const SET_METADATA: Procedure = write(264, "set metadata of domain");
pub(crate) const METADATA: Procedure = read(265, "metadata of domain");
pub(crate) const LIST_ALL: Procedure = read(273, "list domains");
pub(crate) const ALL_STATS: Procedure = read(344, "statistics of domains");

// Networks.
pub(crate) const NETWORK_CREATE_XML: Procedure = write(40, "create transient network");
pub(crate) const NETWORK_DESTROY: Procedure = write(42, "destroy network");
pub(crate) const NETWORK_XML_DESC: Procedure = read(43, "network XML");
pub(crate) const NETWORK_LOOKUP: Procedure = read(46, "look up network");
pub(crate) const NETWORK_LIST_ALL: Procedure = read(283, "list networks");

// Snapshots.
pub(crate) const SNAPSHOT_CREATE: Procedure = write(185, "create snapshot");
pub(crate) const SNAPSHOT_LOOKUP: Procedure = read(189, "look up snapshot");
pub(crate) const SNAPSHOT_REVERT: Procedure = write(192, "revert to snapshot");
pub(crate) const SNAPSHOT_DELETE: Procedure = write(193, "delete snapshot");
pub(crate) const SNAPSHOT_LIST: Procedure = read(274, "list snapshots");

// Storage.
pub(crate) const POOL_CREATE_XML: Procedure = write(76, "create storage pool");
pub(crate) const POOL_LOOKUP: Procedure = read(84, "look up storage pool");
pub(crate) const POOL_INFO: Procedure = read(87, "room of storage pool");
pub(crate) const VOLUME_CREATE_XML: Procedure = write(93, "create volume");
pub(crate) const VOLUME_DELETE: Procedure = write(94, "delete volume");
pub(crate) const VOLUME_LOOKUP: Procedure = read(95, "look up volume");
pub(crate) const VOLUME_INFO: Procedure = read(98, "size of volume");
pub(crate) const VOLUME_PATH: Procedure = read(100, "path of volume");
pub(crate) const VOLUME_UPLOAD: Procedure = write(208, "upload volume");
