//! One pass over a document: elements, attributes and texts, with namespaces
//! and lines, within limits.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use quick_xml::events::attributes::{Attribute, Attributes};
use rm_core::{Error, Result};

use super::XML;

/// How large a document may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes in all.
    pub(crate) bytes: usize,
    /// Elements inside each other.
    pub(crate) depth: usize,
}

impl Limits {
    /// For what an experimenter sends: calls, and documents in them. The largest
    /// that is known has less than 4 MB; ten thousand nodes with links, escaped,
    /// are some 12 MB.
    pub(crate) const USUAL: Self = Self {
        bytes: 32 * 1024 * 1024,
        depth: 64,
    };
}

/// Prefixes that may be declared at one place of a document.
const PREFIXES: usize = 128;
/// Attributes of one element.
const ATTRIBUTES: usize = 256;
/// Bytes of the name of a namespace. It is written again wherever it is needed,
/// so what a document becomes would grow with the square of its length.
const NAMESPACE: usize = 256;
/// Elements of a document: as a tree each takes many times its text.
const ELEMENTS: usize = 500_000;

/// What comes next.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    /// An element begins; `End` follows, also where it is empty.
    Start(Tag<'a>),
    /// The element that began last ends.
    End,
    /// A piece of text; the next may be one, too.
    Text(Cow<'a, str>),
    /// A comment or a processing instruction inside the root.
    Aside,
    /// The document is over.
    Done,
}

/// The start of an element.
#[derive(Debug, Clone)]
pub(crate) struct Tag<'a> {
    content: &'a str,
    name: usize,
    colon: Option<usize>,
    /// The namespace; empty where it has none.
    pub(crate) namespace: Arc<str>,
    /// Where it begins.
    pub(crate) line: u32,
    /// How many of the declarations in force are its own.
    declares: Range<usize>,
}

impl<'a> Tag<'a> {
    /// The name without its prefix.
    pub(crate) fn local(&self) -> &'a str {
        let from = self.colon.map_or(0, |c| c + 1);
        self.content.get(from..self.name).unwrap_or_default()
    }

    /// The prefix; empty where there is none.
    pub(crate) fn prefix(&self) -> &'a str {
        self.content
            .get(..self.colon.unwrap_or(0))
            .unwrap_or_default()
    }

    /// Whether it is an element of this namespace and name.
    pub(crate) fn is(&self, namespace: &str, local: &str) -> bool {
        self.local() == local && *self.namespace == *namespace
    }
}

struct Binding<'a> {
    prefix: &'a str,
    uri: Arc<str>,
    depth: usize,
}

/// A pass over a document.
pub(crate) struct Pull<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    bindings: Vec<Binding<'a>>,
    nothing: Arc<str>,
    open: Vec<&'a str>,
    depth: usize,
    /// An empty element has begun and is to end.
    ending: bool,
    seen_root: bool,
    elements: usize,
    counted: usize,
    line: u32,
    here: u32,
}

impl std::fmt::Debug for Pull<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pull")
            .field("open", &self.open)
            .field("line", &self.here)
            .finish_non_exhaustive()
    }
}

impl<'a> Pull<'a> {
    /// A pass over this document.
    ///
    /// # Errors
    ///
    /// Where it is too large or has characters that XML does not know.
    pub(crate) fn new(text: &'a str, limits: Limits) -> Result<Self> {
        Self::going_on(text, limits, 1, 0)
    }

