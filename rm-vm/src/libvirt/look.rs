//! Looking at a domain, and waiting for what becomes of it.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use rm_libvirt::{
    Affect, Code, Domain as Handle, Event, Events, ListFlags, State as Doing, XmlFlags,
};

use super::failure::failure;
use super::known::{Taken, Want};
use super::{AT_ONCE, Libvirt, read};
use crate::driver::{Domain, Error, Result, Share, State};

impl Libvirt {
    /// A domain as it is now; nothing where it is gone.
    pub(super) async fn look(&self, handle: &Handle) -> Result<Option<Domain>> {
        let asked = async {
            tokio::try_join!(
                self.client.xml(handle, XmlFlags::default()),
                self.client.state(handle)
            )
        };
        let (xml, (doing, why)) = match asked.await {
            Ok(told) => told,
            Err(e) if e.code() == Some(Code::NO_DOMAIN) => return Ok(None),
            Err(e) => return Err(failure(&handle.name, &e)),
        };
        let read = read::domain(&xml)?;
        let state = state(doing, why, read.id.is_some());
        Ok(Some(Domain {
            name: handle.name.clone(),
            state,
            ran: state != State::Stopped || has_run(doing, why),
            boot: read.id,
            size: read.size,
            metadata: read.metadata,
        }))
    }

    /// What all domains take. Only those are asked for of which it is not
    /// known.
    pub(super) async fn taken(&self, want: Want) -> Result<Vec<Taken>> {
        let all = self.client.list_domains(ListFlags::default()).await;
        let all = all.map_err(|e| failure("", &e))?;
        let as_of = self.known.as_of();
        let (mut all_taken, unknown) = self.known.sort(all, want);
        let asked = stream::iter(unknown).map(|handle| async move {
            let taken = self.taken_by(&handle).await?;
            Ok::<_, Error>(taken.map(|taken| (handle.uuid, taken)))
        });
        let read = asked.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>();
        for (uuid, taken) in read.await?.into_iter().flatten() {
            self.known.keep(as_of, uuid, taken.clone());
            all_taken.push(taken);
        }
        Ok(all_taken)
    }

    /// What one takes; nothing where it is gone.
    async fn taken_by(&self, handle: &Handle) -> Result<Option<Taken>> {
        let xml = match self.client.xml(handle, XmlFlags::default()).await {
            Ok(xml) => xml,
            Err(e) if e.code() == Some(Code::NO_DOMAIN) => return Ok(None),
            Err(e) => return Err(failure(&handle.name, &e)),
        };
        let read = read::domain(&xml)?;
        let share = Share {
            name: handle.name.clone(),
            size: read.size,
            metadata: read.metadata,
        };
        Ok(Some(Taken {
            share,
            links: read.links,
        }))
    }

    /// Our text in the domain's metadata, if there is one.
    pub(super) async fn note(&self, handle: &Handle) -> Result<Option<String>> {
        let uri = super::metadata::NAMESPACE;
        match self.client.metadata(handle, uri, Affect::CONFIG).await {
            Ok(element) => Ok(read::element(&element)),
            Err(e) => match e.code() {
                Some(Code::NO_DOMAIN | Code::NO_DOMAIN_METADATA) => Ok(None),
                // A domain that is not defined has no metadata for later.
                Some(Code::OPERATION_INVALID) => Ok(None),
                _ => Err(failure(&handle.name, &e)),
            },
        }
    }

    pub(super) async fn state(&self, handle: &Handle) -> Result<State> {
        let told = self.client.state(handle).await;
        let (doing, why) = told.map_err(|e| failure(&handle.name, &e))?;
        Ok(state(doing, why, true))
    }

    pub(super) async fn is_active(&self, handle: &Handle) -> Result<bool> {
        let told = self.client.state(handle).await;
        let (doing, _) = told.map_err(|e| failure(&handle.name, &e))?;
        Ok(doing.is_active())
    }

    /// Asks it to stop, and whether it did so in time.
    pub(super) async fn asked_to_stop(&self, handle: &Handle, grace: Duration) -> Result<bool> {
        // Heard from before the question on, so that no answer is overheard.
        let mut events = self.client.events();
        match self.client.shutdown(handle, self.kind.shutdown()).await {
            Ok(()) => {}
            // Who cannot be asked is not asked.
            Err(rm_libvirt::Error::Remote { .. }) => return Ok(false),
            Err(e) => return Err(failure(&handle.name, &e)),
        }
        let stopped = self.stopped(handle, &mut events);
        match tokio::time::timeout(grace, stopped).await {
            Ok(stopped) => stopped.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    async fn stopped(&self, handle: &Handle, events: &mut Events) -> Result<()> {
        loop {
            if self.state(handle).await? == State::Stopped {
                return Ok(());
            }
            loop {
                match events.next().await {
                    Some(Event::Lifecycle(life)) if life.domain.uuid != handle.uuid => {}
                    Some(Event::Disconnected(_)) => {}
                    Some(_) => break,
                    None => {
                        return Err(Error::Unavailable(
                            "libvirt is not heard any more".to_owned(),
                        ));
                    }
                }
            }
        }
    }
}

/// Whether what does not run is known to have run, by libvirt's number of the
/// reason why it does not. It says nothing where it was started anew since, and
/// of what was never started; and a start may have failed, or been ended with
/// libvirt itself, which kills what it finds half started when it comes back.
fn has_run(doing: Doing, why: i32) -> bool {
    const UNKNOWN: i32 = 0;
    const NOT_STARTED: i32 = 6;
    const BY_THE_DAEMON: i32 = 8;
    doing == Doing::Shutoff && !matches!(why, UNKNOWN | NOT_STARTED | BY_THE_DAEMON)
}

/// What libvirt's word means, with its number of the reason. Xen does not say
/// what one does that could run and does nothing; and as long as a machine of
/// QEMU is being started it counts as paused.
fn state(doing: Doing, why: i32, is_active: bool) -> State {
    const STARTING_UP: i32 = 11;
    match doing {
        Doing::Paused if why == STARTING_UP => State::Moving,
        Doing::Running | Doing::Blocked => State::Running,
        Doing::NoState if is_active => State::Running,
        Doing::NoState | Doing::Shutoff => State::Stopped,
        Doing::Paused | Doing::PmSuspended => State::Suspended,
        Doing::Crashed => State::Crashed,
        _ => State::Moving,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// libvirt's `virDomainShutoffReason`.
    #[test]
    fn of_all_reasons_for_not_running_those_count_that_say_that_it_ran() {
        for (why, ran, reason) in [
            (0, false, "not known"),
            (1, true, "it shut down"),
            (2, true, "it was ended"),
            (3, true, "it crashed"),
            (4, true, "it went to another host"),
            (5, true, "it was saved"),
            (6, false, "it did not start"),
            (7, true, "it was brought back to a snapshot"),
            (8, false, "libvirt killed it when it came back"),
        ] {
            assert_eq!(has_run(Doing::Shutoff, why), ran, "{why}: {reason}");
        }
    }

    /// libvirt's `virDomainPausedReason`.
    #[test]
    fn what_is_being_started_is_on_its_way_and_not_suspended() {
        for why in 0..=14 {
            let is = match why {
                11 => State::Moving,
                _ => State::Suspended,
            };
            assert_eq!(state(Doing::Paused, why, true), is, "{why}");
        }
        assert_eq!(state(Doing::Running, 11, true), State::Running);
        assert_eq!(state(Doing::NoState, 0, true), State::Running);
        assert_eq!(state(Doing::NoState, 0, false), State::Stopped);
    }
}
