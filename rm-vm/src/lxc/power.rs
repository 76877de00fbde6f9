//! Containers that run and stand still, and what they have meanwhile. Everything
//! here blocks.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::config;
use super::container::{CONFIG, Containers, RAN, read};
use super::links;
use super::tools;
use crate::driver::{Error, Result, Size, State};
use crate::files::{self, told};

const LOG: &str = "start.log";
/// The number of the process that watches over it.
const MONITOR: &str = "monitor.pid";
/// How long a stop that was asked for may take beside its grace.
const SLACK: Duration = Duration::from_secs(10);

impl Containers {
    pub(super) fn start(&self, name: &str) -> Result<()> {
        let (folder, _lock) = self.locked(name)?;
        let config = read(&folder.join(CONFIG))?.unwrap_or_default();
        links::make(self.path(), &links::of(&config))?;
        let log = folder.join(LOG);
        let monitor = folder.join(MONITOR);
        let _ = fs::remove_file(&log);
        let _ = fs::remove_file(&monitor);
        let Err(words) = tools::start(self.path(), name, &log, &monitor)? else {
            self.running.started(name, &monitor);
            has_run(&folder);
            return Ok(());
        };
        match tools::info(self.path(), name)?.state {
            State::Running => {
                has_run(&folder);
                Ok(())
            }
            State::Stopped => {
                let why = fs::read(&log).map_or(words, |log| tools::words(&log));
                Err(Error::Failed(format!("{name:?} does not start: {why}")))
            }
            state => Err(Error::NotNow {
                name: name.to_owned(),
                state,
                wanted: "started",
            }),
        }
    }

    pub(super) fn stop(&self, name: &str, grace: Duration) -> Result<()> {
        let (_, _lock) = self.locked(name)?;
        let asked = tools::stop(self.path(), name, grace)?;
        let Err(words) = asked else { return Ok(()) };
        let stopped = || tools::info(self.path(), name).map(|i| i.state == State::Stopped);
        if stopped()? || tools::wait(self.path(), name, "STOPPED", SLACK)? {
            return Ok(());
        }
        Err(Error::Unclear(format!("{name:?} does not stop: {words}")))
    }

    pub(super) fn freeze(&self, name: &str, still: bool) -> Result<()> {
        let (_, _lock) = self.locked(name)?;
        let done = tools::freeze(self.path(), name, still);
        // Whatever came of it, it may stand still now: a tool tells.
        self.running.forget(name);
        let Err(words) = done? else {
            return Ok(());
        };
        let wanted = if still {
            State::Suspended
        } else {
            State::Running
        };
        match tools::info(self.path(), name)?.state {
            state if state == wanted => Ok(()),
            State::Stopped => Err(Error::NotNow {
                name: name.to_owned(),
                state: State::Stopped,
                wanted: if still { "suspended" } else { "resumed" },
            }),
            _ => Err(Error::Unclear(format!(
                "{name:?} is not {}: {words}",
                wanted.as_str()
            ))),
        }
    }

    pub(super) fn resize(&self, name: &str, size: Size) -> Result<()> {
        let (folder, _lock) = self.locked(name)?;
        let file = folder.join(CONFIG);
        let text = read(&file)?.ok_or_else(|| Error::NotFound(name.to_owned()))?;
        if tools::info(self.path(), name)?.state != State::Stopped {
            let mut touched = false;
            for (key, value) in self.cgroups.limits(size) {
                if let Err(words) = tools::limit(self.path(), name, key, &value)? {
                    if touched {
                        // Of two limits one is taken: how it was is given back.
                        let back = self.cgroups.limits(config::size(&text));
                        for (key, value) in back {
                            let _ = tools::limit(self.path(), name, key, &value)?;
                        }
                    }
                    // The next start would make it so all the same.
                    return Err(Error::Failed(format!(
                        "the limit {key} of {name:?} is not taken: {words}"
                    )));
                }
                touched = true;
            }
        }
        let text = config::resized(&text, size, self.cgroups);
        files::replace(&file, text.as_bytes()).map_err(|e| told(&file, &e))
    }
}

/// Leaves word that a container ran, for when it does not any more. A disk that
/// is full takes none: then one that stops before that is noted with whose it is
/// counts as never started.
fn has_run(folder: &Path) {
    let _ = fs::File::create(folder.join(RAN));
}
