//! The daemon of a demo, from its first configuration to its end.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::cli::{Cli, echo};
use super::files::{self, shown};
use super::world::World;
use crate::error::{At, Error, Result};
use crate::paths;
use crate::run::{Run, say};

/// How often it is looked at while it starts or ends.
const LOOK: Duration = Duration::from_millis(50);
const START: u32 = 300;
const END: u32 = 400;

/// A second user of the first one's tenant.
pub(super) const COLLEAGUE: &str = "colleague";

#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// With these sections of the configuration beside the first ones.
    pub(super) fn start(cli: &mut Cli, world: World, sections: &[String]) -> Result<Self> {
        let home = cli.home.clone();
        let config = home.join("operation-manager.toml");
        let port = free_port()?;
        let place = home.display().to_string();
        // Two demos, or two checkouts, may share an account one day.
        let installation = format!("demo-{}-{}", world.name(), std::process::id());
        cli.run(&[
            "init",
            "--dir",
            &place,
            "--installation",
            &installation,
            "--port",
            &port.to_string(),
        ])?;
        colleague(cli, &config)?;
        for section in sections {
            echo(&format!("cat >> {}", shown(&config)));
            print!("{section}");
            files::append(&config, section)?;
        }

        let log = home.join("daemon.log");
        let out = File::create(&log).at(log.display())?;
        let err = out.try_clone().at(log.display())?;
        echo(&format!(
            "operation-manager serve --config {} &> {} &",
            shown(&config),
            shown(&log)
        ));
        let child = dying_with_us(cli)
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .current_dir(paths::root())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .at(cli.program.display())?;
        let mut this = Self { child, log };
        if let Err(error) = this.wait(port) {
            this.show_log();
            return Err(error);
        }
        cli.reach(format!("http://127.0.0.1:{port}"));
        Ok(this)
    }

    fn wait(&mut self, port: u16) -> Result<()> {
        for _ in 0..START {
            if let Some(status) = self.child.try_wait().at("the daemon")? {
                return Err(Error::new(format!("the daemon has ended: {status}")));
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        Err(Error::new("the daemon does not start to listen"))
    }

    /// The end of its log, for a person who has to find out.
    pub(super) fn show_log(&self) {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        println!("the last lines of {}:", shown(&self.log));
        for line in &lines[lines.len().saturating_sub(30)..] {
            println!("  {line}");
        }
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn stop(mut self) -> Result<()> {
        say("stopping the daemon");
        let asked = Run::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .works();
        for _ in 0..END {
            if let Some(status) = self.child.try_wait().at("the daemon")? {
                return match status.success() {
                    true => Ok(()),
                    false => Err(Error::new(format!("the daemon has ended badly: {status}"))),
                };
            }
            if !asked {
                break;
            }
            thread::sleep(LOOK);
        }
        Err(Error::new("the daemon does not end when it is asked to"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The program, which the kernel ends with us where the system has the means.
fn dying_with_us(cli: &Cli) -> Command {
    match paths::in_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command
                .args(["--pdeathsig", "TERM", "--"])
                .arg(&cli.program);
            command
        }
        None => Command::new(&cli.program),
    }
}

/// Somebody else of the user's tenant may call, too.
fn colleague(cli: &Cli, config: &std::path::Path) -> Result<()> {
    echo(&format!(
        "operation-manager token new     # for {COLLEAGUE}; its digest goes into {}",
        shown(config)
    ));
    let made = cli.json(&["token", "new"])?;
    let (Some(token), Some(digest)) = (made["token"].as_str(), made["sha256"].as_str()) else {
        return Err(Error::new("token new gave no token"));
    };
    files::private(&cli.token(COLLEAGUE), &format!("{token}\n"))?;
    let section = format!(
        "\n[[tokens]]\nuser = \"{COLLEAGUE}\"\ntenant = \"user\"\nroles = [\"user\"]\n\
         token_sha256 = \"{digest}\"\n"
    );
    print!("{section}");
    files::append(config, &section)
}

pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).at("a free port")?;
    Ok(listener.local_addr().at("a free port")?.port())
}
