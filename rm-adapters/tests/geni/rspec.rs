//! RSpecs: those that were recorded, those that are hostile, and any.

use std::path::{Path, PathBuf};
use std::process::Command;

use rm_adapters::geni::rspec::{Fault, Kind, Rspec, Severity, faults};
use rm_adapters::geni::{Element, Name};

use super::ring::ring;
use needs::reference;

/// What cannot be read, and why.
const REFUSED: [(&str, &str); 4] = [
    ("planetlab_sfa/rspec__sample_rspec.xml", "this is no RSpec"),
    ("planetlab_sfa/sfatables__test.rspec", "this is no RSpec"),
    ("planetlab_sfa/sfatables__vini.rspec", "this is no RSpec"),
    (
        "mytestbed_omf_sfa/test__OLD_FILES__rspec-test.xml",
        "</link>",
    ),
];

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(path);
        }
    }
    into.sort();
}

/// All samples: their names and texts.
fn samples(reference: &Path) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in ["data/rspec/samples", "data/geni/samples"] {
        files(&reference.join(folder), &mut paths);
    }
    paths
        .into_iter()
        .map(|path| {
            let name = path.iter().rev().take(2).collect::<Vec<_>>();
            let name = format!("{}/{}", name[1].display(), name[0].display());
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn every_sample_is_read_or_refused_with_a_reason_and_a_line() {
    let Some(reference) = reference("every_sample_is_read") else {
        return;
    };
    let samples = samples(&reference);
    assert!(samples.len() >= 68, "{}", samples.len());
    for (name, text) in samples {
        let read = Rspec::parse(&text);
        match REFUSED.iter().find(|(refused, _)| *refused == name) {
            Some((_, why)) => {
                let error = read.unwrap_err().to_string();
                assert!(
                    error.contains(why) && error.starts_with("line "),
                    "{name}: {error}"
                );
            }
            None => {
                let read = read.unwrap_or_else(|e| panic!("{name}: {e}"));
                assert!(read.kind().is_some(), "{name}");
            }
        }
    }
}

#[test]
fn every_sample_stays_what_it_is_when_it_is_printed_and_read_again() {
    let Some(reference) = reference("every_sample_stays") else {
        return;
    };
    for (name, text) in samples(&reference) {
        let Ok(read) = Rspec::parse(&text) else {
            continue;
        };
        let printed = read.print();
        assert!(printed.is_ascii(), "{name}");
        let again = Rspec::parse(&printed).unwrap_or_else(|e| panic!("{name}: {e}\n{printed}"));
        assert_eq!(again, read, "{name}\n{printed}");
        assert_eq!(again.print(), printed, "{name}");
        // The numbers of elements and attributes of the text, whoever knows them.
        assert_eq!(count(&printed), count(&text), "{name}\n{printed}");
    }
}

/// How many elements a text has, and attributes that declare nothing.
fn count(text: &str) -> (usize, usize) {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut found = (0, 0);
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(e) | quick_xml::events::Event::Empty(e) => {
                found.0 += 1;
                found.1 += e
                    .attributes()
                    .filter(|a| !a.as_ref().unwrap().key.0.starts_with("xmlns"))
                    .count();
            }
            quick_xml::events::Event::Eof => return found,
            _ => {}
        }
    }
}

#[test]
fn an_edit_of_the_model_shows_in_the_print() {
    let Some(reference) = reference("an_edit_shows") else {
        return;
    };
    for (name, text) in samples(&reference) {
        let Ok(mut read) = Rspec::parse(&text) else {
            continue;
        };
        let Some(node) = read.nodes.first_mut() else {
            continue;
        };
        node.client_id = Some("edited <&\"\u{e9}".into());
        node.extra
            .add(Element::new(Name::new("http://example.org/x", "x", "note")).saying("a < b"));
        let again = Rspec::parse(&read.print()).unwrap();
        assert_eq!(again, read, "{name}");
        assert!(
            read.print()
                .contains("client_id=\"edited &lt;&amp;&quot;&#233;\""),
            "{name}"
        );
        assert!(
            again.nodes[0]
                .extra
                .element("http://example.org/x", "note")
                .is_some()
        );
    }
}

