//! What domains write to their consoles, listened to while they run: libvirt
//! keeps none of it, so what nobody listens to is gone.
//!
//! Listeners have a connection beside that of the calls, so that what hangs
//! there holds up nothing else, and never take a console from somebody who has
//! it. What they hear is kept in memory alone, and bounded: see [`kept`].

mod kept;
mod listener;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rm_libvirt::{Client, Config, Domain as Handle, Uuid};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::Libvirt;
use super::kind::Kind;
use crate::driver::{Domain, Driver as _, Error, Result, State};
use kept::Kept;
use listener::{Listener, Status};

/// So many domains of a host are listened to.
const LISTENED: usize = 1024;
/// So many consoles are being opened at once.
const OPENING: usize = 2;
/// For so long an answer waits until it is known who has the console.
const PATIENCE: Duration = Duration::from_secs(10);

/// The consoles of one libvirt. Nobody listens any more when this is dropped.
#[derive(Debug)]
pub(super) struct Consoles {
    config: Config,
    /// There when somebody listens for the first time.
    client: OnceLock<Client>,
    all: Arc<All>,
}

#[derive(Debug, Default)]
struct All(Mutex<Known>);

/// Those that were listened to.
#[derive(Debug, Default)]
struct Known {
    /// By UUID, for a name may come again with another domain.
    of: BTreeMap<Uuid, One>,
    kept: Kept,
}

#[derive(Debug, Default)]
struct One {
    /// How often it was said to run. Who finds that it does not looks again
    /// where this was said meanwhile.
    said: u64,
    /// Who listens to it.
    ear: Option<Ear>,
}

#[derive(Debug)]
struct Ear {
    status: watch::Sender<Status>,
    /// Tries now what would be tried later.
    now: Arc<Notify>,
    task: AbortHandle,
}

impl Consoles {
    /// Of domains of this kind; nothing where they are not listened to.
    pub(super) fn of(kind: Kind, config: &Config) -> Option<Self> {
        if !kind.is_listened_to() {
            return None;
        }
        let mut config = config.clone();
        config.in_flight = OPENING;
        Some(Self {
            config,
            client: OnceLock::new(),
            all: Arc::default(),
        })
    }

    /// It was started just now.
    pub(super) fn started(&self, handle: &Handle) {
        // What hindered it is over; who waits for it to be under way waits on.
        self.listen(handle, |ear| {
            if ear.status.send_if_modified(Status::once_more) {
                ear.now.notify_one();
            }
        });
    }

    /// It runs, as far as is known.
    pub(super) fn runs(&self, handle: &Handle) {
        self.listen(handle, |_| {});
    }

    /// It is gone for good, and what it wrote with it.
    pub(super) fn forget(&self, handle: &Handle) {
        self.all.lock().forget(handle.uuid);
    }

    /// Has somebody listen to it, unless somebody does; nothing where there are
    /// too many.
    fn listen<T>(&self, handle: &Handle, then: impl FnOnce(&Ear) -> T) -> Option<T> {
        let mut known = self.all.lock();
        if !known.has_room_for(handle.uuid) {
            return None;
        }
        let one = known.of.entry(handle.uuid).or_default();
        one.said += 1;
        let ear = one.ear.get_or_insert_with(|| self.ear(handle));
        Some(then(ear))
    }

    fn ear(&self, handle: &Handle) -> Ear {
        let client = self.client.get_or_init(|| {
            let (client, connection) = Client::new(self.config.clone());
            tokio::spawn(connection.run());
            client
        });
        let (status, now) = (watch::Sender::new(Status::Opening), Arc::default());
        let listener = Listener {
            client: client.clone(),
            handle: handle.clone(),
            all: Arc::clone(&self.all),
            status: status.clone(),
            now: Arc::clone(&now),
        };
        let task = tokio::spawn(listener.run()).abort_handle();
        Ear { status, now, task }
    }

    /// The last of what it wrote, where nobody else has its console now.
    async fn last(&self, handle: &Handle, most: usize) -> Result<Vec<u8>> {
        // What stands still tells nothing more; what it told is kept.
        if handle.id.is_some() {
            self.is_heard(handle).await?;
        }
        Ok(self.all.lock().kept.last(handle.uuid, most))
    }

    async fn is_heard(&self, handle: &Handle) -> Result<()> {
        let asked = self.listen(handle, |ear| {
            // Whatever hindered it may be over.
            ear.status.send_if_modified(Status::once_more);
            let status = ear.status.subscribe();
            if !matches!(*status.borrow(), Status::Open) {
                ear.now.notify_one();
            }
            status
        });
        let Some(mut status) = asked else {
            return Err(Error::Failed(format!(
                "so many consoles are listened to ({LISTENED}) that nobody listens to that of {:?}",
                handle.name
            )));
        };
        let known = status.wait_for(|status| !matches!(status, Status::Opening));
        match tokio::time::timeout(PATIENCE, known).await {
            Ok(Ok(status)) => status.says(&handle.name),
            // It was given up meanwhile.
            Ok(Err(_)) => Ok(()),
            Err(_) => Err(Error::Unavailable(format!(
                "the console of {:?} was not opened within {} s",
                handle.name,
                PATIENCE.as_secs()
            ))),
        }
    }
}

impl Drop for Consoles {
    fn drop(&mut self) {
        let ears = std::mem::take(&mut self.all.lock().of);
        for ear in ears.into_values().filter_map(|one| one.ear) {
            ear.task.abort();
        }
    }
}

