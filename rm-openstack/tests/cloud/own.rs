//! A cloud of a test's own, for tests that break it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rm_core::policy::Policy;

use crate::lab::Lab;

/// A fresh Keystone and Heat, taken down when this is dropped or the process
/// ends, however it ends.
pub(crate) struct OwnCloud {
    script: PathBuf,
    folder: tempfile::TempDir,
    guard: Child,
}

impl OwnCloud {
    pub(crate) fn up(test: &str, options: &[&str]) -> Option<Self> {
        let script = needs::lab(test, "RM_LAB_SCRIPT")?;
        let folder = tempfile::TempDir::new().unwrap();
        let guard = Command::new("python3")
            .arg(&script)
            .arg("guard")
            .arg(folder.path().join("lab"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let cloud = Self {
            script,
            folder,
            guard,
        };
        // The lab takes ten ports from its base on.
        let base = free_ports().to_string();
        let mut words = vec!["up-min", "DIR", "--port-base", &base];
        words.extend(options);
        cloud.run(&words);
        Some(cloud)
    }

    fn lab(&self) -> PathBuf {
        self.folder.path().join("lab")
    }

    /// Runs one of the lab's verbs to its end; `DIR` stands for its folder.
    pub(crate) fn run(&self, words: &[&str]) {
        let lab = self.lab();
        let words = words.iter().map(|w| match *w {
            "DIR" => lab.as_os_str(),
            word => word.as_ref(),
        });
        let done = Command::new("python3")
            .arg(&self.script)
            .args(words)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
    }

    /// What Heat has been asked so far, a method and a path with its status each:
    /// the access log of its own server.
    pub(crate) fn asked(&self) -> Vec<(String, String, u16)> {
        let log = std::fs::read_to_string(self.lab().join("log/heat.access.log")).unwrap();
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        whole
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                let status = words[3].parse().unwrap();
                (words[1].to_owned(), words[2].to_owned(), status)
            })
            .collect()
    }

    pub(crate) async fn host(&self) -> Lab {
        Lab::at(&self.lab().join("clouds.yaml"), Policy::default()).await
    }
}

impl Drop for OwnCloud {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A base of which ten ports are free now. The lab checks again.
fn free_ports() -> u16 {
    let from = 28_000 + (std::process::id() % 200) as u16 * 20;
    (from..40_000)
        .step_by(20)
        .find(|base| (0..10).all(|n| std::net::TcpListener::bind(("127.0.0.1", base + n)).is_ok()))
        .unwrap()
}
