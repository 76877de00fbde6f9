//! Runs the built program as people do: files, arguments, exit codes.

// Each test program uses a part of this.
#![allow(dead_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a start or a stop may take on a machine that does other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The program, without what this environment says to it.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operation-manager"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RM_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It went well.
    #[track_caller]
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    /// It ended with this code, and standard error has these words.
    #[track_caller]
    pub(crate) fn bad(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert_eq!(self.out, "", "a refusal says nothing on standard output");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

pub(crate) fn run(command: &mut Command) -> Ran {
    Ran::of(command.output().unwrap())
}

/// The row of a table that has this word, cut at its blanks.
#[track_caller]
pub(crate) fn row<'a>(table: &'a str, word: &str) -> Vec<&'a str> {
    table
        .lines()
        .find(|line| line.split_whitespace().any(|w| w == word))
        .unwrap_or_else(|| panic!("{word:?} is in no row of: {table}"))
        .split_whitespace()
        .collect()
}

/// A directory with a first configuration.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        run(program()
            .args(["init", "--port", "0", "--dir"])
            .arg(dir.path()))
        .good();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("operation-manager.toml")
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A daemon that is about to start; `name` tells several apart.
    pub(crate) fn daemon(&self, name: &str) -> Command {
        let mut command = program();
        let log = std::fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        command
            .arg("serve")
            .arg("--config")
            .arg(self.config())
            .env("RM_LISTEN__ADDRESS_FILE", format!("{name}.address"))
            .env("RM_SIM__BUILD_MS", "100")
            .env("RM_SIM__CHANGE_MS", "100")
            .env("RM_SIM__DELETE_MS", "100")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command
    }

    /// Starts one and waits until it says where it answers.
    pub(crate) fn start(&self, name: &str, command: &mut Command) -> Daemon {
        let address = self.path(&format!("{name}.address"));
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        while !address.exists() {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{status}: {}", self.read(&format!("{name}.log")));
            }
            assert!(begun.elapsed() < PATIENCE, "it does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let at = std::fs::read_to_string(&address).unwrap();
        Daemon {
            child,
            server: format!("http://{}", at.trim()),
        }
    }

    pub(crate) fn serve(&self) -> Daemon {
        self.start("daemon", &mut self.daemon("daemon"))
    }
}

/// A running daemon; killed if it is still there at the end.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    pub(crate) server: String,
}

impl Daemon {
    /// A client of it with the token of `who`, a file of the home.
    pub(crate) fn client(&self, home: &Home, who: &str) -> Command {
        let mut command = program();
        command
            .env("RM_SERVER", &self.server)
            .env("RM_TOKEN_FILE", home.path(&format!("{who}.token")))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Asks it to end and answers its exit code and how long that took.
    pub(crate) fn stop(mut self) -> (i32, Duration) {
        let begun = Instant::now();
        self.signal("-TERM");
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code().unwrap_or(-1), begun.elapsed());
            }
            assert!(begun.elapsed() < PATIENCE, "it does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both sides at once: a home, its daemon, and short words for its clients.
pub(crate) struct Stage {
    pub(crate) home: Home,
    pub(crate) daemon: Daemon,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        let daemon = home.serve();
        Self { home, daemon }
    }

    pub(crate) fn operator(&self, words: &[&str]) -> Ran {
        run(self.daemon.client(&self.home, "operator").args(words))
    }

    pub(crate) fn user(&self, words: &[&str]) -> Ran {
        run(self.daemon.client(&self.home, "user").args(words))
    }

    /// With something on standard input.
    pub(crate) fn operator_reading(&self, words: &[&str], input: &str) -> Ran {
        let mut command = self.daemon.client(&self.home, "operator");
        let mut child = command
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        Ran::of(child.wait_with_output().unwrap())
    }

    /// A simulated site, the user's credential for it, and an appliance.
    pub(crate) fn load(&self) {
        self.operator(&["site", "add", "here", "--api", "sim", "--url", "sim:here"])
            .good();
        self.operator_reading(
            &[
                "credential",
                "add",
                "mine",
                "--site",
                "here",
                "--user",
                "user",
                "--tenant",
                "user",
            ],
            "{\"password\": \"CANARY-secret\"}",
        )
        .good();
        self.appliance("hadoop", "simulated.json");
    }

    /// An appliance with one of the implementations that come along.
    pub(crate) fn appliance(&self, name: &str, body: &str) {
        self.operator(&["appliance", "add", name]).good();
        let body = appliances().join(body);
        self.operator(&[
            "implementation",
            "add",
            name,
            body.to_str().unwrap(),
            "--site-type",
            "sim",
            "--media-type",
            "application/vnd.rm.sim+json",
        ])
        .good();
    }
}

/// Where the implementations are that come along.
pub(crate) fn appliances() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../appliances")
}
