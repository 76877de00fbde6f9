//! What the labs have, and the places for nodes that a program finds there.

use std::path::{Path, PathBuf};
use std::process::Command;

use rm_core::Kind;
use rm_core::catalog::{NewImage, NewSite};
use rm_core::model::{NodeImage, NodeSpec};
use rm_vm::backend::{LXC, XEN};
use rm_vm::plugin::{LIBVIRT_XEN_API, LXC_API};
use serde_json::{Value, json};

use super::tools::run;

use benches::Result;

/// The folder of a lab.
#[derive(Debug)]
pub(crate) struct Lab(Value);

/// Where nodes are made, and of what.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) site: NewSite,
    /// The section `[vm]`.
    pub(crate) section: Value,
    pub(crate) image: NewImage,
    pub(crate) memory_mib: u64,
    /// How somebody else reaches its domains: the path of the tools of LXC, or a
    /// URI of libvirt.
    pub(crate) address: String,
}

impl Lab {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("lab.json");
        let told = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok(Self(serde_json::from_slice(&told)?))
    }

    pub(crate) fn text(&self, pointer: &str) -> String {
        let found = self.0.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.text("/lxcpath").into()
    }

    fn image(&self) -> NewImage {
        NewImage {
            name: "small".to_owned(),
            source: format!("file:{}", self.text("/image/archive")),
            sha256: self.text("/image/sha256"),
            disk_format: "rootfs".to_owned(),
        }
    }

    /// Containers of this machine.
    pub(crate) fn containers(&self) -> Place {
        let pool = |family: &str, prefix: u8| {
            let end = |end: &str| self.text(&format!("/{family}/{end}"));
            json!({"first": end("first"), "last": end("last"), "prefix": prefix})
        };
        let site = json!({"bridge": self.text("/bridge"), "pools": [pool("ipv4", 24)]});
        Place {
            name: "native LXC",
            kind: LXC,
            site: NewSite::new("lab", LXC_API, &format!("file:{}", self.text("/lxcpath"))),
            section: json!({"vcpus_per_cpu": 1000, "sites": {"lab": site}}),
            image: self.image(),
            memory_mib: 64,
            address: self.text("/lxcpath"),
        }
    }

    /// Domains that exist in libvirt alone. Nothing but the name of a site's
    /// API says of which hypervisor it is, and these are of none.
    pub(crate) fn tests(&self) -> Place {
        let uri = self.text("/uris/test");
        Place {
            name: "libvirt's driver for tests",
            kind: XEN,
            site: NewSite::new("lab", LIBVIRT_XEN_API, &uri),
            section: json!({"vcpus_per_cpu": 100_000, "sites": {"lab": {}}}),
            image: self.image(),
            memory_mib: 1,
            address: uri,
        }
    }

    /// Machines of Xen that do nothing and have no network, of a kernel that is
    /// packed below this folder.
    pub(crate) fn machines(&self, folder: &Path) -> Result<Place> {
        let uri = self.text("/uris/xen");
        let kernel = PathBuf::from(self.text("/idle/kernel"));
        let archive = folder.join("kernel.tar");
        let (of, name) = (kernel.parent(), kernel.file_name());
        let (of, name) = of.zip(name).ok_or("no kernel")?;
        run(Command::new("tar")
            .args(["--transform", "s/.*/kernel/", "-cf"])
            .arg(&archive)
            .arg("-C")
            .arg(of)
            .arg(name))?;
        let sum = run(Command::new("sha256sum").arg(&archive))?;
        let sum = sum.split_whitespace().next().unwrap_or_default().to_owned();
        let site = json!({"storage": self.text("/pool")});
        Ok(Place {
            name: "Xen",
            kind: XEN,
            site: NewSite::new("lab", LIBVIRT_XEN_API, &uri),
            section: json!({"vcpus_per_cpu": 1000, "sites": {"lab": site}}),
            image: NewImage {
                name: "idle".to_owned(),
                source: format!("file:{}", archive.display()),
                sha256: sum,
                disk_format: "kernel".to_owned(),
            },
            memory_mib: 8,
            address: uri,
        })
    }
}

impl Place {
    /// A small node.
    pub(crate) fn spec(&self) -> Result<NodeSpec> {
        let image = NodeImage {
            name: self.image.name.clone(),
            sha256: self.image.sha256.clone(),
        };
        let memory = self.memory_mib;
        let spec = json!({"image": image, "vcpus": 1, "memory_mib": memory});
        Ok(serde_json::from_value(spec)?)
    }
}
