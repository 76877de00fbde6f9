//! The hosts of a cluster, from what Heat shows of its stack.

use rm_core::model::ClusterHost;
use serde_json::Value;

use crate::client::heat::{Stack, StackResource};
use crate::template::{HOSTS, MASTER_IP};

/// From the servers inside the stack.
pub(crate) fn of_servers(resources: &[StackResource], stack: &Stack) -> Vec<ClusterHost> {
    let master = address(stack);
    let mut hosts: Vec<ClusterHost> = resources
        .iter()
        .filter(|r| matches!(r.kind.as_str(), "OS::Nova::Server" | "AWS::EC2::Instance"))
        .map(|r| {
            let addresses = addresses(&r.attributes);
            let first = r.attributes["first_address"]
                .as_str()
                .filter(|a| !a.is_empty())
                .map(str::to_owned)
                .or_else(|| addresses.first().cloned());
            let is_master = r.name.contains("master")
                || master
                    .as_ref()
                    .is_some_and(|m| first.as_ref() == Some(m) || addresses.contains(m));
            ClusterHost {
                name: r.attributes["name"].as_str().unwrap_or(&r.name).to_owned(),
                role: if is_master { "master" } else { "slave" }.to_owned(),
                address: first,
            }
        })
        .collect();
    sort(&mut hosts);
    hosts
}

/// From the output in which a template lists its hosts itself.
pub(crate) fn of_output(stack: &Stack) -> Vec<ClusterHost> {
    let master = address(stack);
    let mut hosts: Vec<ClusterHost> = stack
        .output(HOSTS)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|host| {
            let address = host["address"].as_str().map(str::to_owned);
            let role = match host["role"].as_str() {
                Some(role) => role.to_owned(),
                None if address.is_some() && address == master => "master".to_owned(),
                None => "slave".to_owned(),
            };
            Some(ClusterHost {
                name: host["name"].as_str()?.to_owned(),
                role,
                address,
            })
        })
        .collect();
    sort(&mut hosts);
    hosts
}

/// Where the master is reached.
pub(crate) fn address(stack: &Stack) -> Option<String> {
    match stack.output(MASTER_IP)? {
        Value::String(address) if !address.is_empty() => Some(address.clone()),
        // Templates that get it from a group give a list of one.
        Value::Array(list) => list.first()?.as_str().map(str::to_owned),
        _ => None,
    }
}

/// The addresses in a server's attribute `addresses`, by network.
fn addresses(attributes: &Value) -> Vec<String> {
    attributes["addresses"]
        .as_object()
        .into_iter()
        .flat_map(|networks| networks.values())
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|entry| entry["addr"].as_str())
        .map(str::to_owned)
        .collect()
}

/// The master first; the others by name, numbers in their names counting as
/// numbers.
fn sort(hosts: &mut [ClusterHost]) {
    hosts.sort_by_key(|h| {
        let digits = h
            .name
            .chars()
            .rev()
            .take_while(char::is_ascii_digit)
            .count();
        let (stem, number) = h.name.split_at(h.name.len() - digits);
        (
            h.role != "master",
            stem.to_owned(),
            number.parse::<u64>().unwrap_or(0),
        )
    });
}
