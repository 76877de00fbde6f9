//! Bringing a node that is there to what is wanted of it, from whatever it is
//! now: also what is left of a create or a change that was cut off.

use std::sync::Arc;
use std::time::Duration;

use rm_core::backend::Mark;
use rm_core::model::{Action, NodeSpec, NodeUser, Power, Request};
use rm_core::owner::Owner;
use rm_core::{Error, ErrorKind, Result};

use super::make::definition;
use super::{not_ours, only};
use crate::addresses::Taken;
use crate::driver::{self, Domain, Image, Size, State};
use crate::failure::failure;
use crate::hosts::Host;
use crate::mark::{Begun, Record};

/// A node and what is wanted of it.
pub(super) struct Bring {
    pub(super) host: Arc<Host>,
    /// What a new disk would be made of, where the catalog still has it.
    pub(super) image: Option<Image>,
    pub(super) grace: Duration,
    pub(super) name: String,
    pub(super) mark: Mark,
    pub(super) spec: NodeSpec,
    pub(super) owner: Option<Owner>,
}

impl Bring {
    pub(super) async fn run(self) -> Result<()> {
        let _turn = self.host.turn(&self.name).await;
        let domain = self.look().await.map_err(|e| self.failed(e))?;
        let ours = Record::of(&domain).filter(|r| {
            (&r.mark.installation, r.mark.resource) == (&self.mark.installation, self.mark.resource)
        });
        let Some(mut record) = ours else {
            return Err(not_ours(&self.host, &self.name));
        };
        record.new = false;
        // What was left half-done is not what the record says, so that nothing
        // can be gone back to before it is whole. In what does not run nobody is
        // half let in: who may log in waits for its start.
        let half = record.maybe.is_some() && domain.state == State::Running;
        let snapshots = self.snapshots(&record).await.map_err(|e| self.failed(e))?;
        match self.check(&domain, &record, snapshots) {
            Err(e) if half => return Err(e.effect_unknown().temporary()),
            checked => checked?,
        }
        let is_begun = domain.ran && record.mark.generation > 0;
        if domain.state == State::Stopped && self.spec.power != Power::Stopped && !is_begun {
            self.is_alone(&record).await?;
        }
        let mut steps = Steps {
            of: &self,
            state: domain.state,
            boot: domain.boot.clone(),
            touched: half || record.unfinished,
            record,
        };
        match steps.run(domain.size).await {
            Ok(()) => Ok(()),
            // Where a part was done, what is left is done by a later change.
            Err(e) if steps.touched => Err(self.failed(e).effect_unknown().temporary()),
            Err(e) => Err(self.failed(e)),
        }
    }

    fn failed(&self, e: driver::Error) -> Error {
        failure(&self.host.name, "change node", e)
    }

    async fn look(&self) -> driver::Result<Domain> {
        let found = self
            .host
            .driver
            .these(std::slice::from_ref(&self.name))
            .await?;
        only(found).ok_or_else(|| driver::Error::NotFound(self.name.clone()))
    }

    /// Refuses to start it for the first time beside somebody who has one of its
    /// addresses, too: who defined it may have been cut off before he compared
    /// them with those of others, or have found one and not got it away again.
    async fn is_alone(&self, record: &Record) -> Result<()> {
        if record.nics.is_empty() {
            return Ok(());
        }
        let promised = self.host.promised(&self.name);
        let notes = self.host.driver.notes().await;
        let mut others = Taken::of(&notes.map_err(|e| self.failed(e))?, &self.name);
        others.add(&promised);
        let Some(what) = others.first(&record.nics) else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "{}: {what} of {:?} is another node's on this host, too",
                self.host.name, self.name
            ),
        )
        .advice("release one of the two; it is tried again by itself")
        .site(&*self.host.name)
        .temporary())
    }

    /// Its snapshots, where one is to be made or gone back to.
    async fn snapshots(&self, record: &Record) -> driver::Result<Vec<String>> {
        let matters = |r: &Request| matches!(r.action, Action::Snapshot(_) | Action::Restore(_));
        match self.pending(record).any(matters) {
            true => self.host.driver.snapshots(&self.name).await,
            false => Ok(Vec::new()),
        }
    }

    /// What cannot be done with it is refused before anything is.
    fn check(&self, domain: &Domain, record: &Record, mut snapshots: Vec<String>) -> Result<()> {
        let (old, new) = (&record.spec, &self.spec);
        let cannot = |what: &str, advice: &str| {
            let e = Error::new(ErrorKind::Unsupported, what).advice(advice);
            Err(e.site(&*self.host.name))
        };
        if record.mark.generation > self.mark.generation {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "{}: {:?} was changed by a newer request already",
                    self.host.name, self.name
                ),
            ));
        }
        if (&old.interfaces, old.disk_gib) != (&new.interfaces, new.disk_gib) {
            return cannot(
                "interfaces and the size of the disk cannot be changed",
                "ask for another node",
            );
        }
        let pending: Vec<&Request> = self.pending(record).collect();
        let anew = record.unfinished || pending.iter().any(|r| r.action == Action::Reimage);
        if !anew && born(old) != born(new) {
            return cannot(
                "image, hostname, user data and boot commands are what a node is born with",
                "ask for a reimage in the same change",
            );
        }
        let features = self.host.driver.features();
        let others = !anew && old.users != new.users;
        // What is to stop or stand still does so, whoever logs in: that waits
        // for the next start.
        if others && !features.users {
            return cannot(
                "who logs in can be changed in what runs, and not by every kind of host",
                "ask for a reimage in the same change",
            );
        }
        if anew && self.image.is_none() {
            return Err(
                Error::invalid("the catalog has no image of this node any more")
                    .advice("add the image, or name another one in the same change"),
            );
        }
        for request in pending {
            let begun = record.begun.as_ref().is_some_and(|b| b.request == *request);
            match &request.action {
                Action::Snapshot(name) if !begun && snapshots.contains(name) => {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!("there is a snapshot {name:?} of this node already"),
                    )
                    .advice("choose another name"));
                }
                Action::Snapshot(name) => snapshots.push(name.clone()),
                Action::Restore(name) if !snapshots.contains(name) => {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!("there is no snapshot {name:?} of this node"),
                    )
                    .advice(format!("the snapshots are: {}", snapshots.join(", "))));
                }
                _ => {}
            }
        }
        let runs = domain.state != State::Stopped && new.power != Power::Stopped;
        let (was, shall) = (domain.size, size(new));
        if runs && was.memory_mib != shall.memory_mib && !features.live_memory {
            return cannot(
                "this kind of host cannot change the memory of what runs",
                "stop the node first",
            );
        }
        if runs && was.vcpus != shall.vcpus && !features.live_vcpus {
            return cannot(
                "this kind of host cannot change the processors of what runs",
                "stop the node first",
            );
        }
        Ok(())
    }

    /// What was asked for and not done yet. What a node was asked for with is done.
    fn pending<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = &'a Request> {
        let requests = self.spec.requests.iter();
        requests.filter(move |r| r.number > record.done)
    }
}

