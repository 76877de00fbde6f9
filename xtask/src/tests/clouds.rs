//! The two clouds of a test run: they come up while the code compiles.

use std::ffi::OsString;
use std::thread::{self, JoinHandle};

use crate::error::{Error, Result};
use crate::lab::{self, Guard, Kind, Lab};

type Coming = JoinHandle<Result<()>>;

#[derive(Debug)]
pub(crate) struct Clouds {
    min: Lab,
    full: Lab,
    coming: Option<Coming>,
    guard: Guard,
}

impl Clouds {
    /// Clear what an earlier run left, and begin to bring both up, fresh.
    pub(crate) fn start() -> Result<Self> {
        let min = Lab::new(Kind::Min, lab::folder("test-min"));
        let full = Lab::new(Kind::Full, lab::folder("test-full"));
        lab::system_packages()?;
        min.clear()?;
        full.clear()?;
        let guard = Guard::over(&[&min, &full])?;
        let coming = {
            let (min, full) = (min.clone(), full.clone());
            thread::spawn(move || bring_up(&min, &full))
        };
        Ok(Self {
            min,
            full,
            coming: Some(coming),
            guard,
        })
    }

    /// Wait until both answer; then what tests find them by.
    pub(crate) fn wait(&mut self) -> Result<Vec<(&'static str, OsString)>> {
        if let Some(coming) = self.coming.take() {
            coming
                .join()
                .map_err(|_| Error::new("the thread of the clouds ended badly"))??;
        }
        Ok(vec![
            ("RM_LAB_CLOUDS", self.min.clouds().into()),
            ("RM_LAB_DIR", self.min.dir.clone().into()),
            ("RM_LAB_FULL_CLOUDS", self.full.clouds().into()),
            ("RM_LAB_FULL_DIR", self.full.dir.clone().into()),
            ("RM_LAB_SCRIPT", lab::script().into()),
            ("RM_LAB_PYTHON", lab::venv_python()?.into()),
            // A test that needs a cloud must fail for want of it, not skip.
            ("RM_LAB_REQUIRED", "1".into()),
        ])
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.guard.finish()
    }
}

fn bring_up(min: &Lab, full: &Lab) -> Result<()> {
    lab::fill_venv(Kind::Full)?;
    thread::scope(|scope| {
        let beside = scope.spawn(|| full.up(Some(lab::free_port_base(27100)?), &[]));
        let here = lab::free_port_base(27000).and_then(|base| min.up(Some(base), &[]));
        let there = beside
            .join()
            .map_err(|_| Error::new("the thread of the full cloud ended badly"))?;
        here.and(there)
    })
}
