//! libvirt's numbers for what went wrong, and their names.
//!
//! The numbers are those of `virterror.h`. One that is not known here is kept
//! as it is.

use std::fmt;

/// What happened, for programs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub i32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// The name, if the code is known here.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// A defect, or anything that has no code of its own.
    INTERNAL_ERROR = 1,
    /// The host has no memory left.
    NO_MEMORY = 2,
    /// The driver does not have this call.
    NO_SUPPORT = 3,
    /// The host name is not known.
    UNKNOWN_HOST = 4,
    /// The daemon has no connection to the hypervisor.
    NO_CONNECT = 5,
    /// The connection is not valid any more.
    INVALID_CONN = 6,
    /// What was given is no domain.
    INVALID_DOMAIN = 7,
    /// An argument is wrong.
    INVALID_ARG = 8,
    /// The hypervisor could not do it.
    OPERATION_FAILED = 9,
    /// The hypervisor of Xen refused a call.
    XEN_CALL = 15,
    /// This type of operating system is not known.
    OS_TYPE = 16,
    /// The XML names no kernel.
    NO_KERNEL = 17,
    /// The XML names no root device.
    NO_ROOT = 18,
    /// The XML names no source of a device.
    NO_SOURCE = 19,
    /// The XML names no target of a device.
    NO_TARGET = 20,
    /// The XML has no name.
    NO_NAME = 21,
    /// The XML has no operating system.
    NO_OS = 22,
    /// The XML names no device.
    NO_DEVICE = 23,
    /// The driver has no room for more.
    DRIVER_FULL = 25,
    /// The XML is wrong.
    XML_ERROR = 27,
    /// A domain of that name or UUID exists.
    DOM_EXIST = 28,
    /// This connection may only read.
    OPERATION_DENIED = 29,
    /// A file cannot be opened.
    OPEN_FAILED = 30,
    /// A file cannot be read.
    READ_FAILED = 31,
    /// A file has not the form it should have.
    PARSE_FAILED = 32,
    /// A configuration file is wrong.
    CONF_SYNTAX = 33,
    /// A file cannot be written.
    WRITE_FAILED = 34,
    /// The XML is wrong, and where.
    XML_DETAIL = 35,
    /// The operating system of the host refused something.
    SYSTEM_ERROR = 38,
    /// The protocol was violated.
    RPC = 39,
    /// TLS failed.
    GNUTLS_ERROR = 40,
    /// There is no such domain.
    NO_DOMAIN = 42,
    /// There is no such network.
    NO_NETWORK = 43,
    /// An address of an interface is wrong.
    INVALID_MAC = 44,
    /// The caller could not be authenticated.
    AUTH_FAILED = 45,
    /// There is no such storage pool.
    NO_STORAGE_POOL = 49,
    /// There is no such storage volume.
    NO_STORAGE_VOL = 50,
    /// The domain is not in a state in which this can be done.
    OPERATION_INVALID = 55,
    /// The hypervisor cannot do what the XML asks for.
    CONFIG_UNSUPPORTED = 67,
    /// It took too long.
    OPERATION_TIMEOUT = 68,
    /// A hook script of the host refused it.
    HOOK_SCRIPT_FAILED = 70,
    /// What was given is no snapshot.
    INVALID_DOMAIN_SNAPSHOT = 71,
    /// There is no such snapshot.
    NO_DOMAIN_SNAPSHOT = 72,
    /// What was given is no stream.
    INVALID_STREAM = 73,
    /// The driver does not take this argument.
    ARGUMENT_UNSUPPORTED = 74,
    /// Going back to the snapshot would be dangerous.
    SNAPSHOT_REVERT_RISKY = 77,
    /// Somebody ended the operation.
    OPERATION_ABORTED = 78,
    /// Somebody ended the authentication.
    AUTH_CANCELLED = 79,
    /// There is no such metadata.
    NO_DOMAIN_METADATA = 80,
    /// A number is too large.
    OVERFLOW = 82,
    /// The hypervisor cannot do this.
    OPERATION_UNSUPPORTED = 84,
    /// The agent in the guest does not answer.
    AGENT_UNRESPONSIVE = 86,
    /// What is wanted is in use.
    RESOURCE_BUSY = 87,
    /// The caller may not do this.
    ACCESS_DENIED = 88,
    /// The host's bus failed.
    DBUS_SERVICE = 89,
    /// A volume of that name exists.
    STORAGE_VOL_EXIST = 90,
    /// The guest's processor and the host's do not fit.
    CPU_INCOMPATIBLE = 91,
    /// The XML is not what the schema says.
    XML_INVALID_SCHEMA = 92,
    /// There is no way to authenticate.
    AUTH_UNAVAILABLE = 94,
    /// The domain has no such device.
    DEVICE_MISSING = 99,
    /// Several domains fit.
    MULTIPLE_DOMAINS = 110,
}

impl Code {
    /// Whether a call refused with this code has certainly changed nothing:
    /// libvirt checks these things before it begins to act.
    pub(crate) fn before_acting(self) -> bool {
        matches!(
            self,
            Self::NO_SUPPORT
                | Self::NO_CONNECT
                | Self::INVALID_CONN
                | Self::INVALID_DOMAIN
                | Self::INVALID_ARG
                | Self::OS_TYPE
                | Self::NO_KERNEL
                | Self::NO_ROOT
                | Self::NO_SOURCE
                | Self::NO_TARGET
                | Self::NO_NAME
                | Self::NO_OS
                | Self::NO_DEVICE
                | Self::XML_ERROR
                | Self::DOM_EXIST
                | Self::OPERATION_DENIED
                | Self::XML_DETAIL
                | Self::NO_DOMAIN
                | Self::INVALID_MAC
                | Self::AUTH_FAILED
                | Self::OPERATION_INVALID
                | Self::CONFIG_UNSUPPORTED
                | Self::INVALID_DOMAIN_SNAPSHOT
                | Self::NO_DOMAIN_SNAPSHOT
                | Self::ARGUMENT_UNSUPPORTED
                | Self::SNAPSHOT_REVERT_RISKY
                | Self::NO_DOMAIN_METADATA
                | Self::OPERATION_UNSUPPORTED
                | Self::ACCESS_DENIED
                | Self::XML_INVALID_SCHEMA
                | Self::NO_STORAGE_POOL
                | Self::NO_STORAGE_VOL
                | Self::STORAGE_VOL_EXIST
                | Self::AUTH_UNAVAILABLE
                | Self::MULTIPLE_DOMAINS
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name}, {}", self.0),
            None => write!(f, "code {}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which part of libvirt speaks: `VIR_FROM_...` of `virterror.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorDomain(pub i32);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level(pub i32);

impl Level {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A warning.
    pub const WARNING: Self = Self(1);
    /// An error.
    pub const ERROR: Self = Self(2);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_named() {
        assert_eq!(Code::NO_DOMAIN.to_string(), "NO_DOMAIN, 42");
        assert_eq!(Code(4711).to_string(), "code 4711");
        assert_eq!(Code(55), Code::OPERATION_INVALID);
    }
}