    /// A pass over what a document goes on with at this line, behind so many
    /// elements.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub(crate) fn going_on(
        text: &'a str,
        limits: Limits,
        line: u32,
        elements: usize,
    ) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.len() > limits.bytes {
            return Err(
                Error::invalid(format!("the document has {} bytes", text.len()))
                    .code("too-large")
                    .advice(format!("send {} bytes at the most", limits.bytes)),
            );
        }
        let mut pull = Self {
            text,
            reader: Reader::from_str(text),
            bindings: Vec::new(),
            nothing: Arc::from(""),
            open: Vec::new(),
            depth: limits.depth,
            ending: false,
            seen_root: false,
            elements,
            counted: 0,
            line,
            here: line,
        };
        if let Some(at) = text.bytes().position(illegal_byte) {
            pull.here = pull.line_at(at);
            return Err(pull.wrong("a control character, which XML does not allow"));
        }
        if let Some(at) = text.find(['\u{fffe}', '\u{ffff}']) {
            pull.here = pull.line_at(at);
            return Err(pull.wrong("the character U+FFFE or U+FFFF, which XML does not allow"));
        }
        Ok(pull)
    }

    /// How many elements there were so far.
    pub(crate) fn elements(&self) -> usize {
        self.elements
    }

    /// An error about what came last: names its line and the element it is in.
    pub(crate) fn wrong(&self, what: impl std::fmt::Display) -> Error {
        let place = match self.open.last() {
            Some(name) => format!("line {}, in <{}>", self.here, short(name)),
            None => format!("line {}", self.here),
        };
        Error::invalid(format!("{place}: {}", shortened(&what.to_string(), 300)))
            .code("malformed-xml")
    }

    /// An error about what there is too much of.
    fn too_many(&self, what: impl std::fmt::Display) -> Error {
        self.wrong(what).code("too-large")
    }

    /// What comes next.
    ///
    /// # Errors
    ///
    /// Where the document is not well-formed, has a document type, or exceeds
    /// the limits.
    pub(crate) fn next(&mut self) -> Result<Item<'a>> {
        if self.ending {
            self.ending = false;
            self.close();
            return Ok(Item::End);
        }
        loop {
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(e) => {
                    let at = usize::try_from(self.reader.error_position()).unwrap_or(0);
                    self.here = self.line_at(at);
                    return Err(self.wrong(e));
                }
            };
            let end = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
            match event {
                Event::Start(e) => {
                    let (len, name) = (e.len(), e.name().0.len());
                    return self.start(end.saturating_sub(len + 1), len, name, false);
                }
                Event::Empty(e) => {
                    let (len, name) = (e.len(), e.name().0.len());
                    return self.start(end.saturating_sub(len + 2), len, name, true);
                }
                Event::End(_) => {
                    self.close();
                    return Ok(Item::End);
                }
                Event::Text(t) => {
                    if self.open.is_empty() {
                        if !t.bytes().all(|b| b.is_ascii_whitespace()) {
                            self.here = self.line_at(end);
                            return Err(self.wrong("there is text outside of the root element"));
                        }
                        continue;
                    }
                    return Ok(Item::Text(t.xml10_content()));
                }
                Event::CData(t) if !self.open.is_empty() => {
                    return Ok(Item::Text(t.xml10_content()));
                }
                Event::GeneralRef(r) if !self.open.is_empty() => {
                    self.here = self.line_at(end);
                    return Ok(Item::Text(self.reference(&r)?));
                }
                Event::CData(_) | Event::GeneralRef(_) => {
                    self.here = self.line_at(end);
                    return Err(self.wrong("there is text outside of the root element"));
                }
                Event::Comment(_) | Event::PI(_) => {
                    if !self.open.is_empty() {
                        return Ok(Item::Aside);
                    }
                }
                Event::Decl(_) => {
                    if self.seen_root || self.text.as_bytes().first() != Some(&b'<') {
                        self.here = self.line_at(end);
                        return Err(self.wrong("the XML declaration is not at the beginning"));
                    }
                }
                Event::DocType(_) => {
                    self.here = self.line_at(end);
                    return Err(self
                        .wrong("document types are not accepted")
                        .code("document-type")
                        .advice("leave out <!DOCTYPE>"));
                }
                Event::Eof => {
                    self.here = self.line_at(self.text.len());
                    if !self.open.is_empty() {
                        return Err(self.wrong("the document ends before this element does"));
                    }
                    if !self.seen_root {
                        return Err(self.wrong("there is no element in this document"));
                    }
                    return Ok(Item::Done);
                }
            }
        }
    }

    /// Calls back for each attribute that is no declaration: its prefix, its
    /// local name, its value.
    ///
    /// # Errors
    ///
    /// Where the attributes are not well-formed, or the callback fails.
    pub(crate) fn attributes(
        &self,
        tag: &Tag<'a>,
        mut each: impl FnMut(&'a str, &'a str, Cow<'a, str>) -> Result<()>,
    ) -> Result<()> {
        for (n, attribute) in Attributes::new(tag.content, tag.name).enumerate() {
            let attribute = attribute.map_err(|e| self.wrong(e))?;
            if n >= ATTRIBUTES {
                return Err(self.too_many(format!("more than {ATTRIBUTES} attributes")));
            }
            let key = attribute.key.0;
            let (prefix, local) = match key.split_once(':') {
                Some(("xmlns", _)) => continue,
                // Without one, or with one that could not be declared, it would
                // be another attribute where it is printed.
                Some((prefix, _)) if !is_name(prefix) => {
                    return Err(self.wrong(format!("{:?} is no name of an attribute", short(key))));
                }
                Some(parts) => parts,
                None if key == "xmlns" => continue,
                None => ("", key),
            };
            each(prefix, local, self.value(&attribute)?)?;
        }
        Ok(())
    }

    /// What an attribute says, or to which namespace a prefix is bound.
    fn value(&self, attribute: &Attribute<'a>) -> Result<Cow<'a, str>> {
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

    /// The namespace that a prefix stands for here; a made-up one where the
    /// document does not declare it, as some that are in use do not.
    pub(crate) fn resolve(&self, prefix: &str) -> Arc<str> {
        if prefix == "xml" {
            return Arc::from(XML);
        }
        match self.bindings.iter().rev().find(|b| b.prefix == prefix) {
            Some(binding) => Arc::clone(&binding.uri),
            None if prefix.is_empty() => Arc::clone(&self.nothing),
            None => Arc::from(format!("{UNDECLARED}{prefix}")),
        }
    }

    /// The declarations of an element: prefix and namespace. To be asked
    /// before anything inside of it is read.
    pub(crate) fn declared(&self, tag: &Tag<'a>) -> impl Iterator<Item = (&'a str, &Arc<str>)> {
        self.bindings
            .get(tag.declares.clone())
            .unwrap_or_default()
            .iter()
            .map(|b| (b.prefix, &b.uri))
    }

    fn start(&mut self, from: usize, len: usize, name: usize, empty: bool) -> Result<Item<'a>> {
        let content: &'a str = self.text.get(from..from + len).unwrap_or_default();
        self.here = self.line_at(from);
        if self.open.is_empty() && self.seen_root {
            return Err(self.wrong("there is a second root element"));
        }
        self.seen_root = true;
        let qualified = content.get(..name).unwrap_or_default();
        self.open.push(qualified);
        if self.open.len() > self.depth {
            return Err(self
                .wrong(format!(
                    "more than {} elements inside each other",
                    self.depth
                ))
                .code("too-deep"));
        }
        self.elements += 1;
        if self.elements > ELEMENTS {
            return Err(self.too_many(format!("more than {ELEMENTS} elements")));
        }
        let colon = qualified.find(':');
        let before = self.bindings.len();
        if content.contains("xmlns") {
            self.declare(content, name)?;
        }
        let tag = Tag {
            content,
            name,
            colon,
            namespace: self.resolve(qualified.get(..colon.unwrap_or(0)).unwrap_or_default()),
            line: self.here,
            declares: before..self.bindings.len(),
        };
        let prefix = tag.prefix();
        if !is_name(tag.local()) || (colon.is_some() && (!is_name(prefix) || prefix == "xmlns")) {
            return Err(self.wrong("that is no name of an element"));
        }
        self.ending = empty;
        Ok(Item::Start(tag))
    }

    fn declare(&mut self, content: &'a str, name: usize) -> Result<()> {
        for (n, attribute) in Attributes::new(content, name).enumerate() {
            let attribute = attribute.map_err(|e| self.wrong(e))?;
            if n >= ATTRIBUTES {
                return Err(self.too_many(format!("more than {ATTRIBUTES} attributes")));
            }
            let key = attribute.key.0;
            let prefix = match key.split_once(':') {
                Some(("xmlns", prefix)) => prefix,
                None if key == "xmlns" => "",
                _ => continue,
            };
            let uri = self.value(&attribute)?;
            if prefix == "xml" && uri == XML {
                continue;
            }
            if matches!(prefix, "xml" | "xmlns")
                || uri == XML
                || (uri.is_empty() && !prefix.is_empty())
                || !(prefix.is_empty() && key == "xmlns" || is_name(prefix))
            {
                return Err(self.wrong(format!(
                    "the prefix {:?} cannot stand for that",
                    short(prefix)
                )));
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
        }
        Ok(())
    }

    fn close(&mut self) {
        while self
            .bindings
            .pop_if(|b| b.depth >= self.open.len())
            .is_some()
        {}
        self.open.pop();
    }

    fn reference(&self, name: &quick_xml::events::BytesRef<'a>) -> Result<Cow<'a, str>> {
        if let Some(c) = name.resolve_char_ref().map_err(|e| self.wrong(e))? {
            return if legal(c) {
                Ok(Cow::Owned(c.to_string()))
            } else {
                Err(self.wrong(format!("the character U+{:04X}", u32::from(c))))
            };
        }
        match resolve_predefined_entity(name) {
            Some(text) => Ok(Cow::Borrowed(text)),
            None => Err(self.wrong(format!("the entity {:?} is not defined", short(name)))),
        }
    }

    /// The line of a byte; asked with ever larger positions.
    fn line_at(&mut self, at: usize) -> u32 {
        let bytes = self.text.as_bytes();
        if let Some(passed) = bytes.get(self.counted..at.min(bytes.len())) {
            let lines = passed.iter().filter(|b| **b == b'\n').count();
            self.line = self
                .line
                .saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
            self.counted = at.min(bytes.len());
        }
        self.line
    }
}

/// What the made-up namespace of an undeclared prefix begins with.
pub(crate) const UNDECLARED: &str = "urn:undeclared-prefix:";

fn illegal_byte(b: u8) -> bool {
    b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')
}

fn legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether this may be a name without a prefix.
pub(crate) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '\u{b7}'))
}

/// So much of a text from outside as belongs into a message.
pub(crate) fn short(text: &str) -> Cow<'_, str> {
    shortened(text, 80)
}

/// So many characters of a text.
fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((at, _)) => Cow::Owned(format!("{}...", text.get(..at).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}
