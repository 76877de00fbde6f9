//! `cargo xtask crash`: the real daemon is killed, again and again, while it
//! works on a real Heat, or on real containers; and it is stopped for longer
//! than its claims last.

use std::ffi::OsString;

use crate::error::Result;
use crate::install;
use crate::lab::{self, Guard, Kind, Lab};
use crate::run::{Run, say};

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Where its clusters are
    #[arg(long, value_enum, default_value_t = Site::Heat)]
    site: Site,
    /// How often it is killed with -9
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Repeat the moments of another run
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    /// A real Keystone and Heat
    Heat,
    /// Containers of this machine
    Lxc,
}

impl Site {
    fn lab(self) -> Lab {
        match self {
            Self::Heat => Lab::new(Kind::Min, lab::folder("crash")),
            Self::Lxc => Lab::new(Kind::Lxc, lab::folder("crash-lxc")),
        }
    }

    /// Which tests of the campaign are about it.
    fn tests(self) -> &'static [&'static str] {
        match self {
            Self::Heat => &["--skip", "no_container"],
            Self::Lxc => &["no_container"],
        }
    }
}

pub(crate) fn crash(options: &Options) -> Result<()> {
    install::components()?;
    let where_ = match options.site {
        Site::Heat => "a real Keystone and Heat on 127.0.0.1",
        Site::Lxc => "real containers of this machine",
    };
    say(format!(
        "{} kills of the daemon in create, resize and delete on {where_}",
        options.kills
    ));
    let lab = options.site.lab();
    lab.clear()?;
    test(&["--no-run"], &[])?;
    let guard = Guard::over(&[&lab])?;
    let base = match options.site {
        Site::Heat => {
            lab::fill_venv(Kind::Min)?;
            Some(lab::free_port_base(27700)?)
        }
        Site::Lxc => {
            lab.install()?;
            None
        }
    };
    let done = lab.up(base, &[]).and_then(|()| campaign(options, &lab));
    let stopped = guard.finish();
    done.and(stopped)
}

fn campaign(options: &Options, lab: &Lab) -> Result<()> {
    let mut environment = match options.site {
        Site::Heat => vec![
            ("RM_LAB_CLOUDS", OsString::from(lab.clouds())),
            ("RM_LAB_DIR", lab.dir.clone().into()),
        ],
        Site::Lxc => vec![("RM_LAB_LXC", OsString::from(&lab.dir))],
    };
    environment.extend([
        ("RM_LAB_REQUIRED", "1".into()),
        ("RM_KILLS", options.kills.to_string().into()),
    ]);
    if let Some(seed) = options.seed {
        environment.push(("RM_SEED", seed.to_string().into()));
    }
    // One after the other, and everything that they say.
    let mut how = vec!["--", "--nocapture", "--test-threads", "1"];
    how.extend(options.site.tests());
    test(&how, &environment)
}

fn test(how: &[&str], environment: &[(&str, OsString)]) -> Result<()> {
    let mut run = Run::cargo().args(["test", "--locked", "--package", "operation-manager"]);
    run = run.args(["--test", "kill"]).args(how);
    for (name, value) in environment {
        run = run.env(name, value);
    }
    run.run()
}
