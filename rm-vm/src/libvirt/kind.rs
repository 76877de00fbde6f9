//! What libvirt's drivers have in common and where they differ.

use rm_libvirt::{ShutdownFlags, UndefineFlags};

use crate::config::XenGuest;
use crate::driver::{Features, Size};

/// One of libvirt's drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Domains that exist in libvirt alone.
    Test,
    /// Containers.
    Lxc,
    /// Paravirtualized machines of Xen.
    Xen,
    /// Those of Xen that the processor runs, of which nothing is emulated.
    XenPvh,
    /// Those of Xen that the processor runs, with the devices of a real one.
    XenHvm,
    /// Machines of QEMU that the processor runs.
    Kvm,
    /// Machines of QEMU that are emulated.
    Emulated,
}

impl Kind {
    /// By its name in a URI.
    pub(super) fn of(driver: &str, emulated: bool, xen: XenGuest) -> Option<Self> {
        match driver {
            "test" => Some(Self::Test),
            "lxc" => Some(Self::Lxc),
            "xen" => Some(match xen {
                XenGuest::Pv => Self::Xen,
                XenGuest::Pvh => Self::XenPvh,
                XenGuest::Hvm => Self::XenHvm,
            }),
            "qemu" if emulated => Some(Self::Emulated),
            "qemu" => Some(Self::Kvm),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Test => "libvirt-test",
            Self::Lxc => "libvirt-lxc",
            Self::Xen | Self::XenPvh | Self::XenHvm => "libvirt-xen",
            Self::Kvm | Self::Emulated => "libvirt-qemu",
        }
    }

    /// As a domain's XML names it.
    pub(super) const fn domain_type(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Lxc => "lxc",
            Self::Xen | Self::XenPvh | Self::XenHvm => "xen",
            Self::Kvm => "kvm",
            Self::Emulated => "qemu",
        }
    }

    pub(super) const fn is_qemu(self) -> bool {
        matches!(self, Self::Kvm | Self::Emulated)
    }

    pub(super) const fn features(self) -> Features {
        let test = matches!(self, Self::Test);
        let lxc = matches!(self, Self::Lxc);
        let qemu = self.is_qemu();
        Features {
            live_memory: true,
            // A container's share of processors is set when it starts.
            live_vcpus: !lxc,
            suspend: true,
            snapshots: test || qemu,
            reimage: lxc || qemu,
            disk_size: qemu,
            // By libvirt's networks.
            links: true,
            rates: false,
            delays: false,
            seed: !test,
            users: false,
            // Of the machine that libvirt takes where none is named.
            vcpus: match self {
                Self::Kvm | Self::Emulated => Some(255),
                Self::XenPvh | Self::XenHvm => Some(128),
                Self::Test | Self::Lxc | Self::Xen => None,
            },
        }
    }

    /// The greatest size to which a domain of this size can be brought while it
    /// runs, for that is fixed when it starts. A machine of QEMU has all its
    /// memory until its guest gives some back, and some never do: so it can have
    /// no more than it started with.
    pub(super) fn most(self, size: Size) -> Size {
        Size {
            memory_mib: if self.is_qemu() {
                size.memory_mib
            } else {
                size.memory_mib.saturating_mul(4)
            },
            vcpus: if self.features().live_vcpus {
                let most = self.features().vcpus.unwrap_or(u32::MAX);
                size.vcpus.saturating_mul(4).min(most)
            } else {
                size.vcpus
            },
        }
    }

    /// How a guest is asked to stop. A container is only asked by a signal:
    /// asked by the pipe of an old init, libvirt says that it worked.
    pub(super) fn shutdown(self) -> ShutdownFlags {
        match self {
            Self::Lxc => ShutdownFlags::SIGNAL,
            _ => ShutdownFlags::default(),
        }
    }

    /// Whether consoles are listened to: those for tests have none.
    pub(super) const fn is_listened_to(self) -> bool {
        !matches!(self, Self::Test)
    }

    /// What goes together with a definition, as far as the driver has it.
    pub(super) fn undefine(self) -> UndefineFlags {
        match self {
            Self::Test | Self::Kvm | Self::Emulated => {
                UndefineFlags::MANAGED_SAVE | UndefineFlags::SNAPSHOTS_METADATA
            }
            Self::Lxc => UndefineFlags::default(),
            Self::Xen | Self::XenPvh | Self::XenHvm => UndefineFlags::MANAGED_SAVE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_can_be_given_no_more_processors_than_libvirt_takes() {
        let most = |kind: Kind, vcpus| {
            let size = Size {
                vcpus,
                memory_mib: 64,
            };
            kind.most(size).vcpus
        };
        for kind in [Kind::Kvm, Kind::Emulated] {
            assert_eq!([1, 63, 64, 255].map(|n| most(kind, n)), [4, 252, 255, 255]);
        }
        assert_eq!(most(Kind::Lxc, 100), 100);
    }
}
