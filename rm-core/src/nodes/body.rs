//! Implementations that say which nodes a cluster is made of.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::software::{AT_FIRST_BOOT, Software};
use super::text::{BUILT_IN, MASTER_IP, Values, references, unknown};
use crate::catalog::Implementation;
use crate::error::{Error, Result};
use crate::id::Kind;
use crate::model::{ClusterSpec, Interface, NodeImage, NodeSpec, NodeUser, Power};
use crate::name::check_name;

mod count;

use count::Count;

/// How many nodes one cluster may have.
pub const MOST_NODES: u32 = 500;

/// A body as it is read and checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    pub(super) roles: Vec<Role>,
    pub(super) master: String,
    #[serde(default)]
    ready_port: Option<u16>,
    #[serde(default)]
    pub(super) default_slaves: Option<u32>,
    #[serde(default)]
    pub(super) parameters: BTreeMap<String, String>,
    #[serde(default)]
    outputs: BTreeMap<String, String>,
    /// What the implementation brings beside its body.
    #[serde(skip)]
    software: Software,
}

/// Nodes of one sort.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    pub(super) name: String,
    count: Count,
    /// Which variety of node, where the site has several.
    #[serde(default)]
    pub(super) kind: Option<Kind>,
    node: Template,
    /// For which moments it runs scripts when a node of it first boots, in this
    /// order; [`AT_FIRST_BOOT`] where absent.
    #[serde(default)]
    scripts: Option<Vec<String>>,
}

/// A node as a [`NodeSpec`] has it, with references in its texts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    image: String,
    vcpus: u32,
    memory_mib: u64,
    #[serde(default)]
    disk_gib: Option<u64>,
    #[serde(default)]
    interfaces: Vec<Interface>,
    #[serde(default)]
    hostname: Option<String>,
    #[serde(default)]
    users: Vec<NodeUser>,
    #[serde(default)]
    user_data: String,
    #[serde(default)]
    boot_commands: Vec<String>,
}

/// One node that shall be there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) role: String,
    /// Which of its role, from 1.
    pub(super) index: u32,
}

impl Template {
    fn texts(&self) -> impl Iterator<Item = &str> {
        [&self.image, &self.user_data]
            .into_iter()
            .chain(&self.hostname)
            .chain(&self.boot_commands)
            .chain(
                self.users
                    .iter()
                    .flat_map(|u| u.ssh_keys.iter().chain([&u.name])),
            )
            .map(String::as_str)
    }

    fn refers_to_master(&self) -> bool {
        self.texts()
            .any(|text| references(text).is_ok_and(|names| names.contains(&MASTER_IP)))
    }
}

impl Role {
    fn moments(&self) -> Vec<&str> {
        match &self.scripts {
            Some(own) => own.iter().map(String::as_str).collect(),
            None => AT_FIRST_BOOT.to_vec(),
        }
    }
}

impl Body {
    /// With what the implementation brings beside it.
    pub(super) fn of(implementation: &Implementation) -> Result<Self> {
        Ok(Self {
            software: Software::new(&implementation.scripts, &implementation.environment),
            ..Self::read(&implementation.body)?
        })
    }

    pub(super) fn read(text: &str) -> Result<Self> {
        // A list would be read as the fields in their order.
        if !text.trim_start().starts_with('{') {
            return Err(Error::invalid("the implementation is not a JSON object")
                .advice("write {\"roles\": [...], \"master\": ...}"));
        }
        let body: Self = serde_json::from_str(text).map_err(|e| {
            Error::invalid(format!("the implementation is not one of nodes: {e}"))
                .advice("it has roles and a master; see docs/rfcs/0005-clusters-of-nodes.md")
        })?;
        body.check()?;
        Ok(body)
    }

    fn check(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        for role in &self.roles {
            check_name("role", &role.name)?;
            if !names.insert(role.name.as_str()) {
                return Err(
                    Error::invalid(format!("two roles are called {:?}", role.name))
                        .advice("give one of them another name"),
                );
            }
        }
        let names: Vec<&str> = names.into_iter().collect();
        let Some(master) = self.roles.iter().find(|r| r.name == self.master) else {
            return Err(
                Error::invalid(format!("no role is called {:?}, the master", self.master))
                    .advice(format!("the roles are: {}", names.join(", "))),
            );
        };
        if master.count.fixed == 0 {
            return Err(Error::invalid(format!(
                "the role {:?} is the master and may have no node",
                master.name
            ))
            .advice("give it a count of 1, or of \"1 + slaves\""));
        }
        if self.roles.iter().filter(|r| r.count.slaves).count() > 1 {
            return Err(
                Error::invalid("two roles have as many nodes as there are slaves")
                    .advice("let only one of them grow"),
            );
        }
        for name in self.parameters.keys() {
            check_name("parameter", name)?;
            if BUILT_IN.contains(&name.as_str()) {
                return Err(Error::invalid(format!(
                    "no parameter can be called {name:?}: that has a meaning of its own"
                ))
                .advice("give it another name"));
            }
        }
        for role in &self.roles {
            self.check_role(role).map_err(|e| in_role(&role.name, &e))?;
        }
        for text in self.outputs.values() {
            self.check_references(text)?;
        }
        if self.default_slaves.is_some() && !self.grows() {
            return Err(
                Error::invalid("no role has slaves, and default_slaves says how many")
                    .advice("leave it out, or give a role the count \"slaves\""),
            );
        }
        self.slots(self.default_slaves.unwrap_or(0)).map(drop)
    }

