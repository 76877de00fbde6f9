//! Canonical XML 1.0 of one element of a document, inclusive and exclusive,
//! without comments.
//!
//! The inclusive form is what real credentials are signed in. It is not that
//! of version 1.1: an element that stands alone takes over `xml:id` and the
//! other `xml:` attributes of those it was in, so that `SignedInfo` bears the
//! `xml:id` of its `Signature`.

use crate::geni::xml::{Attribute, Content, Element, XML};

/// Which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With all prefixes that are in force.
    Inclusive,
    /// With those that are used.
    Exclusive,
}

/// The bytes of an element that is in these others, the outermost first.
pub(super) fn canonical(element: &Element, outer: &[&Element], form: Form) -> Vec<u8> {
    let mut printer = Printer {
        form,
        scope: Scope::default(),
        written: Scope::default(),
        out: Vec::new(),
    };
    let mut kept: Vec<&Attribute> = Vec::new();
    for one in outer {
        printer.scope.enter(one);
        if form == Form::Inclusive {
            for attribute in one.attributes.iter().filter(|a| *a.name.namespace == *XML) {
                kept.retain(|k| k.name.local != attribute.name.local);
                kept.push(attribute);
            }
        }
    }
    kept.retain(|k| element.attribute_of(XML, &k.name.local).is_none());
    printer.write(element, &kept, true);
    printer.out
}

/// Prefixes and what they stand for, the innermost last. A document has 128 in
/// force at the most, so that looking through them is cheap; copying them for
/// each element would not be.
#[derive(Debug, Default)]
struct Scope<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Scope<'a> {
    fn enter(&mut self, element: &'a Element) {
        for (prefix, uri) in &element.declared.0 {
            self.0.push((&**prefix, &**uri));
        }
    }

    /// What a prefix stands for; nothing, where it does not.
    fn of(&self, prefix: &str) -> &'a str {
        self.0
            .iter()
            .rev()
            .find(|(p, _)| *p == prefix)
            .map_or("", |(_, uri)| *uri)
    }
}

struct Printer<'a> {
    form: Form,
    /// What the document declares here.
    scope: Scope<'a>,
    /// What is declared here in what is printed.
    written: Scope<'a>,
    out: Vec<u8>,
}

impl<'a> Printer<'a> {
    /// One element; `apex` where it is the one that stands alone, `more` are
    /// the attributes that it takes over.
    fn write(&mut self, element: &'a Element, more: &[&Attribute], apex: bool) {
        let before = (self.scope.0.len(), self.written.0.len());
        self.scope.enter(element);
        self.out.push(b'<');
        self.name(&element.name.prefix, &element.name.local);
        for prefix in self.wanted(element, apex) {
            let uri = self.scope.of(prefix);
            if prefix == "xml" || self.written.of(prefix) == uri {
                continue;
            }
            self.out.extend_from_slice(b" xmlns");
            if !prefix.is_empty() {
                self.out.push(b':');
                self.out.extend_from_slice(prefix.as_bytes());
            }
            self.value(uri);
            self.written.0.push((prefix, uri));
        }
        let mut attributes: Vec<&Attribute> = element
            .attributes
            .iter()
            .chain(more.iter().copied())
            .collect();
        attributes.sort_by(|a, b| {
            (&a.name.namespace, &a.name.local).cmp(&(&b.name.namespace, &b.name.local))
        });
        for attribute in attributes {
            self.out.push(b' ');
            self.name(&attribute.name.prefix, &attribute.name.local);
            self.value(&attribute.value);
        }
        self.out.push(b'>');
        for child in &element.children {
            match child {
                Content::Element(inner) => self.write(inner, &[], false),
                Content::Text(text) => escape(text, false, &mut self.out),
            }
        }
        self.out.extend_from_slice(b"</");
        self.name(&element.name.prefix, &element.name.local);
        self.out.push(b'>');
        self.scope.0.truncate(before.0);
        self.written.0.truncate(before.1);
    }

