//! The output of a guest's console, piece by piece as it comes.

use crate::client::Client;
use crate::domain::Domain;
use crate::domains::of;
use crate::error::Result;
use crate::flags::ConsoleFlags;
use crate::procedure::OPEN_CONSOLE;
use crate::stream::Stream;

/// An open console. Dropping it closes it.
#[derive(Debug)]
pub struct Console(Stream);

impl Console {
    /// What the guest writes next: not empty, and `None` once the console is
    /// closed from the other side. May be cancelled without losing anything.
    pub async fn read(&mut self) -> Result<Option<Vec<u8>>> {
        self.0.read().await
    }
}

impl Client {
    /// Listen to a running guest's console; `device` is the alias of one in
    /// the domain's XML, and the first console without it. How long it may
    /// take to open it is bounded by the deadline; reading is not.
    pub async fn open_console(
        &self,
        domain: &Domain,
        device: Option<&str>,
        flags: ConsoleFlags,
    ) -> Result<Console> {
        let mut arguments = of(domain);
        arguments.optional(device).u32(flags.bits());
        Ok(Console(self.open_stream(OPEN_CONSOLE, arguments).await?))
    }
}