/// What a node is born with, but for its users, which some hosts can change.
fn born(spec: &NodeSpec) -> impl PartialEq + '_ {
    (
        &spec.image.sha256,
        &spec.hostname,
        &spec.user_data,
        &spec.boot_commands,
    )
}

fn size(spec: &NodeSpec) -> Size {
    Size {
        vcpus: spec.vcpus,
        memory_mib: spec.memory_mib,
    }
}

/// Puts in of these what is not there yet.
fn merge(users: &mut Vec<NodeUser>, others: Vec<NodeUser>) {
    for user in others {
        if !users.contains(&user) {
            users.push(user);
        }
    }
}

/// Step by step, and what is known of the domain after each.
struct Steps<'a> {
    of: &'a Bring,
    state: State,
    boot: Option<String>,
    record: Record,
    touched: bool,
}

impl Steps<'_> {
    async fn run(&mut self, was: Size) -> driver::Result<()> {
        let (of, driver) = (self.of, &self.of.host.driver);
        if self.record.unfinished {
            self.anew().await?;
            self.record.unfinished = false;
            self.note().await?;
        }
        if of.spec.power == Power::Stopped {
            self.stop().await?;
        }
        let pending: Vec<Request> = of.pending(&self.record).cloned().collect();
        for request in &pending {
            self.carry_out(request).await?;
        }
        if was != size(&of.spec) {
            driver.resize(&of.name, size(&of.spec)).await?;
            self.touched = true;
        }
        match of.spec.power {
            Power::Stopped => {}
            Power::Running => self.run_on().await?,
            Power::Suspended if self.state == State::Suspended => {}
            Power::Suspended => {
                self.run_on().await?;
                driver.suspend(&of.name).await?;
                self.moved(State::Suspended);
            }
        }
        if of.spec.power == Power::Running {
            if self.record.spec.users != of.spec.users || self.record.maybe.is_some() {
                self.users().await?;
            }
        } else if self.record.spec.users != of.spec.users {
            // The next start lets them in, and these out again.
            let before = self.record.spec.users.clone();
            self.uncertain(before);
        }
        self.record.mark = of.mark.clone();
        self.record.spec = of.spec.clone();
        if of.owner.is_some() {
            self.record.owner.clone_from(&of.owner);
        }
        if let Some(last) = of.spec.requests.last() {
            self.record.done = self.record.done.max(last.number);
        }
        self.note().await
    }

    /// Lets in who is to log in, and nobody else who was or may have been let in
    /// before. That it was begun is written down first: where it is cut off, a
    /// later change knows that it was, and whom to take out again.
    async fn users(&mut self) -> driver::Result<()> {
        let (of, driver) = (self.of, &self.of.host.driver);
        let begun = self.record.maybe.clone();
        let mut maybe = begun.clone().unwrap_or_default();
        let before = [self.record.spec.users.as_slice(), &maybe].concat();
        let new = of.spec.users.iter().filter(|user| !before.contains(user));
        maybe.extend(new.cloned());
        self.record.maybe = Some(maybe);
        self.note().await?;
        let done = driver.users(&of.name, &before, &of.spec.users).await;
        match done {
            Ok(()) => {
                self.record.maybe = None;
                self.touched = true;
                self.once(&before).await?;
            }
            Err(driver::Error::Unclear(_)) => {}
            Err(_) => {
                self.record.maybe = begun;
                // The error says more than that this could not be noted.
                let _ = self.note().await;
            }
        }
        done
    }

    /// These may be let in beside those of the spec, or may be not.
    fn uncertain(&mut self, users: Vec<NodeUser>) {
        let maybe = self.record.maybe.get_or_insert_default();
        merge(maybe, users);
    }

    /// These were let in, and snapshots may have their keys still: whoever goes
    /// back to one knows by this whom to take out again.
    async fn once(&mut self, users: &[NodeUser]) -> driver::Result<()> {
        let of = self.of;
        if !of.host.driver.features().snapshots {
            return Ok(());
        }
        match of.host.driver.snapshots(&of.name).await?.is_empty() {
            true => self.record.once.clear(),
            false => merge(&mut self.record.once, users.to_vec()),
        }
        Ok(())
    }

    async fn carry_out(&mut self, request: &Request) -> driver::Result<()> {
        let begun = self.record.begun.take().filter(|b| b.request == *request);
        let begun = begun.unwrap_or_else(|| Begun {
            request: request.clone(),
            boot: self.boot.clone(),
        });
        // What does not run is not rebooted, and one that was begun in another
        // boot has taken place.
        let same_boot = begun.boot.is_some() && begun.boot == self.boot;
        self.record.begun = Some(begun);
        self.note().await?;
        if let Err(e) = self.act(&request.action, same_boot).await {
            if !matches!(e, driver::Error::Unclear(_)) {
                self.record.begun = None;
                // The error says more than that this could not be noted.
                let _ = self.note().await;
            }
            return Err(e);
        }
        self.record.begun = None;
        self.record.done = request.number;
        self.note().await
    }

    async fn act(&mut self, action: &Action, same_boot: bool) -> driver::Result<()> {
        let (of, driver) = (self.of, &self.of.host.driver);
        match action {
            Action::Reboot if same_boot => {
                self.stop().await?;
                if of.spec.power != Power::Stopped {
                    self.run_on().await?;
                }
                self.boot = of.look().await?.boot;
            }
            Action::Reboot => {}
            Action::Snapshot(name) => driver.snapshot(&of.name, name).await?,
            Action::Restore(name) => {
                self.stop().await?;
                if driver.features().users {
                    // Whom it lets in is what it did when it was kept.
                    let once = self.record.once.clone();
                    self.uncertain(once);
                    self.note().await?;
                }
                driver.restore(&of.name, name).await?;
            }
            Action::Reimage => self.anew().await?,
        }
        Ok(())
    }

    /// Makes its disk anew, and so all that is put into that.
    async fn anew(&mut self) -> driver::Result<()> {
        let (of, driver) = (self.of, &self.of.host.driver);
        let Some(image) = &of.image else {
            return Err(driver::Error::invalid("there is no image for a new disk"));
        };
        driver.bring(image).await?;
        self.stop().await?;
        let nics = &self.record.nics;
        let new = definition(&of.host, &of.name, image, &of.spec, nics, String::new());
        driver.reimage(&new).await?;
        // A new disk has nobody but those it was made with. Its older
        // snapshots have others.
        let mut before = self.record.spec.users.clone();
        merge(&mut before, self.record.maybe.take().unwrap_or_default());
        self.once(&before).await?;
        let NodeSpec {
            image,
            hostname,
            users,
            user_data,
            boot_commands,
            ..
        } = of.spec.clone();
        self.record.spec = NodeSpec {
            image,
            hostname,
            users,
            user_data,
            boot_commands,
            ..self.record.spec.clone()
        };
        Ok(())
    }

    /// It runs, wherever it was.
    async fn run_on(&mut self) -> driver::Result<()> {
        let (of, driver) = (self.of, &self.of.host.driver);
        match self.state {
            State::Running => return Ok(()),
            State::Suspended => driver.resume(&of.name).await?,
            State::Stopped | State::Crashed | State::Moving => driver.start(&of.name).await?,
        }
        self.moved(State::Running);
        Ok(())
    }

    async fn stop(&mut self) -> driver::Result<()> {
        if self.state != State::Stopped {
            // What stands still cannot be asked.
            let grace = match self.state {
                State::Running => self.of.grace,
                _ => Duration::ZERO,
            };
            self.of.host.driver.stop(&self.of.name, grace).await?;
            self.moved(State::Stopped);
        }
        Ok(())
    }

    fn moved(&mut self, to: State) {
        self.state = to;
        self.touched = true;
    }

    /// Writes down how far it is.
    async fn note(&mut self) -> driver::Result<()> {
        let metadata = self
            .record
            .write()
            .map_err(|e| driver::Error::Failed(e.to_string()))?;
        self.of.host.driver.annotate(&self.of.name, &metadata).await
    }
}
