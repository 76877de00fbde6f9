//! Who listens to one console, from its domain's start to its end: also when
//! the connection is lost, and when somebody else has the console for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rm_libvirt::{Client, Code, Console, ConsoleFlags, Domain as Handle, Error as Said, Event};
use tokio::sync::{Notify, watch};

use super::All;
use crate::driver::{Error, Result};

/// After this it is tried again to open a console, doubled each time...
const FIRST: Duration = Duration::from_millis(250);
/// ...up to this.
const MOST: Duration = Duration::from_secs(30);
/// Who writes more than this...
const MUCH: usize = 1 << 20;
/// ...in this time is not listened to for as long again.
const WHILE: Duration = Duration::from_secs(1);

/// Whether a console is listened to.
#[derive(Debug)]
pub(super) enum Status {
    /// It is going to be known soon.
    Opening,
    /// It is.
    Open,
    /// The domain does not run.
    Ended,
    /// Somebody else has it.
    InUse,
    /// libvirt does not open it.
    Refused(String),
    /// libvirt cannot be asked.
    Away(String),
}

impl Status {
    /// Tries again what was in vain; whether that was so.
    pub(super) fn once_more(&mut self) -> bool {
        let in_vain = matches!(self, Self::InUse | Self::Refused(_) | Self::Away(_));
        if in_vain {
            *self = Self::Opening;
        }
        in_vain
    }

    /// Whether what is kept of the domain of this name is all there is now.
    pub(super) fn says(&self, name: &str) -> Result<()> {
        match self {
            Self::Opening | Self::Open | Self::Ended => Ok(()),
            Self::InUse => Err(Error::ConsoleInUse(name.to_owned())),
            Self::Refused(why) => Err(Error::Failed(why.clone())),
            Self::Away(why) => Err(Error::Unavailable(why.clone())),
        }
    }

    /// Why it could not be opened.
    fn of(e: &Said) -> Self {
        match e.code() {
            Some(Code::NO_DOMAIN | Code::OPERATION_INVALID) => Self::Ended,
            // That it is in use has no code of its own, and nothing else has
            // this one.
            Some(Code::OPERATION_FAILED) => Self::InUse,
            Some(_) => Self::Refused(e.to_string()),
            None => Self::Away(e.to_string()),
        }
    }
}

/// How listening ended.
enum Over {
    /// The other side closed it: it does not run any more, or somebody has
    /// taken the console.
    Closed,
    /// It wrote too much.
    Much,
    /// There is no connection.
    Lost(String),
}

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) client: Client,
    pub(super) handle: Handle,
    pub(super) all: Arc<All>,
    pub(super) status: watch::Sender<Status>,
    pub(super) now: Arc<Notify>,
}

impl Listener {
    /// Until it does not run any more.
    pub(super) async fn run(self) {
        let mut pause = FIRST;
        while let Some(said) = self.all.said(self.handle.uuid) {
            let flags = ConsoleFlags::default();
            match self.client.open_console(&self.handle, None, flags).await {
                Ok(console) => {
                    self.status.send_replace(Status::Open);
                    let begun = Instant::now();
                    match self.hear(console).await {
                        Over::Much => {
                            tokio::time::sleep(WHILE).await;
                            continue;
                        }
                        Over::Lost(why) => {
                            pause = FIRST;
                            if self.is_hurried_while_away(why).await {
                                continue;
                            }
                        }
                        Over::Closed => {
                            self.status.send_replace(Status::Opening);
                            if begun.elapsed() > MOST {
                                pause = FIRST;
                            }
                        }
                    }
                }
                Err(e) => match Status::of(&e) {
                    Status::Ended => {
                        if self.all.ended(self.handle.uuid, said) {
                            self.status.send_replace(Status::Ended);
                            return;
                        }
                    }
                    Status::Away(why) => {
                        if self.is_hurried_while_away(why).await {
                            continue;
                        }
                    }
                    status => {
                        self.status.send_replace(status);
                    }
                },
            }
            self.pause(pause).await;
            pause = (pause * 2).min(MOST);
        }
    }

    async fn pause(&self, time: Duration) {
        // That it is tried now is as good as later.
        let _ = tokio::time::timeout(time, self.now.notified()).await;
    }

    /// Waits for the next connection, or until somebody asks; whether it was
    /// that.
    async fn is_hurried_while_away(&self, why: String) -> bool {
        let mut events = self.client.events();
        self.status.send_replace(Status::Away(why));
        let connected = async {
            loop {
                match events.next().await {
                    Some(Event::Connected) => return,
                    Some(_) => {}
                    // Nobody connects any more.
                    None => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = connected => false,
            () = self.now.notified() => true,
        }
    }

    async fn hear(&self, mut console: Console) -> Over {
        let (mut since, mut heard) = (Instant::now(), 0);
        loop {
            match console.read().await {
                Ok(Some(piece)) => {
                    self.all.heard(self.handle.uuid, &piece);
                    if since.elapsed() > WHILE {
                        (since, heard) = (Instant::now(), 0);
                    }
                    heard += piece.len();
                    if heard > MUCH {
                        return Over::Much;
                    }
                }
                Err(Said::Overrun) => return Over::Much,
                Ok(None) | Err(Said::Remote { .. }) => return Over::Closed,
                Err(e) => return Over::Lost(e.to_string()),
            }
        }
    }
}
