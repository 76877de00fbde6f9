//! `cargo xtask crash`: the real daemon is killed, again and again, while it
//! works on a real Heat, or on real containers, also for GENI's experimenters;
//! and it is stopped for longer than its claims last.

use std::ffi::OsString;

use crate::error::{Error, Result};
use crate::install;
use crate::lab::{self, Guard, Kind, Lab};
use crate::run::{Run, say};

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// By which door it is asked
    #[arg(long, value_enum, default_value_t = Door::Rest)]
    door: Door,
    /// Where what it makes is: Heat for the door rest, LXC for GENI's, if
    /// nothing is said
    #[arg(long, value_enum)]
    site: Option<Site>,
    /// How often it is killed with -9
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Repeat the moments of another run
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// Clusters, over HTTP and JSON
    Rest,
    /// Slivers, over GENI's aggregate manager API
    Geni,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    /// A real Keystone and Heat
    Heat,
    /// Containers of this machine
    Lxc,
}

impl Options {
    /// # Errors
    ///
    /// Where what is behind the door cannot be at the site.
    fn site(&self) -> Result<Site> {
        match (self.door, self.site) {
            (Door::Rest, site) => Ok(site.unwrap_or(Site::Heat)),
            (Door::Geni, None | Some(Site::Lxc)) => Ok(Site::Lxc),
            (Door::Geni, Some(Site::Heat)) => Err(Error::new(
                "slivers are nodes, and Heat makes none: leave --site out",
            )),
        }
    }

    /// Which tests of the campaign are meant.
    fn tests(&self, site: Site) -> &'static [&'static str] {
        match (self.door, site) {
            (Door::Geni, _) => &["no_sliver"],
            (Door::Rest, Site::Lxc) => &["no_container"],
            (Door::Rest, Site::Heat) => &[
                "--skip",
                "no_container",
                "--skip",
                "no_sliver",
                "--skip",
                "clients::",
            ],
        }
    }
}

impl Site {
    fn lab(self) -> Lab {
        match self {
            Self::Heat => Lab::new(Kind::Min, lab::folder("crash")),
            Self::Lxc => Lab::new(Kind::Lxc, lab::folder("crash-lxc")),
        }
    }
}

pub(crate) fn crash(options: &Options) -> Result<()> {
    let site = options.site()?;
    install::components()?;
    let where_ = match site {
        Site::Heat => "a real Keystone and Heat on 127.0.0.1",
        Site::Lxc => "real containers of this machine",
    };
    let what = match options.door {
        Door::Rest => "create, resize and delete",
        Door::Geni => "CreateSliver, Provision, Delete and what is between them",
    };
    say(format!(
        "{} kills of the daemon in {what} on {where_}",
        options.kills
    ));
    let lab = site.lab();
    lab.clear()?;
    test(&["--no-run"], &[])?;
    let guard = Guard::over(&[&lab])?;
    let base = match site {
        Site::Heat => {
            lab::fill_venv(Kind::Min)?;
            Some(lab::free_port_base(27700)?)
        }
        Site::Lxc => {
            lab.install()?;
            None
        }
    };
    let done = lab
        .up(base, &[])
        .and_then(|()| campaign(options, site, &lab));
    let stopped = guard.finish();
    done.and(stopped)
}

fn campaign(options: &Options, site: Site, lab: &Lab) -> Result<()> {
    let mut environment = match site {
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
    how.extend(options.tests(site));
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{Options, Site};

    #[derive(clap::Parser, Debug)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn each_door_has_its_site() {
        let site = |words: &[&str]| {
            let words = [&["crash"][..], words].concat();
            Cli::try_parse_from(words).unwrap().options.site()
        };
        assert_eq!(site(&[]).unwrap(), Site::Heat);
        assert_eq!(site(&["--site", "lxc"]).unwrap(), Site::Lxc);
        assert_eq!(site(&["--door", "geni"]).unwrap(), Site::Lxc);
        assert!(site(&["--door", "geni", "--site", "heat"]).is_err());
    }
}