impl All {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often this one was said to run; nothing where it was forgotten.
    fn said(&self, uuid: Uuid) -> Option<u64> {
        self.lock().of.get(&uuid).map(|one| one.said)
    }

    /// Keeps what it wrote, unless it was forgotten.
    fn heard(&self, uuid: Uuid, piece: &[u8]) {
        let mut known = self.lock();
        if known.of.contains_key(&uuid) {
            known.kept.put(uuid, piece);
        }
    }

    /// Nobody listens to it any more, for it does not run; false where it was
    /// said to since.
    fn ended(&self, uuid: Uuid, said: u64) -> bool {
        let mut known = self.lock();
        let Some(one) = known.of.get_mut(&uuid) else {
            return true;
        };
        let is_so = one.said == said;
        if is_so {
            one.ear = None;
        }
        is_so
    }
}

impl Known {
    fn forget(&mut self, uuid: Uuid) {
        self.kept.forget(uuid);
        if let Some(ear) = self.of.remove(&uuid).and_then(|one| one.ear) {
            ear.task.abort();
        }
    }

    /// What is left of one that does not run makes room for one that does.
    fn has_room_for(&mut self, uuid: Uuid) -> bool {
        if self.of.len() < LISTENED || self.of.contains_key(&uuid) {
            return true;
        }
        let ended = self.of.iter().find(|(_, one)| one.ear.is_none());
        let ended = ended.map(|(uuid, _)| *uuid);
        if let Some(uuid) = ended {
            self.forget(uuid);
        }
        ended.is_some()
    }
}

impl Libvirt {
    /// Listens to one that was asked for by its name, where somebody else has
    /// started it, or this program before it was started anew. Who only lists
    /// all there are may not be whose they are.
    pub(super) fn heard_if_it_runs(&self, handle: &Handle, found: Option<&Domain>) {
        let (Some(consoles), Some(domain)) = (&self.consoles, found) else {
            return;
        };
        let runs = matches!(domain.state, State::Running | State::Suspended);
        if runs && domain.metadata.is_some() {
            consoles.runs(handle);
        }
    }

    /// What a domain wrote while it was listened to.
    pub(super) async fn console_of(&self, of: &str, most: usize) -> Result<Vec<u8>> {
        let Some(consoles) = &self.consoles else {
            return Err(self.cannot("read a console"));
        };
        let handle = self.look_up(of).await?;
        consoles.last(&handle, most).await
    }

    /// How an operator of the host reads it: of machines libvirt gives it to
    /// one at a time, and that is us.
    pub(super) fn console_by_hand(&self, of: &str) -> Option<String> {
        let force = match (self.kind, &self.consoles) {
            (Kind::Test, _) => return None,
            (Kind::Lxc, _) | (_, None) => "",
            (_, Some(_)) => " --force",
        };
        Some(format!("virsh -c {} console{force} {of}", self.uri))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consoles() -> Consoles {
        let nowhere = "qemu+unix:///system?socket=/none".parse().unwrap();
        Consoles::of(Kind::Kvm, &Config::new(nowhere)).unwrap()
    }

    fn running(number: usize) -> Handle {
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&number.to_be_bytes());
        let mut handle = Handle::new(format!("n{number}"), Uuid(uuid));
        handle.id = Some(1);
        handle
    }

    #[tokio::test]
    async fn of_many_so_many_are_listened_to_and_the_rest_is_told_so() {
        let consoles = consoles();
        for number in 0..=LISTENED {
            consoles.started(&running(number));
        }
        assert_eq!(consoles.all.lock().of.len(), LISTENED);
        let late = running(LISTENED);
        let refused = consoles.last(&late, 5).await.unwrap_err();
        assert!(matches!(&refused, Error::Failed(why) if why.contains("1024")));
        // Of one that does not run any more what was heard goes.
        let said = consoles.all.said(running(7).uuid).unwrap();
        consoles.all.heard(running(7).uuid, b"bye");
        assert!(consoles.all.ended(running(7).uuid, said));
        let ended = Handle::new("n7", running(7).uuid);
        assert_eq!(consoles.last(&ended, 5).await.unwrap(), b"bye");
        consoles.started(&late);
        assert_eq!(consoles.last(&ended, 5).await.unwrap(), b"");
        assert!(consoles.all.said(late.uuid).is_some());
    }

    #[tokio::test]
    async fn who_was_started_meanwhile_has_not_ended() {
        let consoles = consoles();
        let one = running(1);
        consoles.started(&one);
        let said = consoles.all.said(one.uuid).unwrap();
        consoles.started(&one);
        assert!(!consoles.all.ended(one.uuid, said));
        assert!(consoles.all.ended(one.uuid, said + 1));
    }

    #[tokio::test]
    async fn what_cannot_be_heard_is_not_said_to_be_all() {
        let consoles = consoles();
        let one = running(1);
        consoles.started(&one);
        consoles.all.heard(one.uuid, b"before");
        let away = consoles.last(&one, 10).await.unwrap_err();
        assert!(matches!(away, Error::Unavailable(_)), "{away}");
        // Of one that is gone nothing is kept.
        consoles.forget(&one);
        consoles.all.heard(one.uuid, b"late");
        assert_eq!(consoles.all.lock().kept.last(one.uuid, 10), b"");
    }
}
