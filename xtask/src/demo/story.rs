//! What happens in a demo: the same in all worlds.

use serde_json::{Value, json};

use super::cli::Cli;
use super::containers::{self, Containers};
use super::daemon::COLLEAGUE;
use super::files;
use super::witness::{Expected, Witness};
use super::world::World;
use crate::error::{Error, Result};
use crate::lab::Lab;
use crate::run::say;

const APPLIANCE: &str = "demo";
const CLUSTER: &str = "mine";

#[derive(Debug)]
pub(super) struct Story<'a> {
    pub(super) cli: &'a mut Cli,
    pub(super) world: World,
    pub(super) cloud: Option<&'a Lab>,
    pub(super) containers: Option<&'a Containers>,
    pub(super) witness: Option<&'a mut Witness>,
}

impl Story<'_> {
    pub(super) fn tell(&mut self) -> Result<()> {
        chapter("the operator says which sites there are");
        self.cli.speak_as("operator");
        let site = self.site()?;

        chapter("the operator loads an appliance");
        self.appliance()?;

        chapter("a user brings the means by which the site is used");
        self.cli.speak_as("user");
        self.credential(site)?;

        chapter("what a request would lead to");
        self.cli.run(&["plan", APPLIANCE, "--slaves", "3"])?;

        chapter("the user asks for a cluster of one master and three slaves");
        self.cli.run(&[
            "cluster", "create", APPLIANCE, "--name", CLUSTER, "--slaves", "3",
        ])?;
        self.cli.run(&["cluster", "hosts", CLUSTER])?;
        let first = self.is(3)?;
        say(format!("its master is at {}", address(&first)?));
        let stack = self.sees(3)?;

        chapter("a colleague asks for the same, and gets the same cluster");
        self.cli.speak_as(COLLEAGUE);
        self.cli
            .run(&["cluster", "create", APPLIANCE, "--slaves", "3"])?;
        let again = self.is(3)?;
        let holds = again["holds"].as_array().map_or(0, Vec::len);
        if again["id"] != first["id"] || holds != 2 {
            return Err(Error::new("it was not the same cluster, held twice"));
        }
        self.still(&stack, 3)?;

        chapter("five slaves, and back to three");
        self.cli.speak_as("user");
        self.cli.run(&["cluster", "resize", CLUSTER, "5"])?;
        self.is(5)?;
        self.still(&stack, 5)?;
        self.cli.run(&["cluster", "resize", CLUSTER, "-2"])?;
        self.is(3)?;
        self.still(&stack, 3)?;

        chapter("the user gives it up: the colleague holds it, so it stays");
        self.cli.run(&["cluster", "delete", CLUSTER])?;
        self.still(&stack, 3)?;

        chapter("the colleague gives it up, too: nobody holds it, so it goes");
        self.cli.speak_as(COLLEAGUE);
        self.cli.run(&["cluster", "events", CLUSTER])?;
        self.cli.run(&["cluster", "delete", CLUSTER])?;
        self.cli.run(&["cluster", "list"])?;
        let left = self.cli.json(&["cluster", "list"])?;
        if left.as_array().is_none_or(|list| !list.is_empty()) {
            return Err(Error::new("the daemon still lists a cluster"));
        }
        match (&mut self.witness, self.containers) {
            (Some(witness), _) => witness.sees_nothing_new(),
            (_, Some(containers)) => containers.sees_none(),
            _ => {
                say("the simulated site lives in the daemon: there is nobody else to ask");
                Ok(())
            }
        }
    }

    fn site(&mut self) -> Result<&'static str> {
        if let Some(lab) = self.cloud {
            let clouds = lab.clouds().display().to_string();
            self.cli
                .run(&["site", "import-clouds", &clouds, "--cloud", "oslab"])?;
            return Ok("oslab");
        }
        let (name, api, url) = match self.containers {
            Some(containers) => {
                let url = format!("file:{}", containers.path()?);
                (containers::SITE, "lxc", url)
            }
            None => ("nearby", "sim", "sim:nearby".to_owned()),
        };
        self.cli
            .run(&["site", "add", name, "--api", api, "--url", &url])?;
        Ok(name)
    }

    fn appliance(&mut self) -> Result<()> {
        let about = "a master and its slaves";
        self.cli
            .run(&["appliance", "add", APPLIANCE, "--description", about])?;
        let file = self.world.implementation().display().to_string();
        let mut add = vec!["implementation", "add", APPLIANCE, file.as_str()];
        let told = match self.world {
            World::Sim => Some(("sim", "application/vnd.rm.sim+json")),
            World::Vm | World::Geni => Some(("lxc", "application/vnd.resource-manager.nodes+json")),
            World::Min | World::Full => None,
        };
        if let Some((api, media)) = told {
            add.extend(["--site-type", api, "--media-type", media]);
        }
        if let Some(containers) = self.containers {
            let file = containers.archive()?;
            self.cli
                .run(&["image", "add", "small", file, "--disk-format", "rootfs"])?;
        }
        self.cli.run(&add)
    }

    fn credential(&mut self, site: &str) -> Result<()> {
        // What `import-clouds` took over is the operator's own; a secret never
        // stands on a command line.
        let secret = match self.cloud {
            Some(_) => json!({
                "username": "demo", "password": "oslab-user", "project_name": "demo",
            }),
            None => json!({}),
        };
        let file = self.cli.home.join("secret.json");
        files::private(&file, &format!("{secret}\n"))?;
        let file = file.display().to_string();
        self.cli.run(&[
            "credential",
            "add",
            "means",
            "--site",
            site,
            "--secret-file",
            &file,
        ])
    }

    /// The cluster as the daemon has it: ready, with an address and so many
    /// slaves.
    fn is(&mut self, slaves: u64) -> Result<Value> {
        let cluster = self.cli.json(&["cluster", "show", CLUSTER])?;
        address(&cluster)?;
        let hosts = cluster["hosts"].as_array().map_or(0, Vec::len);
        let is_whole = cluster["ready"] == true
            && cluster["slaves"] == slaves
            && u64::try_from(hosts) == Ok(slaves + 1);
        match is_whole {
            true => Ok(cluster),
            false => Err(Error::new(format!(
                "the cluster is not ready with {slaves} slaves: {cluster:#}"
            ))),
        }
    }

    /// What somebody else sees of it: the id of its stack, or what its master
    /// serves.
    fn sees(&mut self, slaves: u64) -> Result<Option<String>> {
        if let Some(witness) = &mut self.witness {
            return witness.sees(Expected { slaves }).map(Some);
        }
        let Some(containers) = self.containers else {
            return Ok(None);
        };
        let cluster = self.cli.json(&["cluster", "show", CLUSTER])?;
        containers.sees(address(&cluster)?, slaves).map(Some)
    }

    /// It is the same stack as before, with so many slaves.
    fn still(&mut self, stack: &Option<String>, slaves: u64) -> Result<()> {
        match self.sees(slaves)? == *stack {
            true => Ok(()),
            false => Err(Error::new("what is there is not what was there before")),
        }
    }
}

fn address(cluster: &Value) -> Result<&str> {
    cluster["address"]
        .as_str()
        .ok_or_else(|| Error::new("the cluster has no address"))
}

pub(super) fn chapter(title: &str) {
    println!();
    say(format!("== {title}"));
}
