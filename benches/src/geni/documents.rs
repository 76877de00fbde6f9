//! Documents as racks of real testbeds write them, with so many nodes.

use std::fmt::Write as _;

const RSPEC: &str = "http://www.geni.net/resources/rspec/3";
/// The authority of the rack, and its aggregate.
pub(super) const AUTHORITY: &str = "rack.example.net";
pub(super) const CM: &str = "urn:publicid:IDN+rack.example.net+authority+cm";

/// Nodes that can be had, each with two interfaces, and a link for each pair.
pub(super) fn advertisement(nodes: u32) -> String {
    let mut text = head("advertisement", "ad.xsd");
    for n in 0..nodes {
        let _ = write!(
            text,
            r#"  <node component_id="urn:publicid:IDN+rack.example.net+node+pc{n}" component_manager_id="{CM}" component_name="pc{n}" exclusive="false">
    <available now="true"/>
    <hardware_type name="pc">
      <emulab:node_type type_slots="100"/>
    </hardware_type>
    <sliver_type name="emulab-xen">
      <disk_image description="Standard 64-bit Ubuntu image" name="urn:publicid:IDN+rack.example.net+image+emulab-ops:UBUNTU22-64-STD" os="Linux" version="22.04"/>
    </sliver_type>
    <location country="US" latitude="38.0" longitude="-84.5"/>
    <interface component_id="urn:publicid:IDN+rack.example.net+interface+pc{n}:eth0" role="control" public_ipv4="192.0.2.7"/>
    <interface component_id="urn:publicid:IDN+rack.example.net+interface+pc{n}:eth1" role="experimental"/>
  </node>
"#
        );
    }
    for n in 0..nodes / 2 {
        let (a, b) = (2 * n, 2 * n + 1);
        let _ = write!(
            text,
            r#"  <link component_id="urn:publicid:IDN+rack.example.net+link+l{n}" component_name="l{n}">
    <component_manager name="{CM}"/>
    <interface_ref component_id="urn:publicid:IDN+rack.example.net+interface+pc{a}:eth1"/>
    <interface_ref component_id="urn:publicid:IDN+rack.example.net+interface+pc{b}:eth1"/>
    <link_type name="ipv4"/>
  </link>
"#
        );
    }
    text.push_str("</rspec>\n");
    text
}

/// What asks for so many nodes of a type of sliver.
pub(super) fn request(nodes: u32, sliver_type: &str) -> String {
    let mut text = head("request", "request.xsd");
    for n in 0..nodes {
        let _ = write!(
            text,
            r#"  <node client_id="node-{n}" component_manager_id="{CM}" exclusive="false">
    <sliver_type name="{sliver_type}"/>
    <interface client_id="node-{n}:if0"><ip address="10.1.{}.{}" netmask="255.255.0.0" type="ipv4"/></interface>
    <services><execute shell="sh" command="/local/setup.sh {n}"/></services>
  </node>
"#,
            n / 250 % 250,
            n % 250 + 1,
        );
    }
    text.push_str("</rspec>\n");
    text
}

fn head(kind: &str, schema: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<rspec type="{kind}" generated="2026-11-21T20:00:00Z" xmlns="{RSPEC}" xmlns:emulab="http://www.protogeni.net/resources/rspec/ext/emulab/1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="{RSPEC} {RSPEC}/{schema}">
"#
    )
}
