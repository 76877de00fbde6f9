//! A host that is none.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use tokio::sync::Barrier;

use super::super::*;
use crate::driver::{Domain, Driver, Features, Result as Done, State};

/// A host on which everything is done at once, and counted; or whose defines
/// wait for each other.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) defined: AtomicU32,
    pub(super) noted: AtomicU32,
    pub(super) domains: Mutex<BTreeMap<String, Domain>>,
    pub(super) together: Option<Barrier>,
    /// So many defines have another manager define the same at the same moment.
    pub(super) rivals: AtomicU32,
    /// Calls and what comes of the next of each: nothing wrong, or an error. What
    /// is unclear is done all the same, but for a define.
    pub(super) comes: Mutex<Vec<(&'static str, Option<driver::Error>)>>,
    /// Until when the last one had to be defined.
    pub(super) by: Mutex<Option<Instant>>,
    /// How long a define takes.
    pub(super) takes: Mutex<Option<(Arc<dyn Env>, Duration)>>,
}

impl Counts {
    pub(super) fn comes(&self, of: &'static str, what: Option<driver::Error>) {
        self.comes.lock().unwrap().push((of, what));
    }

    fn call(&self, of: &str) -> Done<()> {
        let mut comes = self.comes.lock().unwrap();
        let next = comes.iter().position(|(call, _)| *call == of);
        match next.and_then(|next| comes.remove(next).1) {
            Some(e) => Err(e),
            None => Ok(()),
        }
    }

    fn does(&self, of: &str, name: &str, effect: impl FnOnce(&mut Domain)) -> Done<()> {
        let done = self.call(of);
        if matches!(done, Ok(()) | Err(driver::Error::Unclear(_))) {
            self.of(name, effect);
        }
        done
    }

    pub(super) fn all(&self) -> Vec<Domain> {
        self.domains.lock().unwrap().values().cloned().collect()
    }

    pub(super) fn of(&self, name: &str, edit: impl FnOnce(&mut Domain)) {
        edit(self.domains.lock().unwrap().get_mut(name).unwrap());
    }
}

#[async_trait]
impl Driver for Counts {
    fn name(&self) -> &'static str {
        "counts"
    }

    fn features(&self) -> Features {
        Features::default()
    }

    async fn host(&self) -> Done<driver::Host> {
        Err(driver::Error::invalid("nobody asks"))
    }

    async fn list(&self) -> Done<Vec<Domain>> {
        Ok(self.all())
    }

    async fn these(&self, names: &[String]) -> Done<Vec<Domain>> {
        let mut all = self.all();
        all.retain(|domain| names.contains(&domain.name));
        Ok(all)
    }

    async fn notes(&self) -> Done<Vec<(String, String)>> {
        self.call("notes")?;
        let all = self.all().into_iter();
        Ok(all.filter_map(|d| Some((d.name, d.metadata?))).collect())
    }

    async fn bring(&self, _: &Image) -> Done<()> {
        Ok(())
    }

    async fn define(&self, new: &Definition) -> Done<()> {
        if let Some(together) = &self.together {
            together.wait().await;
        }
        self.call("define")?;
        *self.by.lock().unwrap() = new.by;
        let takes = self.takes.lock().unwrap().take();
        if let Some((env, time)) = takes {
            env.sleep(time).await;
        }
        let nth = self.defined.fetch_add(1, Ordering::Relaxed);
        let domain = Domain {
            name: new.name.clone(),
            state: State::Stopped,
            ran: false,
            boot: None,
            size: new.size,
            metadata: Some(new.metadata.clone()),
        };
        let mut domains = self.domains.lock().unwrap();
        if nth < self.rivals.load(Ordering::Relaxed) {
            let name = format!("rival-{nth}");
            // The hardware address follows from the name.
            let metadata = new.metadata.replace(r#""mac":"02"#, r#""mac":"06"#);
            let rival = Domain {
                name: name.clone(),
                metadata: Some(metadata),
                ..domain.clone()
            };
            domains.insert(name, rival);
        }
        domains.insert(new.name.clone(), domain);
        Ok(())
    }

    async fn annotate(&self, name: &str, metadata: &str) -> Done<()> {
        self.noted.fetch_add(1, Ordering::Relaxed);
        self.of(name, |domain| domain.metadata = Some(metadata.to_owned()));
        Ok(())
    }

    async fn start(&self, name: &str) -> Done<()> {
        self.does("start", name, |domain| {
            domain.state = State::Running;
            domain.ran = true;
        })
    }

    async fn stop(&self, name: &str, _: Duration) -> Done<()> {
        self.does("stop", name, |domain| domain.state = State::Stopped)
    }

    async fn suspend(&self, name: &str) -> Done<()> {
        self.of(name, |domain| domain.state = State::Suspended);
        Ok(())
    }

    async fn undefine(&self, name: &str) -> Done<()> {
        self.call("undefine")?;
        self.domains.lock().unwrap().remove(name);
        Ok(())
    }

    async fn resize(&self, _: &str, _: Size) -> Done<()> {
        Ok(())
    }
}
