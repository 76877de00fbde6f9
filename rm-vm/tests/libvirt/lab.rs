//! The lab, and what a test makes in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rm_vm::driver::{Definition, Domain, Driver, Error, Image, Nic, Seed, Size};
use rm_vm::libvirt::{Libvirt, Settings};
use serde_json::Value;
use tempfile::TempDir;

/// A running libvirtd of the lab.
#[derive(Debug)]
pub(crate) struct Lab(Value);

impl Lab {
    /// The lab of the test run; a test that lacks it is skipped, and that is
    /// told, unless the run must not skip.
    pub(crate) fn of_this_run(test: &str) -> Option<Self> {
        Self::named("RM_LAB_LIBVIRT", test)
    }

    /// The same for the lab that this variable names.
    pub(crate) fn named(name: &str, test: &str) -> Option<Self> {
        let Some(dir) = std::env::var_os(name).map(PathBuf::from) else {
            assert!(
                std::env::var_os("RM_LAB_REQUIRED").is_none(),
                "{name} is not set, and this run must not skip"
            );
            println!("SKIPPED lab: {test}: {name} is not set");
            if let Some(log) = std::env::var_os("RM_SKIP_LOG") {
                use std::io::Write;
                let mut options = std::fs::OpenOptions::new();
                let mut log = options.append(true).create(true).open(log).unwrap();
                writeln!(log, "{test}: {name} is not set").unwrap();
            }
            return None;
        };
        let says = std::fs::read(dir.join("lab.json")).unwrap();
        Some(Self(serde_json::from_slice(&says).unwrap()))
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).unwrap().as_str().unwrap()
    }

    pub(crate) fn open(&self, uri: &str, storage: Option<&Path>) -> Libvirt {
        let uri = self.text(&format!("/uris/{uri}"));
        Libvirt::at(uri, &settings(storage)).unwrap()
    }

    /// A client of libvirt that is not the driver's: somebody else.
    pub(crate) fn somebody(&self, uri: &str) -> rm_libvirt::Client {
        let uri = self.text(&format!("/uris/{uri}")).parse().unwrap();
        let (client, connection) = rm_libvirt::Client::new(rm_libvirt::Config::new(uri));
        tokio::spawn(connection.run());
        client
    }

    /// The lab's small image.
    pub(crate) fn image(&self) -> Image {
        Image {
            name: "small".to_owned(),
            source: format!("file:{}", self.text("/image/archive")),
            sha256: self.text("/image/sha256").to_owned(),
            format: "rootfs".to_owned(),
        }
    }

    /// An interface on the lab's bridge, with the n-th of the lab's addresses.
    pub(crate) fn nic(&self, n: u8) -> Nic {
        let first: std::net::Ipv4Addr = self.text("/ipv4/first").parse().unwrap();
        let [a, b, c, d] = first.octets();
        let address = format!("{a}.{b}.{c}.{}/24", d + n);
        Nic {
            bridge: self.text("/bridge").to_owned(),
            vlan: None,
            mac: format!("02:00:00:00:01:{n:02x}"),
            addresses: vec![address.parse().unwrap()],
            gateways: vec![self.text("/ipv4/host").parse().unwrap()],
        }
    }

    pub(crate) fn definition(&self, name: &str) -> Definition {
        Definition {
            name: name.to_owned(),
            size: Size {
                vcpus: 1,
                memory_mib: 64,
            },
            image: self.image(),
            disk_mib: None,
            nics: Vec::new(),
            seed: Seed {
                hostname: name.to_owned(),
                ..Seed::default()
            },
            metadata: format!("{{\"of\": \"{name} <&>'%\u{fc}\u{ffff}\"}}"),
        }
    }
}

pub(crate) fn settings(storage: Option<&Path>) -> Settings {
    Settings {
        storage: storage.map(Path::to_owned),
        emulated: true,
        image_mib: 256,
        call_timeout: Duration::from_secs(60),
    }
}

/// A folder that libvirtd can see as we do.
pub(crate) fn storage(lab: &Lab) -> TempDir {
    TempDir::new_in(lab.text("/rootfs")).unwrap()
}

/// Removes what an earlier run left.
pub(crate) async fn clear(driver: &dyn Driver, name: &str) {
    let _ = driver.stop(name, Duration::ZERO).await;
    match driver.undefine(name).await {
        Ok(()) | Err(Error::NotFound(_)) => {}
        Err(e) => panic!("{e}"),
    }
}

pub(crate) async fn only(driver: &dyn Driver, name: &str) -> Domain {
    let found = driver.these(&[name.to_owned()]).await.unwrap();
    found.into_iter().next().unwrap()
}