    fn check_role(&self, role: &Role) -> Result<()> {
        if role.count.fixed == 0 && !role.count.slaves {
            return Err(Error::invalid("it has no node").advice("give it a count of 1 or more"));
        }
        let node = &role.node;
        if node.vcpus == 0 || node.memory_mib == 0 {
            return Err(Error::invalid("a node needs a processor and memory")
                .advice("vcpus and memory_mib are 1 or more"));
        }
        let one = role.count.fixed == 1 && !role.count.slaves;
        let fixed = |i: &Interface| !i.addresses.is_empty() || i.mac.is_some();
        if !one && node.interfaces.iter().any(fixed) {
            return Err(Error::invalid("several nodes would have one address")
                .advice("leave addresses and mac out: each is given its own"));
        }
        for text in node.texts() {
            self.check_references(text)?;
        }
        if role.name == self.master && node.refers_to_master() {
            return Err(
                Error::invalid("the master's own address is not known before it is made")
                    .advice("leave {{master_ip}} out of the master's role"),
            );
        }
        if references(&node.image)?.contains(&MASTER_IP) {
            return Err(Error::invalid("an image cannot depend on an address")
                .advice("name an image of the catalog"));
        }
        Ok(())
    }

    /// Refuses scripts that no role runs, moments that no script is for, and an
    /// environment that no shell can have.
    pub(super) fn check_software(&self, software: &Software) -> Result<()> {
        for text in software.texts() {
            self.check_references(text)?;
        }
        for role in &self.roles {
            for moment in role.scripts.iter().flatten() {
                if !software.has(moment) {
                    return Err(in_role(
                        &role.name,
                        &Error::invalid(format!(
                            "it runs scripts for {moment:?}, and there is none"
                        ))
                        .advice("bring one, or leave the word out"),
                    ));
                }
            }
        }
        let run: BTreeSet<&str> = self.roles.iter().flat_map(Role::moments).collect();
        software.check(&run)
    }

    fn check_references(&self, text: &str) -> Result<()> {
        for name in references(text)? {
            if !BUILT_IN.contains(&name) && !self.parameters.contains_key(name) {
                let own = self.parameters.keys().map(String::as_str);
                let known: Vec<&str> = BUILT_IN.into_iter().chain(own).collect();
                return Err(unknown(name, &known));
            }
        }
        Ok(())
    }

    /// Whether a request can say how many nodes there are.
    fn grows(&self) -> bool {
        self.roles.iter().any(|r| r.count.slaves)
    }

    /// How many nodes there are beside the master and the slaves.
    pub(super) fn others(&self) -> u32 {
        let fixed = self.roles.iter().map(|r| r.count.fixed);
        fixed.fold(0, u32::saturating_add).saturating_sub(1)
    }

    /// Every node that shall be there, the master first.
    pub(super) fn slots(&self, slaves: u32) -> Result<Vec<Slot>> {
        if slaves > 0 && !self.grows() {
            return Err(Error::invalid(format!(
                "{slaves} slaves were asked for, and this appliance has none"
            ))
            .advice("ask for 0 slaves"));
        }
        let counts = self.roles.iter().map(|r| r.count.of(slaves));
        let all = counts.fold(0, u32::saturating_add);
        if all > MOST_NODES {
            return Err(Error::invalid(format!(
                "that is a cluster of {all} nodes, and {MOST_NODES} are the most"
            ))
            .advice("ask for fewer"));
        }
        let (master, others): (Vec<_>, Vec<_>) =
            self.roles.iter().partition(|r| r.name == self.master);
        let slots = master.into_iter().chain(others).flat_map(|role| {
            (1..=role.count.of(slaves)).map(|index| Slot {
                role: role.name.clone(),
                index,
            })
        });
        Ok(slots.collect())
    }

