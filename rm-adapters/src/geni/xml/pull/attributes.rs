//! What the start of an element says: its attributes, and the prefixes it declares.

use std::borrow::Cow;
use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::events::attributes::{Attribute, Attributes};
use rm_core::{Error, Result};

use super::{Binding, Pull};
use crate::geni::xml::XML;
use crate::geni::xml::letters::{is_name, legal, short, split};

/// Prefixes that may be declared at one place of a document.
const PREFIXES: usize = 128;
/// Attributes of one element.
const ATTRIBUTES: usize = 256;
/// So many of them are looked at one by one for one that is there twice.
const FEW: usize = 16;
/// Bytes of the name of a namespace. It is written again wherever it is needed,
/// so what a document becomes would grow with the square of its length.
const NAMESPACE: usize = 256;

/// An attribute that is no declaration.
pub(super) struct Given<'a> {
    prefix: &'a str,
    local: &'a str,
    value: Cow<'a, str>,
}

impl<'a> Pull<'a> {
    /// Calls back for each attribute of the element that began last, unless it
    /// is a declaration: its prefix, its local name, its value.
    ///
    /// # Errors
    ///
    /// Those of the callback.
    pub(crate) fn attributes(
        &self,
        mut each: impl FnMut(&'a str, &'a str, &Cow<'a, str>) -> Result<()>,
    ) -> Result<()> {
        self.given
            .iter()
            .try_for_each(|given| each(given.prefix, given.local, &given.value))
    }

    /// Reads the attributes of an element, and what it declares.
    pub(super) fn given(&mut self, content: &'a str, name: usize) -> Result<()> {
        self.given.clear();
        let declared = self.bindings.len();
        // Its own way to look for one that is there twice takes memory.
        for (n, attribute) in Attributes::new(content, name)
            .with_checks(false)
            .enumerate()
        {
            let attribute = attribute.map_err(|e| self.wrong(e))?;
            if n >= ATTRIBUTES {
                return Err(self.too_many(format!("more than {ATTRIBUTES} attributes")));
            }
            let value = self.value(&attribute)?;
            let key: &'a str = attribute.key.0;
            match split(key) {
                Some(("xmlns", prefix)) => self.declare(declared, prefix, value, false)?,
                None if key == "xmlns" => self.declare(declared, "", value, true)?,
                // Without one, or with one that could not be declared, it would
                // be another attribute where it is printed.
                Some((prefix, _)) if !is_name(prefix) => {
                    return Err(self.wrong(format!("{:?} is no name of an attribute", short(key))));
                }
                parts => {
                    let (prefix, local) = parts.unwrap_or(("", key));
                    let is_it = |g: &Given<'_>| g.local == local && g.prefix == prefix;
                    if self.given.len() <= FEW && self.given.iter().any(is_it) {
                        return Err(self.twice(key));
                    }
                    self.given.push(Given {
                        prefix,
                        local,
                        value,
                    });
                }
            }
        }
        if self.given.len() > FEW {
            for attribute in Attributes::new(content, name) {
                attribute.map_err(|e| self.wrong(e))?;
            }
        }
        Ok(())
    }

    fn twice(&self, key: &str) -> Error {
        self.wrong(format!("the attribute {:?} is there twice", short(key)))
    }

    /// What an attribute says, or to which namespace a prefix is bound.
    fn value(&self, attribute: &Attribute<'a>) -> Result<Cow<'a, str>> {
        let means_more = |b: u8| matches!(b, b'&' | b'\t' | b'\n' | b'\r');
        if let Cow::Borrowed(plain) = attribute.value
            && !plain.bytes().fold(false, |found, b| found | means_more(b))
        {
            return Ok(Cow::Borrowed(plain));
        }
        let value = attribute
            .normalized_value(XmlVersion::Explicit1_0)
            .map_err(|e| self.wrong(e))?;
        // A reference may stand for what could not be written there.
        match &value {
            Cow::Owned(text) => match text.chars().find(|c| !legal(*c)) {
                Some(c) => Err(self.wrong(format!("the character U+{:04X}", u32::from(c)))),
                None => Ok(value),
            },
            Cow::Borrowed(_) => Ok(value),
        }
    }

    /// From this place on in the list are the declarations of the same element.
    fn declare(
        &mut self,
        own: usize,
        prefix: &'a str,
        uri: Cow<'a, str>,
        is_default: bool,
    ) -> Result<()> {
        if prefix == "xml" && uri == XML {
            return Ok(());
        }
        if matches!(prefix, "xml" | "xmlns")
            || uri == XML
            || (uri.is_empty() && !is_default)
            || !(is_default || is_name(prefix))
        {
            return Err(self.wrong(format!(
                "the prefix {:?} cannot stand for that",
                short(prefix)
            )));
        }
        let mut own = self.bindings.iter().skip(own);
        if own.any(|b| b.prefix == prefix) {
            let what = format!("the prefix {:?} is declared twice", short(prefix));
            return Err(self.wrong(what));
        }
        if self.bindings.len() >= PREFIXES {
            let what = format!("more than {PREFIXES} prefixes are declared here");
            return Err(self.too_many(what));
        }
        if uri.len() > NAMESPACE {
            let what = format!("the name of a namespace has more than {NAMESPACE} bytes");
            return Err(self.too_many(what));
        }
        self.bindings.push(Binding {
            prefix,
            uri: Arc::from(&*uri),
            depth: self.open.len(),
        });
        Ok(())
    }
}
