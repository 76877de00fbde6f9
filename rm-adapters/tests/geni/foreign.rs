//! What a request says of other aggregates, and what several requests of a slice
//! say together.

use rm_adapters::geni::rspec::Rspec;
use rm_adapters::geni::xmlrpc::Value;

use super::lab::lab;
use super::slice::{AM, Slice, link, manifest, nodes, none, request, slivers, value};
use super::table::{kept, refused};

const OTHER: &str = "urn:publicid:IDN+other+authority+am";

fn node(name: &str, of: &str) -> String {
    format!(
        "<node client_id=\"{name}\" component_manager_id=\"{of}\">\
         <interface client_id=\"{name}:0\"/></node>"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_between_nodes_of_others_are_ignored_and_repeated_though_they_name_nobody() {
    let lab = lab("foreign-links").await;
    let slice = Slice::of(&lab, "s");
    // As geni-lib writes it: the LAN of the other site names no aggregate, and what
    // it is made of is none of our business.
    let theirs = "<link client_id=\"theirs\"><interface_ref client_id=\"x:0\"/>\
         <interface_ref client_id=\"y:0\"/><link_type name=\"gre-tunnel\"/></link>";
    let rspec = request(&format!(
        "{}{}{}{}{theirs}{}",
        node("a", AM),
        node("b", AM),
        node("x", OTHER),
        node("y", OTHER),
        link("ours", &["a:0", "b:0"]),
    ));
    let asked = Rspec::parse(&rspec).unwrap();
    let told = value(&slice.allocate(&rspec).await);
    let told = manifest(told.get("geni_rspec").unwrap());
    assert_eq!(told.links.len(), 2);
    assert_eq!(told.links[0], asked.links[0]);
    assert!(told.links[1].vlantag.is_some());
    // Between us and them it is refused, as ever.
    let across = request(&format!(
        "{}{}{}",
        node("c", AM),
        node("x", OTHER),
        link("across", &["c:0", "x:0"])
    ));
    let answer = Slice::of(&lab, "t").allocate(&across).await;
    refused("a link to another aggregate", &answer, 13);
    // And what is nowhere is a fault of the request.
    let nowhere = request(&format!("{}{}", node("c", AM), link("l", &["c:0", "z:0"])));
    let answer = Slice::of(&lab, "t").allocate(&nowhere).await;
    refused("an end that is nowhere", &answer, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_means_one_thing_in_a_slice_however_many_requests_it_came_by() {
    let lab = lab("names").await;
    let slice = Slice::of(&lab, "s");
    let pair = |a: &str, b: &str, wire: &str| {
        let ends = [&*format!("{a}:0"), &*format!("{b}:0")];
        request(&format!(
            "{}{}{}",
            node(a, AM),
            node(b, AM),
            link(wire, &ends)
        ))
    };
    let first = value(&slice.allocate(&pair("a", "b", "wire")).await);
    let interface = "<node client_id=\"c\"><interface client_id=\"a:0\"/></node>";
    for (row, rspec) in [
        ("a node", nodes(&["b"])),
        ("an interface", request(interface)),
        ("a link", pair("c", "d", "wire")),
        ("a node that is called as a link", nodes(&["wire"])),
        ("a link that is called as a node", pair("c", "d", "a")),
    ] {
        refused(row, &slice.allocate(&rspec).await, 17);
    }
    assert_eq!(kept(&lab).await, (1, 2));
    value(&slice.allocate(&pair("c", "d", "other")).await);
    // What is gone leaves its names; a link is there as long as one of its ends is.
    for (urn, wanted) in slivers(&first).into_iter().zip([17, 0]) {
        let gone = Value::Array(vec![Value::text(urn.urn)]);
        let arguments = vec![gone, slice.proof(), none()];
        value(&slice.call(3, "Delete", arguments).await);
        let answer = slice.allocate(&pair("e", "f", "wire")).await;
        assert_eq!(super::lab::code(&answer), wanted, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_each_request_says_of_others_is_told_once() {
    let lab = lab("once").await;
    let slice = Slice::of(&lab, "s");
    let beside = format!(
        "{}{}<x:plan xmlns:x=\"urn:x\">all</x:plan>",
        node("x", OTHER),
        node("y", OTHER)
    );
    let theirs = link("theirs", &["x:0", "y:0"]);
    for name in ["a", "b"] {
        let rspec = request(&format!("{}{beside}{theirs}", node(name, AM)));
        value(&slice.allocate(&rspec).await);
    }
    let another = node("x", OTHER).replace(
        " component_manager",
        " exclusive=\"true\" component_manager",
    );
    value(
        &slice
            .allocate(&request(&format!("{}{another}", node("c", AM))))
            .await,
    );
    let told = value(&slice.all("Describe").await);
    let told = manifest_of_all(&told);
    let names: Vec<&str> = told
        .nodes
        .iter()
        .filter_map(|n| n.client_id.as_deref())
        .collect();
    // What is said otherwise is told, too.
    assert_eq!(names, ["a", "x", "y", "b", "c", "x"]);
    assert_eq!(told.links.len(), 1);
    assert_eq!(told.extra.children().len(), 1);
}

fn manifest_of_all(told: &Value) -> Rspec {
    Rspec::parse(told.get("geni_rspec").unwrap().as_text().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_granted_is_refused_and_not_repeated_as_if_it_were() {
    let lab = lab("granted").await;
    let slice = Slice::of(&lab, "s");
    let both = format!("{}{}", node("a", AM), node("b", AM));
    let tunnel = "<link client_id=\"l\"><interface_ref client_id=\"a:0\"/>\
         <interface_ref client_id=\"b:0\"/><link_type name=\"gre-tunnel\"/></link>";
    let shared = tunnel.replace(
        "<link_type name=\"gre-tunnel\"/>",
        "<v:link_shared_vlan xmlns:v=\"http://www.geni.net/resources/rspec/ext/shared-vlan/1\" \
         name=\"mesoscale\"/>",
    );
    for (reason, rspec) in [
        ("link-type", format!("{both}{tunnel}")),
        ("shared-vlan", format!("{both}{shared}")),
        (
            "hardware-type",
            "<node client_id=\"a\"><hardware_type name=\"raspberrypi\"/></node>".to_owned(),
        ),
        (
            "relation",
            "<node client_id=\"a\"/><node client_id=\"b\"><relation type=\"parent\" \
             client_id=\"a\"/></node>"
                .to_owned(),
        ),
        (
            "colocate",
            "<node client_id=\"a\" colocate=\"1\"/><node client_id=\"b\" colocate=\"1\"/>"
                .to_owned(),
        ),
    ] {
        let rspec = request(&rspec);
        for answer in super::table::ask(&slice, &rspec).await {
            refused(reason, &answer, 13);
            assert_eq!(super::complaints::reason(&answer), reason);
        }
        assert_eq!(kept(&lab).await, (0, 0), "{reason}");
    }
    // Of others' it is none of our business.
    let theirs = node("x", OTHER).replace(
        "<interface",
        "<hardware_type name=\"raspberrypi\"/><interface",
    );
    let told = value(&slice.allocate(&request(&format!("{both}{theirs}"))).await);
    let told = told.get("geni_rspec").unwrap().as_text().unwrap();
    assert!(told.contains("raspberrypi"), "{told}");
}
