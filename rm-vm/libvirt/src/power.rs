//! Calls that let domains run, and what they run with.

use crate::client::Client;
use crate::domain::Domain;
use crate::domains::of;
use crate::error::Result;
use crate::flags::{Affect, CreateFlags, DestroyFlags, SaveFlags, ShutdownFlags};
use crate::procedure::{
    CREATE, CREATE_XML, DESTROY, HAS_MANAGED_SAVE, MANAGED_SAVE, MANAGED_SAVE_REMOVE, Procedure,
    REBOOT, RESUME, SET_MEMORY, SET_VCPUS, SHUTDOWN, SUSPEND,
};
use crate::xdr::Writer;

impl Client {
    /// Start a domain that is not defined, and is gone when it stops.
    pub async fn create_xml(&self, xml: &str, flags: CreateFlags) -> Result<Domain> {
        let mut arguments = Writer::new();
        arguments.string(xml).u32(flags.bits());
        self.call(CREATE_XML, arguments, Domain::decode).await
    }

    /// Start a defined domain; from its saved state if it has one.
    pub async fn create(&self, domain: &Domain, flags: CreateFlags) -> Result<Domain> {
        let mut arguments = of(domain);
        arguments.u32(flags.bits());
        self.call(CREATE, arguments, Domain::decode).await
    }

    /// Ask the guest to shut down. Whether it does is told by an event.
    pub async fn shutdown(&self, domain: &Domain, flags: ShutdownFlags) -> Result<()> {
        self.flagged(SHUTDOWN, domain, flags.bits()).await
    }

    /// Ask the guest to reboot.
    pub async fn reboot(&self, domain: &Domain, flags: ShutdownFlags) -> Result<()> {
        self.flagged(REBOOT, domain, flags.bits()).await
    }

    /// End a domain at once. Its definition stays.
    pub async fn destroy(&self, domain: &Domain, flags: DestroyFlags) -> Result<()> {
        self.flagged(DESTROY, domain, flags.bits()).await
    }

    /// Pause a running domain; it keeps its memory.
    pub async fn suspend(&self, domain: &Domain) -> Result<()> {
        self.order(SUSPEND, of(domain)).await
    }

    /// Let a paused domain go on.
    pub async fn resume(&self, domain: &Domain) -> Result<()> {
        self.order(RESUME, of(domain)).await
    }

    /// Save a running domain's state and stop it. [`create`](Self::create)
    /// goes on from there.
    pub async fn managed_save(&self, domain: &Domain, flags: SaveFlags) -> Result<()> {
        self.flagged(MANAGED_SAVE, domain, flags.bits()).await
    }

    /// Whether the domain has a saved state.
    pub async fn has_managed_save(&self, domain: &Domain) -> Result<bool> {
        let mut arguments = of(domain);
        arguments.u32(0);
        self.call(HAS_MANAGED_SAVE, arguments, |answer| answer.flag())
            .await
    }

    /// Throw the saved state away.
    pub async fn managed_save_remove(&self, domain: &Domain) -> Result<()> {
        self.flagged(MANAGED_SAVE_REMOVE, domain, 0).await
    }

    /// Change the domain's memory.
    pub async fn set_memory(&self, domain: &Domain, kib: u64, of_life: Affect) -> Result<()> {
        let mut arguments = of(domain);
        arguments.u64(kib).u32(of_life.bits());
        self.order(SET_MEMORY, arguments).await
    }

    /// Change the number of the domain's vcpus.
    pub async fn set_vcpus(&self, domain: &Domain, count: u32, of_life: Affect) -> Result<()> {
        let mut arguments = of(domain);
        arguments.u32(count).u32(of_life.bits());
        self.order(SET_VCPUS, arguments).await
    }

    async fn flagged(&self, procedure: Procedure, domain: &Domain, flags: u32) -> Result<()> {
        let mut arguments = of(domain);
        arguments.u32(flags);
        self.order(procedure, arguments).await
    }
}