    /// The prefixes that an element may have to declare, in order.
    fn wanted(&self, element: &'a Element, apex: bool) -> Vec<&'a str> {
        let mut wanted: Vec<&'a str> = match self.form {
            Form::Inclusive if apex => self.scope.0.iter().map(|(prefix, _)| *prefix).collect(),
            // Everything else in force was declared by the one it is in.
            Form::Inclusive => element.declared.0.iter().map(|(p, _)| &**p).collect(),
            Form::Exclusive => element
                .attributes
                .iter()
                .map(|a| &*a.name.prefix)
                .filter(|p| !p.is_empty())
                .chain([&*element.name.prefix])
                .collect(),
        };
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    fn name(&mut self, prefix: &str, local: &str) {
        if !prefix.is_empty() {
            self.out.extend_from_slice(prefix.as_bytes());
            self.out.push(b':');
        }
        self.out.extend_from_slice(local.as_bytes());
    }

    fn value(&mut self, text: &str) {
        self.out.extend_from_slice(b"=\"");
        escape(text, true, &mut self.out);
        self.out.push(b'"');
    }
}

fn escape(text: &str, quoted: bool, out: &mut Vec<u8>) {
    for b in text.bytes() {
        match b {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' if !quoted => out.extend_from_slice(b"&gt;"),
            b'"' if quoted => out.extend_from_slice(b"&quot;"),
            b'\t' if quoted => out.extend_from_slice(b"&#x9;"),
            b'\n' if quoted => out.extend_from_slice(b"&#xA;"),
            b'\r' => out.extend_from_slice(b"&#xD;"),
            b => out.push(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geni::xml::{Limits, Manner};

    fn form(text: &str, path: &[usize], form: Form) -> String {
        let root = Element::document(text, Limits::USUAL, Manner::Strict).unwrap();
        let mut outer: Vec<&Element> = Vec::new();
        let mut at = &root;
        for n in path {
            outer.push(at);
            at = at.elements().nth(*n).unwrap();
        }
        String::from_utf8(canonical(at, &outer, form)).unwrap()
    }

    #[test]
    fn an_element_alone_takes_over_prefixes_and_xml_attributes() {
        let text = r#"<a xmlns="u" xmlns:p="v" xml:lang="de" xml:id="x"><b xml:id="y" z='1' p:a="&#10;&lt;" a="&quot;"><c/>&gt;&#13;</b></a>"#;
        assert_eq!(
            form(text, &[0], Form::Inclusive),
            "<b xmlns=\"u\" xmlns:p=\"v\" a=\"&quot;\" z=\"1\" xml:id=\"y\" xml:lang=\"de\" p:a=\"&#xA;&lt;\"><c></c>&gt;&#xD;</b>"
        );
        assert_eq!(
            form(text, &[0, 0], Form::Inclusive),
            "<c xmlns=\"u\" xmlns:p=\"v\" xml:id=\"y\" xml:lang=\"de\"></c>"
        );
        assert_eq!(form(text, &[0, 0], Form::Exclusive), "<c xmlns=\"u\"></c>");
        assert_eq!(
            form(text, &[0], Form::Exclusive),
            "<b xmlns=\"u\" xmlns:p=\"v\" a=\"&quot;\" z=\"1\" xml:id=\"y\" p:a=\"&#xA;&lt;\"><c></c>&gt;&#xD;</b>"
        );
    }

    #[test]
    fn a_default_namespace_is_taken_back_only_where_there_was_one() {
        let text = r#"<a xmlns="u"><b xmlns=""><c xmlns=""/></b></a>"#;
        assert_eq!(
            form(text, &[], Form::Inclusive),
            r#"<a xmlns="u"><b xmlns=""><c></c></b></a>"#
        );
        assert_eq!(form(text, &[0], Form::Inclusive), "<b><c></c></b>");
    }

    #[test]
    fn a_prefix_is_declared_where_it_changes_and_again_for_each_who_needs_it() {
        let text = r#"<a xmlns:p="u"><b xmlns:p="v"><p:c/><p:d/></b><p:e/><f xmlns:p="u"/></a>"#;
        assert_eq!(
            form(text, &[], Form::Inclusive),
            r#"<a xmlns:p="u"><b xmlns:p="v"><p:c></p:c><p:d></p:d></b><p:e></p:e><f></f></a>"#
        );
        assert_eq!(
            form(text, &[], Form::Exclusive),
            r#"<a><b><p:c xmlns:p="v"></p:c><p:d xmlns:p="v"></p:d></b><p:e xmlns:p="u"></p:e><f></f></a>"#
        );
        assert_eq!(
            form(text, &[0], Form::Inclusive),
            r#"<b xmlns:p="v"><p:c></p:c><p:d></p:d></b>"#
        );
    }

    #[test]
    fn many_elements_under_many_prefixes_cost_no_more_than_themselves() {
        let prefixes: String = (0..127).map(|n| format!(" xmlns:a{n}=\"u\"")).collect();
        let text = format!("<r{prefixes}><s>{}</s></r>", "<x/>".repeat(200_000));
        let written = form(&text, &[0], Form::Inclusive);
        assert_eq!(
            written.len(),
            "<s></s>".len() + prefixes.len() + 200_000 * "<x></x>".len()
        );
    }

    #[test]
    fn what_is_written_again_for_each_who_needs_it_is_short() {
        let signed = |bytes: usize| {
            let uri = "u".repeat(bytes);
            let text = format!("<r xmlns:p=\"{uri}\"><s>{}</s></r>", "<p:x/>".repeat(1000));
            (
                Element::document(&text, Limits::USUAL, Manner::Strict),
                text,
            )
        };
        let (read, text) = signed(256);
        let root = read.unwrap();
        let inner = root.elements().next().unwrap();
        let written = canonical(inner, &[&root], Form::Exclusive);
        assert!(written.len() < 64 * text.len(), "{}", written.len());
        let refused = signed(257).0.unwrap_err();
        assert_eq!(refused.stable_code(), "too-large");
    }

    #[test]
    fn lines_end_in_one_way_and_sections_are_text() {
        let text = "<a b=' x\t\r\ny '>\r\n<![CDATA[<&]]>\r</a>";
        assert_eq!(
            form(text, &[], Form::Inclusive),
            "<a b=\" x  y \">\n&lt;&amp;\n</a>"
        );
    }
}
