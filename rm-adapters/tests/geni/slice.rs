//! A slice of somebody's, the calls on it, and what is read of the answers.

use std::time::Duration;

use rm_adapters::geni::rspec::{Kind, Rspec, faults};
use rm_adapters::geni::xmlrpc::Value;

use super::authority::Party;
use super::lab::{Lab, code, options, sfa};

pub(crate) const AM: &str = "urn:publicid:IDN+lab:one+authority+am";
/// When the credentials of these slices end.
pub(crate) const WEEK: &str = "2026-11-28T07:42:26Z";
pub(crate) const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE alice@example.org";

/// A slice of alice's.
pub(crate) struct Slice<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) party: Party,
    pub(crate) credential: String,
}

impl<'a> Slice<'a> {
    pub(crate) fn of(lab: &'a Lab, name: &str) -> Self {
        Self::until(lab, name, WEEK)
    }

    pub(crate) fn until(lab: &'a Lab, name: &str, expires: &str) -> Self {
        let party = lab.slice(name);
        let credential = lab.slice_credential(&lab.alice, &party, expires);
        Self {
            lab,
            party,
            credential,
        }
    }

    pub(crate) fn urn(&self) -> Value {
        Value::text(self.party.urn.as_str())
    }

    pub(crate) fn urns(&self) -> Value {
        Value::Array(vec![self.urn()])
    }

    pub(crate) fn proof(&self) -> Value {
        Value::Array(vec![sfa(&self.credential)])
    }

    pub(crate) async fn call(&self, version: u8, method: &str, arguments: Vec<Value>) -> Value {
        self.lab
            .call(&self.lab.alice, version, method, arguments)
            .await
    }

    pub(crate) async fn allocate(&self, rspec: &str) -> Value {
        let arguments = vec![self.urn(), self.proof(), Value::text(rspec), none()];
        self.call(3, "Allocate", arguments).await
    }

    /// A call of version 3 on all of its slivers.
    pub(crate) async fn all(&self, method: &str) -> Value {
        let options = match method {
            "Provision" => with_users(),
            _ => options(vec![]),
        };
        self.call(3, method, vec![self.urns(), self.proof(), options])
            .await
    }

    pub(crate) async fn act(&self, action: &str) -> Value {
        let arguments = vec![self.urns(), self.proof(), Value::text(action), none()];
        self.call(3, "PerformOperationalAction", arguments).await
    }

    pub(crate) async fn create(&self, rspec: &str) -> Value {
        let users = with_users().get("geni_users").unwrap().clone();
        let arguments = vec![self.urn(), self.proof(), Value::text(rspec), users, none()];
        self.call(2, "CreateSliver", arguments).await
    }

    /// Lets time pass until all slivers are in this state.
    pub(crate) async fn comes_to(&self, state: &str) -> Value {
        for _ in 0..3000 {
            let answer = self.all("Status").await;
            let slivers = slivers(&value(&answer));
            if slivers.iter().all(|s| s.operational == state) {
                return answer;
            }
            self.lab.later(Duration::from_millis(500));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!(
            "it does not come to {state}: {:?}",
            self.all("Status").await
        );
    }
}

pub(crate) fn none() -> Value {
    Value::Struct(vec![])
}

pub(crate) fn with_users() -> Value {
    let alice = Value::of([
        ("urn", Value::text("urn:publicid:IDN+lab:one+user+alice")),
        ("keys", Value::Array(vec![Value::text(KEY)])),
    ]);
    options(vec![("geni_users", Value::Array(vec![alice]))])
}

/// A request of these nodes.
pub(crate) fn nodes(names: &[&str]) -> String {
    let nodes: String = names
        .iter()
        .map(|name| format!("<node client_id=\"{name}\"><sliver_type name=\"lxc\"/></node>"))
        .collect();
    request(&nodes)
}

pub(crate) fn request(inside: &str) -> String {
    format!(
        "<rspec type=\"request\" xmlns=\"http://www.geni.net/resources/rspec/3\">{inside}</rspec>"
    )
}

pub(crate) fn link(name: &str, ends: &[&str]) -> String {
    let ends: String = ends
        .iter()
        .map(|end| format!("<interface_ref client_id=\"{end}\"/>"))
        .collect();
    format!("<link client_id=\"{name}\">{ends}</link>")
}

/// What was answered, of a call that went well.
pub(crate) fn value(answer: &Value) -> Value {
    assert_eq!(code(answer), 0, "{answer:?}");
    answer.get("value").unwrap().clone()
}

/// A sliver as version 3 tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) urn: String,
    pub(crate) allocation: String,
    pub(crate) operational: String,
    pub(crate) expires: String,
    pub(crate) error: String,
}

pub(crate) fn slivers(value: &Value) -> Vec<Told> {
    let list = value.get("geni_slivers").unwrap_or(value);
    let text = |sliver: &Value, name: &str| {
        let text = sliver.get(name).and_then(Value::as_text);
        text.unwrap_or_else(|| panic!("{name} of {sliver:?}"))
            .to_owned()
    };
    list.as_array()
        .unwrap()
        .iter()
        .map(|sliver| Told {
            urn: text(sliver, "geni_sliver_urn"),
            allocation: text(sliver, "geni_allocation_status"),
            operational: text(sliver, "geni_operational_status"),
            expires: text(sliver, "geni_expires"),
            error: text(sliver, "geni_error"),
        })
        .collect()
}

pub(crate) fn manifest(text: &Value) -> Rspec {
    let manifest = Rspec::parse(text.as_text().unwrap()).unwrap();
    assert_eq!(manifest.kind(), Some(Kind::Manifest));
    assert_eq!(faults(&manifest, None), []);
    manifest
}

pub(crate) fn states(value: &Value) -> Vec<(String, String)> {
    slivers(value)
        .into_iter()
        .map(|s| (s.allocation, s.operational))
        .collect()
}

pub(crate) fn all(allocation: &str, operational: &str, n: usize) -> Vec<(String, String)> {
    vec![(allocation.to_owned(), operational.to_owned()); n]
}
