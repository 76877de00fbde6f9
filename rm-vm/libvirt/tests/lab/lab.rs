//! The lab, and domains that a test has for itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rm_libvirt::{
    Client, Config, DestroyFlags, Event, Events, Lifecycle, ListFlags, UndefineFlags,
};
use serde_json::Value;

/// Long enough for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running libvirtd of the lab.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) dir: PathBuf,
    pub(crate) says: Value,
}

impl Lab {
    /// The lab of the test run; a test that lacks it is skipped, and that is
    /// told, unless the run must not skip.
    pub(crate) fn of_this_run(test: &str) -> Option<Self> {
        let name = "RM_LAB_LIBVIRT";
        let dir = needs::lab(test, name)?;
        Some(Self::at(dir))
    }

    fn at(dir: PathBuf) -> Self {
        let says = std::fs::read(dir.join("lab.json")).unwrap();
        let says = serde_json::from_slice(&says).unwrap();
        Self { dir, says }
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.says.pointer(pointer).unwrap().as_str().unwrap()
    }

    /// A client of one of its drivers: `test`, `test_tcp`, `lxc`, ...
    pub(crate) fn client(&self, uri: &str) -> Client {
        let uri = self.text(&format!("/uris/{uri}"));
        let (client, connection) = Client::new(Config::new(uri.parse().unwrap()));
        tokio::spawn(connection.run());
        client
    }

    /// `kill`, `start`, `pause` or `resume` its libvirtd.
    pub(crate) fn daemon(&self, verb: &str) {
        let mut daemon = Command::new(self.text("/daemon"));
        let status = daemon.arg(verb).arg(&self.dir).status().unwrap();
        assert!(status.success(), "daemon {verb}: {status}");
    }
}

/// A lab of a test's own, which it may break.
#[derive(Debug)]
pub(crate) struct OwnLab(pub(crate) Lab);

fn script(name: &str) -> Command {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab/vm");
    Command::new(scripts.join(name))
}

impl OwnLab {
    pub(crate) fn start(test: &str) -> Option<Self> {
        // Where there is no lab for all, there is none for one.
        let beside = Lab::of_this_run(test)?;
        let dir = beside.dir.with_file_name(format!("libvirt-{test}"));
        if dir.join("kind").exists() {
            assert!(script("down").arg(&dir).status().unwrap().success());
        }
        let up = script("up").arg("libvirt").arg(&dir).status().unwrap();
        assert!(up.success(), "lab/vm/up: {up}");
        Some(Self(Lab::at(dir)))
    }
}

impl Drop for OwnLab {
    fn drop(&mut self) {
        let _ = script("down").arg(&self.0.dir).status();
    }
}

/// The XML of a guest of the test driver.
pub(crate) fn guest(name: &str) -> String {
    format!(
        "<domain type='test'><name>{name}</name><memory unit='KiB'>131072</memory>\
         <currentMemory unit='KiB'>65536</currentMemory><vcpu current='1'>4</vcpu>\
         <os><type>hvm</type></os></domain>"
    )
}

/// Removes the domains whose names begin so: those of an earlier run.
pub(crate) async fn clear(client: &Client, prefix: &str) {
    for domain in client.list_domains(ListFlags::default()).await.unwrap() {
        if domain.name.starts_with(prefix) {
            let _ = client.destroy(&domain, DestroyFlags::default()).await;
            let all = UndefineFlags::MANAGED_SAVE | UndefineFlags::SNAPSHOTS_METADATA;
            let _ = client.undefine(&domain, all).await;
        }
    }
}

/// The next event of this kind.
pub(crate) async fn next(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    let search = async {
        loop {
            let event = events.next().await.unwrap();
            if wanted(&event) {
                break event;
            }
        }
    };
    tokio::time::timeout(PATIENCE, search).await.unwrap()
}

/// What happens next to a domain of this name.
pub(crate) async fn next_of(events: &mut Events, name: &str) -> Lifecycle {
    let of_it = |event: &Event| matches!(event, Event::Lifecycle(life) if life.domain.name == name);
    match next(events, of_it).await {
        Event::Lifecycle(life) => life,
        other => panic!("{other:?}"),
    }
}