#[test]
fn what_others_said_is_repeated_wherever_it_is_put() {
    let request = Rspec::parse(
        r#"<r:rspec type="request" xmlns:r="http://www.geni.net/resources/rspec/3"
             xmlns:e="http://example.org/e" e:seed="7">
             <r:node client_id="a" e:slot="1" plain="2">
               <e:box unit="m"><e:side>1 &lt; 2</e:side><free xmlns=""/></e:box>
             </r:node>
             <r:node client_id="b" component_manager_id="urn:publicid:IDN+other+authority+am"><strange/></r:node>
           </r:rspec>"#,
    )
    .unwrap();
    let mut manifest = Rspec::new(Kind::Manifest);
    manifest.nodes.clone_from(&request.nodes);
    let printed = manifest.print();
    let again = Rspec::parse(&printed).unwrap();
    assert_eq!(again.nodes, request.nodes, "{printed}");
    let node = &again.nodes[0];
    let slot = &node.extra.attributes()[0];
    assert_eq!(
        (&*slot.name.namespace, &*slot.value),
        ("http://example.org/e", "1")
    );
    let side = node
        .extra
        .element("http://example.org/e", "box")
        .unwrap()
        .elements()
        .next()
        .unwrap();
    assert_eq!(side.text(), "1 < 2");
}

pub(crate) fn codes(text: &str) -> Vec<(u32, &'static str)> {
    let rspec = Rspec::parse(text).unwrap();
    faults(&rspec, Some("urn:publicid:IDN+us+authority+am"))
        .into_iter()
        .map(|Fault { line, code, .. }| (line, code))
        .collect()
}

pub(crate) fn request(inside: &str) -> String {
    format!(
        "<rspec type=\"request\" xmlns=\"http://www.geni.net/resources/rspec/3\">\n{inside}\n</rspec>"
    )
}

#[test]
fn a_wrong_request_is_told_all_its_faults_with_lines() {
    assert_eq!(codes(&request("")), [(1, "empty-request")]);
    assert_eq!(
        codes(&request(
            "<node/>\n<node client_id=''/>\n<node client_id='a'/>\n<link client_id='a'/>"
        )),
        [
            (2, "no-client-id"),
            (3, "no-client-id"),
            (5, "duplicate-client-id")
        ]
    );
    assert_eq!(
        codes(&request(
            "<node client_id='a' exclusive='perhaps'>\n\
             <sliver_type/><sliver_type name='x'><disk_image/></sliver_type>\n\
             <services><install url='u'/>\n<execute shell='sh'/></services>\n\
             <interface client_id='a:0'><ip address='10.0.0.300'/>\n\
             <ip address='10.0.0.1' netmask='255.0.255.0' type='ipx'/></interface></node>"
        )),
        [
            (2, "wrong-flag"),
            (2, "many-sliver-types"),
            (3, "missing-attribute"),
            (3, "missing-attribute"),
            (4, "missing-attribute"),
            (5, "missing-attribute"),
            (6, "wrong-address"),
            (7, "wrong-address-type"),
            (7, "wrong-netmask"),
        ]
    );
    assert_eq!(
        codes(&request(
            "<node client_id='a'><interface client_id='a:0'/></node>\n\
             <link client_id='l'><interface_ref client_id='a:0'/><interface_ref client_id='b:0'/>\n\
             <property source_id='a:0' dest_id='c:0' capacity='much' packet_loss='2'/></link>"
        )),
        [
            (3, "unknown-interface"),
            (4, "unknown-interface"),
            (4, "wrong-number"),
            (4, "wrong-number"),
        ]
    );
    assert_eq!(
        codes("<rspec type='wish' xmlns='http://www.geni.net/resources/rspec/3'/>"),
        [(1, "wrong-type")]
    );
    assert_eq!(
        codes(
            "<rspec type='request' xmlns='http://www.protogeni.net/resources/rspec/2'><node client_id='a'/></rspec>"
        ),
        [(1, "bad-version")]
    );
    assert_eq!(
        codes(&request("<node client_id='a'><e:x/></node>")),
        [(2, "undeclared-prefix")]
    );
    let message = faults(
        &Rspec::parse(&request("<node client_id='a' exclusive='x'/>")).unwrap(),
        None,
    )[0]
    .to_string();
    assert_eq!(
        message,
        "line 2, node \"a\": exclusive is \"x\"; it should be true or false"
    );
}

