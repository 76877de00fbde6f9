//! RSpecs that are strange: texts, prefixes, names and owners that others do not
//! write, and some do to see what happens.

use rm_adapters::geni::Content;
use rm_adapters::geni::rspec::Rspec;

use super::rspec::{codes, request};

#[test]
fn texts_in_known_places_are_kept() {
    for (inside, kept) in [
        (" told &amp; kept ", "told & kept"),
        ("told<![CDATA[ & ]]>k&#101;pt", "told & kept"),
        (
            "told <!-- not this -->\n&amp;<!-- --> kept",
            "told \n& kept",
        ),
        (" told <interface/>\n &amp; <interface/>kept", "told & kept"),
    ] {
        let read = Rspec::parse(&request(&format!("<node client_id='a'>{inside}</node>"))).unwrap();
        let again = Rspec::parse(&read.print()).unwrap();
        assert_eq!(again, read);
        let [Content::Text(text)] = again.nodes[0].extra.children() else {
            panic!("{again:?}");
        };
        assert_eq!(&**text, kept);
    }
}

#[test]
fn a_text_of_many_pieces_is_read_in_time_that_grows_with_it() {
    let pieces = 500_000;
    let text = "&amp;".repeat(pieces);
    let read = Rspec::parse(&request(&format!("<node client_id='a'>{text}</node>"))).unwrap();
    assert!(matches!(&read.nodes[0].extra.children()[0], Content::Text(t) if t.len() == pieces));
}

#[test]
fn a_known_part_stays_one_under_a_default_namespace_of_its_own() {
    for own in ["urn:other", ""] {
        let text = format!(
            "<r:rspec type='request' xmlns:r='http://www.geni.net/resources/rspec/3'><r:node xmlns='{own}' client_id='a'>\
             <box/><r:sliver_type name='lxc'/></r:node></r:rspec>"
        );
        let read = Rspec::parse(&text).unwrap();
        let again = Rspec::parse(&read.print()).unwrap();
        assert_eq!(again, read, "{}", read.print());
        assert_eq!(again.nodes.len(), 1);
        assert_eq!(again.nodes[0].sliver_types.len(), 1);
        assert!(again.nodes[0].extra.element(own, "box").is_some());
    }
}

#[test]
fn a_name_that_is_none_is_refused_and_not_printed() {
    for element in [
        "<x=y:z/>",
        "<a<b:c/>",
        "<a\"><evil/>\":c/>",
        "<xmlns:x/>",
        "<a:b:c/>",
        "<:/>",
        "<x:/>",
    ] {
        let read = Rspec::parse(&request(&format!("<node client_id='a'>{element}</node>")));
        assert!(read.is_err(), "{element}: {}", read.unwrap().print());
    }
    // A prefix that nobody declared may still be one.
    assert!(Rspec::parse(&request("<node client_id='a'><x:y/></node>")).is_ok());
}

#[test]
fn a_character_that_cannot_be_written_is_not_read() {
    for c in ['\u{fffe}', '\u{ffff}'] {
        let refused = Rspec::parse(&request(&format!("\n<node client_id='a{c}'/>"))).unwrap_err();
        assert!(refused.to_string().starts_with("line 3"), "{refused}");
    }
    let last = request("<node client_id='a\u{fffd}\u{10ffff}'/>");
    let read = Rspec::parse(&last).unwrap();
    assert_eq!(Rspec::parse(&read.print()).unwrap(), read);
}

#[test]
fn nothing_is_said_twice_of_one_element() {
    let many = |count: usize, last: &str| {
        let some: String = (0..count).map(|n| format!(" a{n}='{n}'")).collect();
        Rspec::parse(&request(&format!("<node client_id='x'{some} {last}/>")))
    };
    for count in [0, 1, 14, 15, 16, 17, 40] {
        let kept = many(count, "b='1'").unwrap();
        assert_eq!(kept.nodes[0].extra.attributes().len(), count + 1);
        for again in ["client_id='y'", "b='1' b='1'", "q:b='1' q:b='2'"] {
            let refused = many(count, again).unwrap_err();
            assert_eq!(refused.stable_code(), "malformed-xml", "{count} {again}");
        }
    }
    let refused = many(3, "xmlns:o='urn:1' xmlns:o='urn:1'").unwrap_err();
    assert!(refused.to_string().contains("declared twice"), "{refused}");
}

#[test]
fn what_xml_does_not_know_is_found_wherever_it_stands() {
    for before in [0, 1, 200, 255, 256, 300, 1000] {
        let space = "\n".repeat(before);
        let with =
            |text: &str| Rspec::parse(&request(&format!("{space}<node client_id='{text}'/>")));
        // What begins as they do.
        let read = with("\u{fb01}\u{ff01}\u{fffd}").unwrap();
        assert_eq!(
            read.nodes[0].client_id.as_deref(),
            Some("\u{fb01}\u{ff01}\u{fffd}")
        );
        let line = read.nodes[0].line.0;
        assert_eq!(line as usize, before + 2);
        for text in ["\u{fffe}", "\u{fb01}\u{ffff}", "\u{1}", "\u{b}", "\u{1f}"] {
            let refused = with(text).unwrap_err().to_string();
            assert!(
                refused.contains(&format!("line {line}")),
                "{before}: {refused}"
            );
        }
        assert!(with("\u{7f}\u{85}").is_ok());
    }
}

#[test]
fn what_is_wrong_is_told_in_few_words_however_long_it_is() {
    let long = "b".repeat(100_000);
    for text in [
        format!("<a></{long}>"),
        format!("<{long}></a>"),
        format!("<a>&{long};</a>"),
        format!("<a></a></{long}>"),
        format!("<a {long}='1' {long}='2'/>"),
        format!("<a {long}=1/>"),
        format!("<a xmlns:{long}=''/>"),
        format!("<{long}/>"),
        format!("<a xmlns='{long}'/>"),
    ] {
        let refused = Rspec::parse(&text).unwrap_err();
        assert!(refused.to_string().len() < 1000, "{}", &text[..40]);
        assert!(format!("{refused:?}").len() < 2000, "{}", &text[..40]);
    }
}

#[test]
fn what_others_are_asked_for_is_not_looked_into() {
    let us = "urn:publicid:IDN+us+authority+am";
    let them = "urn:publicid:IDN+them+authority+am";
    let node = |manager: &str| {
        format!(
            "<node client_id='a' component_manager_id='{us}'><interface client_id='a:0'/></node>\n\
             <node component_manager_id='{manager}' exclusive='perhaps'/>"
        )
    };
    assert_eq!(codes(&request(&node(them))), []);
    for ours in [us, ""] {
        let found = codes(&request(&node(ours)));
        assert_eq!(found, [(3, "no-client-id"), (3, "wrong-flag")]);
    }
    let link = |managers: &[&str]| {
        let managers: String = managers
            .iter()
            .map(|name| format!("<component_manager name='{name}'/>"))
            .collect();
        format!(
            "<node client_id='a'><interface client_id='a:0'/></node>\n<link client_id='l'>{managers}\
             <interface_ref client_id='a:0'/>\
             <property source_id='a:0' dest_id='a:0' capacity='much'/></link>"
        )
    };
    assert_eq!(codes(&request(&link(&[them]))), []);
    for ours in [&[][..], &[us], &[them, us]] {
        let found = codes(&request(&link(ours)));
        assert_eq!(found, [(3, "wrong-number")], "{ours:?}");
    }
}
