//! What a call may be told beside its arguments. Flags are joined with `|`;
//! `default()` sets none of them.

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident { $($(#[$flag_doc:meta])* $flag:ident = $bit:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            pub struct $name(u32);

            impl $name {
                $($(#[$flag_doc])* pub const $flag: Self = Self($bit);)*

                pub(crate) fn bits(self) -> u32 {
                    self.0
                }
            }

            impl std::ops::BitOr for $name {
                type Output = Self;

                fn bitor(self, other: Self) -> Self {
                    Self(self.0 | other.0)
                }
            }
        )*
    };
}

flags! {
    /// Which domains to list; all without flags.
    ListFlags {
        /// Those that run, or are paused.
        ACTIVE = 1,
        /// Those that are only defined.
        INACTIVE = 2,
        /// Those that stay when they stop.
        PERSISTENT = 4,
        /// Those that are gone when they stop.
        TRANSIENT = 8,
    }

    /// How to start a domain.
    CreateFlags {
        /// Leave it paused.
        PAUSED = 1,
        /// Destroy it when this connection ends.
        AUTODESTROY = 2,
        /// Boot it anew, even if its state is saved.
        FORCE_BOOT = 8,
        /// Refuse XML that is not what the schema says.
        VALIDATE = 16,
    }

    /// How to ask a guest to shut down or to reboot; any way without flags.
    ShutdownFlags {
        /// Press the power button.
        ACPI_POWER_BUTTON = 1,
        /// Ask the agent in the guest.
        GUEST_AGENT = 2,
        /// Tell the guest's init by its pipe.
        INITCTL = 4,
        /// Send the guest's init a signal.
        SIGNAL = 8,
        /// Tell the guest by the hypervisor.
        PARAVIRT = 16,
    }

    /// How to end a domain.
    DestroyFlags {
        /// Fail rather than kill it.
        GRACEFUL = 1,
    }

    /// What goes together with a definition.
    UndefineFlags {
        /// Its saved state.
        MANAGED_SAVE = 1,
        /// What is known of its snapshots.
        SNAPSHOTS_METADATA = 2,
        /// Its firmware's memory.
        NVRAM = 4,
    }

    /// Which XML of a domain is wanted; that of its present state without flags.
    XmlFlags {
        /// With passwords.
        SECURE = 1,
        /// As it will be at the next start.
        INACTIVE = 2,
    }

    /// Which of a domain's two lives a change is for; the present one without flags.
    Affect {
        /// The running domain.
        LIVE = 1,
        /// Its definition, for the next start.
        CONFIG = 2,
        /// Of memory or vcpus, the limit instead of the number.
        MAXIMUM = 4,
    }

    /// How to save a domain's state.
    SaveFlags {
        /// Let it run when it is started again, even if it is paused now.
        RUNNING = 2,
        /// Leave it paused when it is started again, even if it runs now.
        PAUSED = 4,
    }

    /// How to make a snapshot.
    SnapshotFlags {
        /// Stop the domain when it is made.
        HALT = 8,
        /// Of the disks alone.
        DISK_ONLY = 16,
        /// All of it or nothing.
        ATOMIC = 128,
    }

    /// How to go back to a snapshot; into the state it was made in without flags.
    RevertFlags {
        /// Let the domain run then.
        RUNNING = 1,
        /// Leave the domain paused then.
        PAUSED = 2,
        /// Do it even if that is risky.
        FORCE = 4,
    }

    /// What goes together with a snapshot.
    SnapshotDeleteFlags {
        /// Those made after it.
        CHILDREN = 1,
        /// Nothing but what is known of it; its data stays.
        METADATA_ONLY = 2,
    }

    /// How to open a console.
    ConsoleFlags {
        /// Take it from whoever has it.
        FORCE = 1,
        /// Fail if somebody else has it.
        SAFE = 2,
    }

    /// Which statistics; all that the driver has without flags.
    StatsFlags {
        /// The state and the reason for it.
        STATE = 1,
        /// Processor time.
        CPU = 2,
        /// Memory.
        BALLOON = 4,
        /// Each vcpu.
        VCPU = 8,
        /// Each interface.
        INTERFACE = 16,
        /// Each disk.
        BLOCK = 32,
    }
}
