//! A document of any size.

use rm_adapters::geni::rspec::{
    DiskImage, Interface, InterfaceRef, Ip, Kind, Link, LinkType, Login, Node, Property, Rspec,
    Services, SliverType,
};

/// A document of this many nodes in a ring, as a request or an advertisement.
pub(crate) fn ring(kind: Kind, nodes: usize) -> Rspec {
    let some = |text: String| Some(text.into());
    let mut rspec = Rspec::new(kind);
    for n in 0..nodes {
        let named = |end: usize| some(format!("node-{n}:if{end}"));
        let interface = |end: usize| Interface {
            client_id: named(end).filter(|_| kind != Kind::Advertisement),
            component_id: named(end).filter(|_| kind != Kind::Request),
            ips: vec![Ip {
                address: some(format!(
                    "10.{}.{}.{}",
                    n / 4096,
                    n / 16 % 256,
                    n % 16 * 2 + end
                )),
                netmask: some("255.255.255.254".to_owned()),
                kind: some("ipv4".to_owned()),
                ..Ip::default()
            }],
            ..Interface::default()
        };
        let mut node = Node {
            client_id: some(format!("node-{n}")),
            component_manager_id: some("urn:publicid:IDN+example.org+authority+am".to_owned()),
            exclusive: some("false".to_owned()),
            sliver_types: vec![SliverType {
                name: some("lxc".to_owned()),
                disk_images: vec![DiskImage {
                    name: some("urn:publicid:IDN+example.org+image+std:debian-12".to_owned()),
                    ..DiskImage::default()
                }],
                ..SliverType::default()
            }],
            interfaces: vec![interface(0), interface(1)],
            ..Node::default()
        };
        if kind == Kind::Advertisement {
            node.component_id = node.client_id.take();
        }
        if kind == Kind::Manifest {
            node.sliver_id = some(format!("urn:publicid:IDN+example.org+sliver+{n}"));
            node.services.push(Services {
                logins: vec![Login {
                    authentication: some("ssh-keys".to_owned()),
                    hostname: some("host".to_owned()),
                    port: some("22".to_owned()),
                    username: some("alice".to_owned()),
                    ..Login::default()
                }],
                ..Services::default()
            });
        }
        rspec.nodes.push(node);
        let (from, to) = (
            format!("node-{n}:if1"),
            format!("node-{}:if0", (n + 1) % nodes),
        );
        let end = |id: &str| InterfaceRef {
            client_id: some(id.to_owned()).filter(|_| kind != Kind::Advertisement),
            component_id: some(id.to_owned()).filter(|_| kind != Kind::Request),
            ..InterfaceRef::default()
        };
        rspec.links.push(Link {
            client_id: some(format!("link-{n}")).filter(|_| kind != Kind::Advertisement),
            component_id: some(format!("link-{n}")).filter(|_| kind == Kind::Advertisement),
            vlantag: some("100".to_owned()).filter(|_| kind == Kind::Manifest),
            interface_refs: vec![end(&from), end(&to)],
            properties: vec![Property {
                source_id: some(from.clone()),
                dest_id: some(to.clone()),
                capacity: some("1000".to_owned()),
                latency: some("5".to_owned()),
                packet_loss: some("0.01".to_owned()),
                ..Property::default()
            }],
            link_types: vec![LinkType {
                name: some("lan".to_owned()),
                ..LinkType::default()
            }],
            ..Link::default()
        });
    }
    rspec
}
