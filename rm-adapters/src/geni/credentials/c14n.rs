//! Canonical XML 1.0 of one element of a document, inclusive and exclusive,
//! without comments.
//!
//! The inclusive form is what real credentials are signed in. It is not that
//! of version 1.1: an element that stands alone takes over `xml:id` and the
//! other `xml:` attributes of those it was in, so that `SignedInfo` bears the
//! `xml:id` of its `Signature`.

use std::collections::BTreeMap;

use crate::geni::xml::{Attribute, Content, Element, XML};

/// Which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With all prefixes that are in force.
    Inclusive,
    /// With those that are used.
    Exclusive,
}

type Scope<'a> = BTreeMap<&'a str, &'a str>;

/// The bytes of an element that is in these others, the outermost first.
pub(super) fn canonical(element: &Element, outer: &[&Element], form: Form) -> Vec<u8> {
    let mut scope = Scope::new();
    let mut kept: Vec<&Attribute> = Vec::new();
    for one in outer {
        enter(one, &mut scope);
        if form == Form::Inclusive {
            for attribute in one.attributes.iter().filter(|a| *a.name.namespace == *XML) {
                kept.retain(|k| k.name.local != attribute.name.local);
                kept.push(attribute);
            }
        }
    }
    kept.retain(|k| element.attribute_of(XML, &k.name.local).is_none());
    let mut out = Vec::new();
    write(element, &scope, &Scope::new(), &kept, form, &mut out);
    out
}

fn enter<'a>(element: &'a Element, scope: &mut Scope<'a>) {
    for (prefix, uri) in &element.declared.0 {
        scope.insert(prefix, uri);
    }
}

fn write(
    element: &Element,
    outer: &Scope<'_>,
    written: &Scope<'_>,
    more: &[&Attribute],
    form: Form,
    out: &mut Vec<u8>,
) {
    let mut scope = outer.clone();
    enter(element, &mut scope);
    let mut written = written.clone();
    let qualified = qualified(&element.name.prefix, &element.name.local);
    out.push(b'<');
    out.extend_from_slice(qualified.as_bytes());
    let wanted: Vec<&str> = match form {
        Form::Inclusive => scope.keys().copied().collect(),
        Form::Exclusive => {
            let mut used: Vec<&str> = element
                .attributes
                .iter()
                .map(|a| &*a.name.prefix)
                .filter(|p| !p.is_empty())
                .collect();
            used.push(&element.name.prefix);
            used.sort_unstable();
            used.dedup();
            used
        }
    };
    for prefix in wanted {
        let uri = scope.get(prefix).copied().unwrap_or("");
        if prefix == "xml" || written.get(prefix).copied().unwrap_or("") == uri {
            continue;
        }
        out.extend_from_slice(b" xmlns");
        if !prefix.is_empty() {
            out.push(b':');
            out.extend_from_slice(prefix.as_bytes());
        }
        out.extend_from_slice(b"=\"");
        escape(uri, true, out);
        out.push(b'"');
        written.insert(prefix, uri);
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
        out.push(b' ');
        out.extend_from_slice(
            self::qualified(&attribute.name.prefix, &attribute.name.local).as_bytes(),
        );
        out.extend_from_slice(b"=\"");
        escape(&attribute.value, true, out);
        out.push(b'"');
    }
    out.push(b'>');
    for child in &element.children {
        match child {
            Content::Element(inner) => write(inner, &scope, &written, &[], form, out),
            Content::Text(text) => escape(text, false, out),
        }
    }
    out.extend_from_slice(b"</");
    out.extend_from_slice(qualified.as_bytes());
    out.push(b'>');
}

fn qualified(prefix: &str, local: &str) -> String {
    if prefix.is_empty() {
        local.to_owned()
    } else {
        format!("{prefix}:{local}")
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
    fn lines_end_in_one_way_and_sections_are_text() {
        let text = "<a b=' x\t\r\ny '>\r\n<![CDATA[<&]]>\r</a>";
        assert_eq!(
            form(text, &[], Form::Inclusive),
            "<a b=\" x  y \">\n&lt;&amp;\n</a>"
        );
    }
}