    pub(super) fn role(&self, name: &str) -> Result<&Role> {
        let found = self.roles.iter().find(|r| r.name == name);
        found.ok_or_else(|| Error::invalid(format!("there is no role {name:?}")))
    }

    /// Whether a node is made only when the master's address is known.
    pub(super) fn waits(&self, slot: &Slot) -> bool {
        let Ok(role) = self.role(&slot.role) else {
            return false;
        };
        let told = self.runs(role) && self.software.refers_to_master();
        role.node.refers_to_master() || (told && !self.is_master(slot))
    }

    fn is_master(&self, slot: &Slot) -> bool {
        slot.role == self.master && slot.index == 1
    }

    /// Whether the nodes of a role run anything when they first boot.
    fn runs(&self, role: &Role) -> bool {
        let mut moments = role.moments().into_iter();
        !role.node.boot_commands.is_empty() || moments.any(|m| self.software.has(m))
    }

    /// What the texts of a node may refer to.
    fn values(&self, slot: &Slot, spec: &ClusterSpec, master_ip: Option<&str>) -> Result<Values> {
        let mut values = Values::default();
        for (name, default) in &self.parameters {
            match spec.parameters.get(name) {
                Some(given) => values.set(name, text_of(name, given)?),
                None => values.set(name, default),
            }
        }
        values.set("index", slot.index.to_string());
        values.set("role", &slot.role);
        values.set("slaves", spec.slaves.to_string());
        values.set("open", "{{");
        values.set(MASTER_IP, master_ip.unwrap_or_default());
        Ok(values)
    }

    /// The name of the image that a node is made of.
    pub(super) fn image(&self, slot: &Slot, spec: &ClusterSpec) -> Result<String> {
        let values = self.values(slot, spec, None)?;
        values.fill(&self.role(&slot.role)?.node.image)
    }

    /// What is wanted of a node.
    pub(super) fn node(
        &self,
        slot: &Slot,
        spec: &ClusterSpec,
        image: NodeImage,
        master_ip: Option<&str>,
    ) -> Result<NodeSpec> {
        // Nobody tells the master of itself, also where it is made again.
        let master_ip = master_ip.filter(|_| !self.is_master(slot));
        let values = self.values(slot, spec, master_ip)?;
        let role = self.role(&slot.role)?;
        let node = &role.node;
        let fill = |texts: &[String]| -> Result<Vec<String>> {
            texts.iter().map(|text| values.fill(text)).collect()
        };
        let mut users = Vec::with_capacity(node.users.len() + spec.users.len());
        for user in &node.users {
            users.push(NodeUser {
                name: values.fill(&user.name)?,
                ssh_keys: fill(&user.ssh_keys)?,
            });
        }
        for user in &spec.users {
            match users.iter_mut().find(|known| known.name == user.name) {
                Some(known) => known.ssh_keys.extend(user.ssh_keys.iter().cloned()),
                None => users.push(user.clone()),
            }
        }
        let mut boot_commands = Vec::new();
        if self.runs(role) {
            boot_commands.extend(self.software.exports(&values)?);
            boot_commands.extend(fill(&node.boot_commands)?);
            boot_commands.extend(self.software.scripts(&role.moments()));
        }
        Ok(NodeSpec {
            image,
            vcpus: node.vcpus,
            memory_mib: node.memory_mib,
            disk_gib: node.disk_gib,
            interfaces: node.interfaces.clone(),
            hostname: node
                .hostname
                .as_deref()
                .map(|h| values.fill(h))
                .transpose()?,
            users,
            user_data: values.fill(&node.user_data)?,
            boot_commands,
            power: Power::Running,
            requests: Vec::new(),
            ready_port: self.ready_port.filter(|_| self.is_master(slot)),
        })
    }

    /// What the cluster gives out.
    pub(super) fn outputs(
        &self,
        spec: &ClusterSpec,
        master_ip: Option<&str>,
    ) -> Result<BTreeMap<String, Value>> {
        let master = Slot {
            role: self.master.clone(),
            index: 1,
        };
        let values = self.values(&master, spec, master_ip)?;
        self.outputs
            .iter()
            .map(|(name, text)| Ok((name.clone(), values.fill(text)?.into())))
            .collect()
    }
}

/// The same error with the role in which it was found.
fn in_role(role: &str, e: &Error) -> Error {
    let what = Error::invalid(format!("the role {role:?}: {}", e.what()));
    match e.next() {
        Some(next) => what.advice(next),
        None => what,
    }
}

/// A parameter as the text that it stands for.
pub(super) fn text_of(name: &str, value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(
            Error::invalid(format!("the parameter {name:?} is not one value"))
                .advice("give a text, a number, or true or false"),
        ),
    }
}

#[cfg(test)]
mod tests;
