//! Prints documents: texts and values in ASCII, so that the oldest clients can
//! read them; only names are as they came.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use super::tree::{Attribute, Content, Declared, Element, Name};
use super::{XML, is_name};

/// A document that is being printed.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: String,
    scope: Vec<(Box<str>, Arc<str>)>,
    /// Elements that are open: how long the scope was before.
    open: Vec<usize>,
    /// A start tag that is not closed yet.
    started: bool,
    /// Where its next declaration goes: before all attributes, as it will be when
    /// what was printed is read and printed again.
    declares_at: usize,
}

impl Writer {
    /// Begins a document.
    pub(crate) fn new() -> Self {
        let mut new = Self::default();
        new.out
            .push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        new
    }

    /// The document.
    pub(crate) fn finish(mut self) -> String {
        self.out.push('\n');
        self.out
    }

    /// Gives away what is printed so far, where that is so much and no start tag is
    /// open: that may still get declarations.
    pub(crate) fn pour(&mut self, much: usize, to: &mut impl io::Write) -> io::Result<()> {
        if self.out.len() >= much && !self.started {
            to.write_all(self.out.as_bytes())?;
            self.out.clear();
        }
        Ok(())
    }

    /// Begins an element in the default namespace, on a line of its own.
    pub(crate) fn line(&mut self, local: &str) {
        self.settle();
        if !self.open.is_empty() {
            self.break_line(self.open.len());
        }
        self.begin("", local);
    }

    /// Declares prefixes at the element that has just begun.
    pub(crate) fn declare(&mut self, declared: &Declared) {
        for (prefix, uri) in &declared.0 {
            self.bind(prefix, uri);
        }
    }

    /// Makes the default namespace this one at the element that has just begun.
    pub(crate) fn default_namespace(&mut self, uri: &Arc<str>) {
        self.bind("", uri);
    }

    /// An attribute of no namespace, where there is a value.
    pub(crate) fn attribute(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(value, true, &mut self.out);
            self.out.push('"');
        }
    }

    /// Attributes that were kept.
    pub(crate) fn attributes(&mut self, kept: &[Attribute]) {
        for attribute in kept {
            let prefix = self.prefix_for(&attribute.name);
            if prefix.is_empty() {
                self.attribute(&attribute.name.local, Some(&attribute.value));
            } else {
                let name = format!("{prefix}:{}", attribute.name.local);
                self.attribute(&name, Some(&attribute.value));
            }
        }
    }

    /// What was kept, each element on a line of its own; inside of it nothing
    /// is added.
    pub(crate) fn kept(&mut self, children: &[Content]) {
        for child in children {
            match child {
                Content::Element(element) => {
                    self.settle();
                    self.break_line(self.open.len());
                    self.element(element);
                }
                Content::Text(text) => self.text(text),
            }
        }
    }

    /// A text.
    pub(crate) fn text(&mut self, text: &str) {
        self.settle();
        escape(text, false, &mut self.out);
    }

    /// Ends the element that has begun last and still is open.
    pub(crate) fn end(&mut self, local: &str, broken: bool) {
        if self.started {
            self.started = false;
            self.out.push_str("/>");
        } else {
            if broken {
                self.break_line(self.open.len().saturating_sub(1));
            }
            let _ = write!(self.out, "</{local}>");
        }
        if let Some(len) = self.open.pop() {
            self.scope.truncate(len);
        }
    }

    fn element(&mut self, element: &Element) {
        self.settle();
        let name = &element.name;
        self.begin(&name.prefix, &name.local);
        self.declare(&element.declared);
        if *name.prefix != *"xml" && *self.lookup(&name.prefix) != *name.namespace {
            // Bound here, or moved here from a place where the prefix meant it.
            self.bind(&name.prefix, &name.namespace);
        }
        self.attributes(&element.attributes);
        for child in &element.children {
            match child {
                Content::Element(inner) => self.element(inner),
                Content::Text(text) => self.text(text),
            }
        }
        if name.prefix.is_empty() {
            self.end(&name.local, false);
        } else {
            self.end(&format!("{}:{}", name.prefix, name.local), false);
        }
    }

    fn begin(&mut self, prefix: &str, local: &str) {
        self.out.push('<');
        if !prefix.is_empty() {
            self.out.push_str(prefix);
            self.out.push(':');
        }
        self.out.push_str(local);
        self.declares_at = self.out.len();
        self.open.push(self.scope.len());
        self.started = true;
    }

    fn settle(&mut self) {
        if self.started {
            self.started = false;
            self.out.push('>');
        }
    }

    fn break_line(&mut self, depth: usize) {
        self.out.push('\n');
        for _ in 0..depth {
            self.out.push_str("  ");
        }
    }

    fn lookup(&self, prefix: &str) -> &str {
        self.scope
            .iter()
            .rev()
            .find(|(p, _)| **p == *prefix)
            .map_or("", |(_, uri)| uri)
    }

    /// Binds a prefix at the element that has just begun, unless it has done so.
    fn bind(&mut self, prefix: &str, uri: &Arc<str>) {
        let own = self.open.last().copied().unwrap_or(0);
        let bound = self.scope.get(own..).unwrap_or_default();
        if bound.iter().any(|(p, _)| **p == *prefix) || self.lookup(prefix) == &**uri {
            return;
        }
        let mut declaration = String::from(" xmlns");
        if !prefix.is_empty() {
            declaration.push(':');
            declaration.push_str(prefix);
        }
        declaration.push_str("=\"");
        escape(uri, true, &mut declaration);
        declaration.push('"');
        self.out.insert_str(self.declares_at, &declaration);
        self.declares_at += declaration.len();
        self.scope.push((Box::from(prefix), Arc::clone(uri)));
    }

    /// The prefix under which an attribute is written: its own, or another
    /// where that one means something else here.
    fn prefix_for(&mut self, name: &Name) -> String {
        if name.namespace.is_empty() {
            return String::new();
        }
        if *name.namespace == *XML {
            return "xml".to_owned();
        }
        if is_name(&name.prefix) {
            self.bind(&name.prefix, &name.namespace);
            if self.lookup(&name.prefix) == &*name.namespace {
                return name.prefix.to_string();
            }
        }
        for n in 0_u32.. {
            let prefix = format!("ns{n}");
            self.bind(&prefix, &name.namespace);
            if self.lookup(&prefix) == &*name.namespace {
                return prefix;
            }
        }
        String::new()
    }
}

/// Escapes for a text, or for a value between double quotes.
pub(crate) fn escape(text: &str, quoted: bool, out: &mut String) {
    let mut rest = text;
    let special = |b: u8| {
        matches!(b, b'&' | b'<' | b'>' | b'\r' | 0x80..)
            || (quoted && matches!(b, b'"' | b'\n' | b'\t'))
    };
    while let Some(at) = rest.bytes().position(special) {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = tail.chars();
        match chars.next() {
            Some('&') => out.push_str("&amp;"),
            Some('<') => out.push_str("&lt;"),
            Some('>') => out.push_str("&gt;"),
            Some('"') => out.push_str("&quot;"),
            Some(c) => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}
