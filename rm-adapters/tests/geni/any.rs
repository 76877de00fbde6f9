//! RSpecs of any kind: what is made is printed and read again, and what is broken
//! makes nobody fall.

use proptest::prelude::*;
use rm_adapters::geni::rspec::{
    DiskImage, Interface, Ip, Kind, Node, Rspec, SliverType, Text, faults,
};
use rm_adapters::geni::{Attribute, Element, Name};

use super::ring::ring;
use super::rspec::request;

fn text() -> impl Strategy<Value = Text> {
    proptest::option::of("[ -~\u{e4}\u{4e16}\u{1f600}\t\n]{0,12}".prop_map(Into::into))
}

fn name() -> impl Strategy<Value = Name> {
    let part = "[a-z][a-z0-9_.-]{0,4}";
    (proptest::option::of(part), part, part).prop_map(
        |(namespace, prefix, local)| match namespace {
            Some(n) => Name::new(
                &format!("http://example.org/{n}"),
                &format!("p{prefix}"),
                &local,
            ),
            None => Name::new("", "", &local),
        },
    )
}

fn element() -> impl Strategy<Value = Element> {
    let leaf = (
        name(),
        proptest::collection::btree_map("[a-z]{1,3}", "[ -~\n]{0,8}", 0..3),
    )
        .prop_map(|(name, attributes)| {
            let mut element = Element::new(name);
            for (name, value) in attributes {
                element = element.with(&name, &value);
            }
            element
        });
    leaf.prop_recursive(3, 12, 3, |inner| {
        (inner.clone(), inner, "[ -~]{1,8}")
            .prop_map(|(outer, inner, text)| outer.saying(&text).holding(inner))
    })
}

prop_compose! {
    fn node()(client_id in text(), sliver in text(), image in text(), address in text(),
              exclusive in text(), extra in proptest::option::of(element()),
              attribute in proptest::option::of(("[a-z]{1,4}", text()))) -> Node {
        let mut node = Node {
            client_id,
            exclusive,
            sliver_types: vec![SliverType {
                name: sliver,
                disk_images: vec![DiskImage { name: image, ..DiskImage::default() }],
                ..SliverType::default()
            }],
            interfaces: vec![Interface {
                ips: vec![Ip { address, ..Ip::default() }],
                ..Interface::default()
            }],
            ..Node::default()
        };
        if let Some(extra) = extra {
            node.extra.add(extra);
        }
        if let Some((name, Some(value))) = attribute {
            node.extra.add_attribute(Attribute {
                name: Name::new("http://example.org/a", "q", &name),
                value,
            });
        }
        node
    }
}

proptest! {
    #[test]
    fn whatever_is_printed_is_read_again(nodes in proptest::collection::vec(node(), 0..4)) {
        let mut rspec = Rspec::new(Kind::Request);
        rspec.nodes = nodes;
        let printed = rspec.print();
        prop_assert!(printed.is_ascii());
        let again = Rspec::parse(&printed);
        prop_assert_eq!(again.map_err(|e| format!("{e}\n{printed}")), Ok(rspec));
    }

    #[test]
    fn no_text_makes_the_reader_fall(text in "(<[/!?]?[a-z:]{0,6}( [a-z:]{1,6}=[\"'][^<]{0,4}[\"'])?/?>|&[#a-z0-9]{0,4};?|[a-z\n\r\u{0}-\u{20}\u{e9}]{0,5}|<!--|-->|<!\\[CDATA\\[|\\]\\]>|xmlns){0,24}") {
        let _ = Rspec::parse(&text);
        let _ = Rspec::parse(&request(&text)).map(|r| faults(&r, None));
    }

    #[test]
    fn a_sample_that_is_broken_anywhere_does_not_make_the_reader_fall(at in 0_usize..1600, byte in any::<u8>()) {
        let text = ring(Kind::Request, 2).print();
        let mut bytes = text.into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(read) = Rspec::parse(&text)
        {
            prop_assert_eq!(Rspec::parse(&read.print()).unwrap(), read);
        }
    }
}
