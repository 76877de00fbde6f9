//! The lab, and what a test makes in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use rm_core::Kind;
use rm_core::catalog::NewImage;
use rm_vm::config::XenGuest;
use rm_vm::driver::{Definition, Domain, Driver, Error, Event, Image, Nic, Seed, Size, State};
use rm_vm::libvirt::{Libvirt, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::house::Place;

/// A running libvirtd of the lab.
#[derive(Debug)]
pub(crate) struct Lab {
    says: Value,
    /// Where it is.
    pub(crate) dir: PathBuf,
}

impl Lab {
    /// The lab of the test run; a test that lacks it is skipped, and that is
    /// told, unless the run must not skip.
    pub(crate) fn of_this_run(test: &str) -> Option<Self> {
        Self::named("RM_LAB_LIBVIRT", test)
    }

    /// The same for the lab that this variable names.
    pub(crate) fn named(name: &str, test: &str) -> Option<Self> {
        let dir = needs::lab(test, name)?;
        Some(Self::at(dir))
    }

    pub(crate) fn at(dir: PathBuf) -> Self {
        let says = std::fs::read(dir.join("lab.json")).unwrap();
        let says = serde_json::from_slice(&says).unwrap();
        Self { says, dir }
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.says.pointer(pointer).unwrap().as_str().unwrap()
    }

    pub(crate) fn number(&self, pointer: &str) -> u64 {
        self.says.pointer(pointer).unwrap().as_u64().unwrap()
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

    /// One of its drivers as a site of a host program, with these of the lab's
    /// addresses.
    pub(crate) fn place(&self, uri: &str, storage: &Path, addresses: [u8; 2]) -> Place {
        self.place_of(uri, storage, &self.image(), addresses)
    }

    /// The same, with nodes of another image.
    pub(crate) fn place_of(
        &self,
        uri: &str,
        storage: &Path,
        image: &Image,
        [first, last]: [u8; 2],
    ) -> Place {
        let (kind, api) = match uri {
            "qemu" => ("vm.kvm", "libvirt-qemu"),
            "xen" => ("vm.xen", "libvirt-xen"),
            "lxc" => ("vm.lxc", "libvirt-lxc"),
            _ => ("vm.test", "libvirt-test"),
        };
        let net = self.text("/ipv4/host").rsplit_once('.').unwrap().0;
        Place {
            kind: Kind::new(kind),
            api,
            url: self.text(&format!("/uris/{uri}")).to_owned(),
            section: json!({
                "vcpus_per_cpu": 1000,
                "stop_grace_seconds": 3,
                "image_mib": 256,
                "sites": {"lab": {
                    "bridge": self.text("/bridge"),
                    "storage": storage,
                    "emulated": true,
                    "pools": [{
                        "first": format!("{net}.{first}"), "last": format!("{net}.{last}"),
                        "prefix": 24, "gateway": self.text("/ipv4/host"),
                    }],
                }},
            }),
            image: new_image(image),
            memory_mib: 64,
        }
    }

    /// A place with a VLAN, too, which has addresses of its own.
    pub(crate) fn with_vlan(&self, mut place: Place) -> Place {
        let bridge = self.text("/vlans/10");
        let site = &mut place.section["sites"]["lab"];
        site["pools"][0]["bridge"] = site["bridge"].clone();
        let pool =
            json!({"first": "10.76.10.10", "last": "10.76.10.250", "prefix": 24, "bridge": bridge});
        site["pools"].as_array_mut().unwrap().push(pool);
        site["vlans"] = json!([{"number": 10, "bridge": bridge}]);
        place
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
            mac: format!("02:00:00:00:01:{n:02x}"),
            addresses: vec![address.parse().unwrap()],
            gateways: vec![self.text("/ipv4/host").parse().unwrap()],
            shaping: None,
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
            unfinished: "not yet".to_owned(),
            by: None,
        }
    }
}

impl Lab {
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
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/vm");
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

pub(crate) fn settings(storage: Option<&Path>) -> Settings {
    Settings {
        storage: storage.map(Path::to_owned),
        emulated: true,
        xen: XenGuest::Pv,
        image_mib: 256,
        call_timeout: Duration::from_secs(60),
        leave_consoles: false,
    }
}

/// An image as a catalog takes it.
pub(crate) fn new_image(image: &Image) -> NewImage {
    NewImage {
        name: image.name.clone(),
        source: image.source.clone(),
        sha256: image.sha256.clone(),
        disk_format: image.format.clone(),
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

/// Makes the pool `rm-test` for machines of QEMU, unless it is there.
pub(crate) async fn pool(lab: &Lab) {
    let somebody = lab.somebody("qemu");
    if somebody.pool_by_name("rm-test").await.is_err() {
        let pool = format!(
            "<pool type='dir'><name>rm-test</name><target><path>{}/rm-test</path></target></pool>",
            lab.text("/rootfs")
        );
        // Another test may have made it at the same moment.
        let made = somebody.create_pool_xml(&pool).await;
        assert!(made.is_ok() || somebody.pool_by_name("rm-test").await.is_ok());
    }
}

/// What a domain is doing, as it is told.
pub(crate) fn states_of(
    events: BoxStream<'static, Event>,
    of: &'static str,
) -> BoxStream<'static, State> {
    let states = events.filter_map(move |event| {
        std::future::ready(match event {
            Event::Domain { name, state } if name == of => state,
            _ => None,
        })
    });
    states.boxed()
}
