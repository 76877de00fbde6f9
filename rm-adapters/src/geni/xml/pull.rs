//! One pass over a document: elements, attributes and texts, with namespaces
//! and lines, within limits.

mod attributes;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arcstr::{ArcStr, Substr};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use rm_core::{Error, Result};

use super::XML;
use super::letters::{illegal_byte, is_name, legal, line_feeds, short, shortened, suspect};
use attributes::Given;

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

    /// Whether it declares namespaces.
    pub(crate) fn declares_any(&self) -> bool {
        !self.declares.is_empty()
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
    /// What the text is in, where that which is kept of it is to share its
    /// memory.
    whole: Option<&'a ArcStr>,
    reader: Reader<&'a [u8]>,
    bindings: Vec<Binding<'a>>,
    /// Of the element that began last.
    given: Vec<Given<'a>>,
    nothing: Arc<str>,
    open: Vec<&'a str>,
    depth: usize,
    /// Somewhere a line ends with a carriage return, which texts are told without.
    returns: bool,
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
        Self::over(text, limits, 1, 0)
    }

    /// A pass over a document of which much is kept: it shares its memory.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub(crate) fn sharing(whole: &'a ArcStr, limits: Limits) -> Result<Self> {
        Self::going_on(whole, limits, 1, 0)
    }

    /// The same over what a document goes on with at this line, behind so many
    /// elements.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub(crate) fn going_on(
        whole: &'a ArcStr,
        limits: Limits,
        line: u32,
        elements: usize,
    ) -> Result<Self> {
        let mut pull = Self::over(whole, limits, line, elements)?;
        pull.whole = Some(whole);
        Ok(pull)
    }

    fn over(text: &'a str, limits: Limits, line: u32, elements: usize) -> Result<Self> {
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
            whole: None,
            reader: Reader::from_str(text),
            bindings: Vec::new(),
            given: Vec::new(),
            nothing: Arc::from(""),
            open: Vec::new(),
            depth: limits.depth,
            returns: text.as_bytes().contains(&b'\r'),
            ending: false,
            seen_root: false,
            elements,
            counted: 0,
            line,
            here: line,
        };
        // Without a way out of its middle a block is looked at in a few steps.
        let none = |block: &[u8]| !block.iter().fold(false, |found, b| found | suspect(*b));
        if text.as_bytes().chunks(256).all(none) {
            return Ok(pull);
        }
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
                    return Ok(Item::Text(match self.returns {
                        true => t.xml10_content(),
                        false => t.into_inner(),
                    }));
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

    /// A piece of the document, to be kept.
    pub(crate) fn kept(&self, piece: &str) -> Substr {
        self.whole
            .and_then(|whole| whole.try_substr_from(piece))
            .unwrap_or_else(|| Substr::from(piece))
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

    /// The namespace of attributes that have no prefix.
    pub(crate) fn nothing(&self) -> Arc<str> {
        Arc::clone(&self.nothing)
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
        let colon = qualified.bytes().position(|b| b == b':');
        let before = self.bindings.len();
        self.given(content, name)?;
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
            self.line = self.line.saturating_add(line_feeds(passed));
            self.counted = at.min(bytes.len());
        }
        self.line
    }
}

/// What the made-up namespace of an undeclared prefix begins with.
pub(crate) const UNDECLARED: &str = "urn:undeclared-prefix:";