#[test]
fn a_node_of_another_aggregate_is_none_of_our_business() {
    let text = request(
        "<node client_id='a' exclusive='perhaps' component_manager_id='urn:publicid:IDN+them+authority+am'/>\n\
         <node client_id='b' exclusive='perhaps' component_manager_id='urn:publicid:IDN+US+authority+am'/>",
    );
    assert_eq!(codes(&text), [(3, "wrong-flag")]);
}

#[test]
fn requests_that_were_accepted_elsewhere_have_no_faults_here() {
    let Some(reference) = reference("requests_have_no_faults") else {
        return;
    };
    let mut asked = 0;
    for (name, text) in samples(&reference) {
        let Ok(read) = Rspec::parse(&text) else {
            continue;
        };
        // Of another version; or without ends of links, which the schema wants, too.
        let wrong = ["pgv2", "click", "waxman"];
        if read.kind() != Some(Kind::Request) || wrong.iter().any(|w| name.contains(w)) {
            continue;
        }
        asked += 1;
        let errors: Vec<String> = faults(&read, None)
            .into_iter()
            .filter(|f| f.severity == Severity::Error)
            .map(|f| f.to_string())
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
    assert!(asked > 40, "{asked}");
}

#[test]
fn a_hostile_document_is_refused_at_once() {
    let open = r#"<rspec type="request" xmlns="http://www.geni.net/resources/rspec/3">"#;
    let deep = format!("{open}{}", "<x>".repeat(100_000));
    let many: String = (0..300).map(|n| format!(" a{n}='1'")).collect();
    let prefixes: String = (0..200).map(|n| format!(" xmlns:p{n}='u{n}'")).collect();
    let long = "u".repeat(257);
    for (text, code) in [
        (
            "<!DOCTYPE rspec [<!ENTITY a 'b'>]><rspec/>",
            "document-type",
        ),
        (
            "<!DOCTYPE rspec SYSTEM 'http://127.0.0.1:9/x'><rspec/>",
            "document-type",
        ),
        (&*deep, "too-deep"),
        (
            &*format!("{open}{}</rspec>", "<x/>".repeat(500_001)),
            "too-large",
        ),
        (
            &*format!("{open}{}</rspec>", " ".repeat(32 * 1024 * 1024)),
            "too-large",
        ),
        (&*format!("<rspec{many}{prefixes}/>"), "too-large"),
        (&*format!("{open}<node{many}/></rspec>"), "too-large"),
        (&*format!("{open}<node{prefixes}/></rspec>"), "too-large"),
        (
            &*format!("{open}<node xmlns:p='{long}'/></rspec>"),
            "too-large",
        ),
        (
            &*format!("{open}<node xmlns='{long}'/></rspec>"),
            "too-large",
        ),
        (&*format!("{open}<node 1p:x='1'/></rspec>"), "malformed-xml"),
        (
            &*format!("{open}<node x='1' :x='2'/></rspec>"),
            "malformed-xml",
        ),
        (
            &*format!("{open}<node client_id='&x;'/></rspec>"),
            "malformed-xml",
        ),
        (&*format!("{open}&x;</rspec>"), "malformed-xml"),
        (&*format!("{open}<a b='&#5;'/></rspec>"), "malformed-xml"),
        (
            &*format!("{open}<a xmlns='&#5;'/></rspec>"),
            "malformed-xml",
        ),
        (
            &*format!("{open}<node client_id='&#0;'/></rspec>"),
            "malformed-xml",
        ),
        (
            &*format!("{open}<node client_id='&#8;'/></rspec>"),
            "malformed-xml",
        ),
        (
            &*format!("{open}<node client_id='\u{1}'/></rspec>"),
            "malformed-xml",
        ),
        (
            &*format!("{open}<node a='1' a='2'/></rspec>"),
            "malformed-xml",
        ),
        (
            &*format!("{open}<node xmlns:a='u' xmlns:b='u' a:x='1' b:x='2'/></rspec>"),
            "malformed-xml",
        ),
        (&*format!("{open}<node></link></rspec>"), "malformed-xml"),
        (&*format!("{open}<node>"), "malformed-xml"),
        (&*format!("{open}</rspec><rspec/>"), "malformed-xml"),
        (&*format!("{open}</rspec>more"), "malformed-xml"),
        (&*format!("{open}<x=y/></rspec>"), "malformed-xml"),
        (&*format!("{open}<:/></rspec>"), "malformed-xml"),
        (
            &*format!("{open}<node xmlns:xml='u'/></rspec>"),
            "malformed-xml",
        ),
        ("", "malformed-xml"),
        ("not XML", "malformed-xml"),
        ("<rspec type='request'/>", "no-rspec"),
        (
            "<other xmlns='http://www.geni.net/resources/rspec/3'/>",
            "no-rspec",
        ),
    ] {
        let error = Rspec::parse(text).expect_err(&text[..text.len().min(200)]);
        assert_eq!(error.stable_code(), code, "{error}");
        assert!(error.to_string().len() < 500, "{error}");
    }
}

#[test]
fn what_we_write_fits_the_published_schemas() {
    for (kind, schema) in [
        (Kind::Request, "request.xsd"),
        (Kind::Advertisement, "ad.xsd"),
        (Kind::Manifest, "manifest.xsd"),
    ] {
        let rspec = ring(kind, 3);
        assert_eq!(faults(&rspec, None), []);
        fits("what_we_write_fits", schema, &rspec.print());
    }
}

/// Asserts that a document fits a published schema, where that is there and
/// can be asked.
pub(crate) fn fits(test: &str, schema: &str, text: &str) {
    let Some(reference) = reference(test) else {
        return;
    };
    if !needs::program(test, "xmllint") {
        return;
    }
    checked(
        test,
        &reference.join("data/rspec/xsd/geni-rspec-3").join(schema),
        text,
    );
    // What an extension of ours looks like the schema leaves open; where it has one
    // of its own, that does not.
    let states = reference.join("data/rspec/xsd/omn/advertisement/ad-opstate.xsd");
    let (open, close) = ("<opstate:rspec_opstate", "</opstate:rspec_opstate>");
    let mut told = text.split(open).skip(1);
    while let Some((inside, _)) = told.next().and_then(|rest| rest.split_once(close)) {
        checked(test, &states, &format!("{open}{inside}{close}"));
    }
}

/// Asserts that xmllint finds a document to be as a schema wants it.
fn checked(test: &str, schema: &Path, text: &str) {
    let name = schema.file_name().unwrap().to_string_lossy();
    let file = format!("rm-geni-{}-{test}-{name}.xml", std::process::id());
    let path = std::env::temp_dir().join(file);
    std::fs::write(&path, text).unwrap();
    let checked = Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema"])
        .arg(schema)
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn a_large_request_is_read_as_it_was_made() {
    let rspec = ring(Kind::Request, 1_000);
    let printed = rspec.print();
    assert_eq!(Rspec::parse(&printed).unwrap(), rspec);
}

/// What was undeclared is declared in the print, before all attributes, as it
/// stays when that is read and printed once more.
#[test]
fn prefixes_that_nobody_declared_are_printed_the_same_ever_after() {
    let namespace = "http://www.geni.net/resources/rspec/3";
    let given = format!("<rspec p:x='1' type='request' q:y='2' p:z='3' xmlns='{namespace}'/>");
    let printed = Rspec::parse(&given).unwrap().print();
    assert!(printed.contains("q:y=\"2\""), "{printed}");
    assert_eq!(Rspec::parse(&printed).unwrap().print(), printed);
}
