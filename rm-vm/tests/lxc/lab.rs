//! The lab of LXC's tools, and what they say.

use std::path::PathBuf;
use std::process::Command;

use rm_core::backend::Mark;
use rm_core::catalog::NewImage;
use rm_core::model::NodeSpec;
use rm_vm::backend::LXC;
use rm_vm::driver::{Definition, Image, Seed, Size};
use rm_vm::plugin::LXC_API;
use serde_json::{Value, json};

use crate::house::Place;
pub(crate) use crate::house::{Program, RealEnv};

/// What the lab has.
#[derive(Debug, Clone)]
pub(crate) struct Lab {
    pub(crate) path: PathBuf,
    facts: Value,
}

impl Lab {
    /// The lab, or a line that says that the test was skipped.
    pub(crate) fn find(test: &str) -> Option<Self> {
        let folder = needs::lab(test, "RM_LAB_LXC")?;
        let text = std::fs::read_to_string(folder.join("lab.json")).unwrap();
        let facts: Value = serde_json::from_str(&text).unwrap();
        Some(Self {
            path: facts["lxcpath"].as_str().unwrap().into(),
            facts,
        })
    }

    pub(crate) fn fact(&self, at: &str) -> &str {
        self.facts.pointer(at).and_then(Value::as_str).unwrap()
    }

    /// The section `[vm]` for this lab.
    pub(crate) fn section(&self) -> Value {
        json!({
            "vcpus_per_cpu": 1000,
            "stop_grace_seconds": 3,
            "sites": {"lab": {
                "bridge": self.fact("/bridge"),
                "pools": [
                    {"first": self.fact("/ipv4/first"), "last": self.fact("/ipv4/last"), "prefix": 24},
                    {"first": self.fact("/ipv6/first"), "last": self.fact("/ipv6/last"), "prefix": 64},
                ],
            }},
        })
    }

    /// As a site of a host program.
    pub(crate) fn place(&self) -> Place {
        Place {
            kind: LXC,
            api: LXC_API,
            url: format!("file:{}", self.path.display()),
            section: self.section(),
            image: NewImage {
                name: "small".to_owned(),
                source: format!("file:{}", self.fact("/image/archive")),
                sha256: self.fact("/image/sha256").to_owned(),
                disk_format: "rootfs".to_owned(),
            },
            memory_mib: 64,
        }
    }

    /// As a site that has VLANs, too, with addresses of their own.
    pub(crate) fn place_with_vlans(&self) -> Place {
        let mut place = self.place();
        let site = &mut place.section["sites"]["lab"];
        let usual = site["bridge"].clone();
        let mut vlans = Vec::new();
        let pools = site["pools"].as_array_mut().unwrap();
        for pool in pools.iter_mut() {
            pool["bridge"] = usual.clone();
        }
        for number in [10, 20] {
            let bridge = self.fact(&format!("/vlans/{number}"));
            vlans.push(json!({"number": number, "bridge": bridge}));
            let net = format!("10.76.{number}");
            pools.push(json!({
                "first": format!("{net}.10"), "last": format!("{net}.250"),
                "prefix": 24, "bridge": bridge,
            }));
        }
        site["vlans"] = json!(vlans);
        place
    }

    /// A small node of the lab's image.
    pub(crate) fn spec(&self) -> NodeSpec {
        self.place().spec()
    }

    /// The same without a network, for a driver alone.
    pub(crate) fn definition(&self, name: &str) -> Definition {
        let image = self.place().image;
        Definition {
            name: name.to_owned(),
            size: Size {
                vcpus: 1,
                memory_mib: 64,
            },
            image: Image {
                name: image.name,
                source: image.source,
                sha256: image.sha256,
                format: image.disk_format,
            },
            disk_mib: None,
            nics: Vec::new(),
            seed: Seed::default(),
            metadata: "{}".to_owned(),
            unfinished: String::new(),
            by: None,
        }
    }

    /// A path of its own for containers of one test.
    pub(crate) fn apart(&self, name: &str) -> Self {
        Self {
            path: self.path.join(name),
            facts: self.facts.clone(),
        }
    }

    /// The process that watches over a container.
    pub(crate) fn monitor(&self, name: &str) -> String {
        let init = self.tool("lxc-info", name, &["-p", "-H"]);
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", init.trim())).unwrap();
        let (_, after) = stat.rsplit_once(')').unwrap();
        after.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// This machine's end of a container's first link.
    pub(crate) fn host_link(&self, name: &str) -> String {
        let told = self.tool("lxc-info", name, &["-S"]);
        let link = told.lines().find_map(|line| line.strip_prefix("Link:"));
        link.unwrap().trim().to_owned()
    }

    /// The cgroups that are named after a container.
    pub(crate) fn cgroups(&self, name: &str) -> Vec<String> {
        let mut find = Command::new("find");
        find.args(["/sys/fs/cgroup", "-type", "d", "-name"]);
        let out = find.arg(format!("lxc.*.{name}*")).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.lines().map(str::to_owned).collect()
    }

    /// What a tool of LXC says of a container.
    pub(crate) fn tool(&self, tool: &str, name: &str, args: &[&str]) -> String {
        let mut command = Command::new(tool);
        command.arg("-P").arg(&self.path).args(["-n", name]);
        let out = command.args(args).output().unwrap();
        format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        )
    }

    /// What a command in a container prints.
    pub(crate) fn inside(&self, name: &str, command: &str) -> String {
        let out = self.tool("lxc-attach", name, &["--", "/bin/sh", "-c", command]);
        out.trim().to_owned()
    }

    /// `RUNNING`, `STOPPED`, ...
    pub(crate) fn state(&self, name: &str) -> String {
        self.tool("lxc-info", name, &["-s", "-H"]).trim().to_owned()
    }

    /// The containers that bear a mark, and the mark.
    pub(crate) fn marked(&self) -> Vec<(String, Mark)> {
        let Ok(folders) = std::fs::read_dir(&self.path) else {
            return Vec::new();
        };
        let mark = |name: String| {
            let text = std::fs::read(self.path.join(&name).join("rm.json")).ok()?;
            let mut told: Value = serde_json::from_slice(&text).ok()?;
            Some((name, serde_json::from_value(told["mark"].take()).ok()?))
        };
        let names = folders.map(|f| f.unwrap().file_name().into_string().unwrap());
        names.filter_map(mark).collect()
    }
}

impl From<&Lab> for Place {
    fn from(lab: &Lab) -> Self {
        lab.place()
    }
}
