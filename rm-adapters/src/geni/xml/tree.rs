//! Elements that are kept as they are.

use std::fmt;
use std::sync::Arc;

use arcstr::{ArcStr, Substr};
use rm_core::Result;

use super::letters::{is_name, short};
use super::pull::{Item, Limits, Pull, Tag, UNDECLARED};

/// A name with its namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The namespace; empty where it has none.
    pub namespace: Arc<str>,
    /// What stood for the namespace; empty where it was the default.
    pub prefix: Substr,
    /// The name in the namespace.
    pub local: Substr,
}

impl Name {
    /// A name in a namespace, written with this prefix.
    pub fn new(namespace: &str, prefix: &str, local: &str) -> Self {
        Self {
            namespace: Arc::from(namespace),
            prefix: Substr::from(prefix),
            local: Substr::from(local),
        }
    }

    /// Whether it is this one, however written.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        *self.local == *local && *self.namespace == *namespace
    }
}

/// An attribute of a name that is not a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: Name,
    /// Its value, with all references resolved.
    pub value: Substr,
}

/// What is inside of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Another one.
    Element(Element),
    /// Text, with all references resolved.
    Text(Substr),
}

/// The line something was read at; 0 where it was not read. Two things are the
/// same, wherever they were read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line(pub u32);

impl PartialEq for Line {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Line {}

/// Prefixes as an element declares them. They are kept because texts may use
/// them; what an element *is* does not depend on them.
#[derive(Clone, Default)]
pub(crate) struct Declared(pub(crate) Vec<(Box<str>, Arc<str>)>);

impl PartialEq for Declared {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Declared {}

impl fmt::Debug for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// An element with all that is in it, comments excepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: Name,
    /// Its attributes in order.
    pub attributes: Vec<Attribute>,
    /// What is in it, in order.
    pub children: Vec<Content>,
    /// The line it was read at.
    pub line: Line,
    pub(crate) declared: Declared,
}

impl Element {
    /// An empty one.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            attributes: Vec::new(),
            children: Vec::new(),
            line: Line(0),
            declared: Declared::default(),
        }
    }

    /// With an attribute of no namespace.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.attributes.push(Attribute {
            name: Name::new("", "", name),
            value: Substr::from(value),
        });
        self
    }

    /// With another one in it.
    #[must_use]
    pub fn holding(mut self, child: Self) -> Self {
        self.children.push(Content::Element(child));
        self
    }

    /// With a text in it.
    #[must_use]
    pub fn saying(mut self, text: &str) -> Self {
        self.children.push(Content::Text(Substr::from(text)));
        self
    }

    /// The value of an attribute of no namespace.
    pub fn attribute(&self, local: &str) -> Option<&str> {
        self.attribute_of("", local)
    }

    /// The value of an attribute.
    pub fn attribute_of(&self, namespace: &str, local: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|a| a.name.is(namespace, local))
            .map(|a| &*a.value)
    }

    /// The elements in it.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|c| match c {
            Content::Element(e) => Some(e),
            Content::Text(_) => None,
        })
    }

    /// The texts that are directly in it, as one.
    pub fn text(&self) -> String {
        self.children
            .iter()
            .filter_map(|c| match c {
                Content::Text(t) => Some(&**t),
                Content::Element(_) => None,
            })
            .collect()
    }

    /// Reads the rest of an element that has begun.
    pub(crate) fn read(pull: &mut Pull<'_>, tag: &Tag<'_>, manner: Manner) -> Result<Self> {
        let mut element = Self {
            name: Name {
                namespace: Arc::clone(&tag.namespace),
                prefix: pull.kept(tag.prefix()),
                local: pull.kept(tag.local()),
            },
            attributes: Vec::new(),
            children: Vec::new(),
            line: Line(tag.line),
            declared: Declared::read(pull, tag),
        };
        pull.attributes(|prefix, local, value| {
            keep_attribute(pull, prefix, local, value, &mut element.attributes)
        })?;
        if manner == Manner::Strict {
            let mut names = element
                .attributes
                .iter()
                .map(|a| &a.name)
                .chain([&element.name]);
            if names.any(|n| n.namespace.starts_with(UNDECLARED)) {
                return Err(pull.wrong("a prefix that is not declared"));
            }
        }
        let mut text = String::new();
        loop {
            match pull.next()? {
                Item::Start(inner) => {
                    element.add(&mut text);
                    let child = Self::read(pull, &inner, manner)?;
                    element.children.push(Content::Element(child));
                }
                Item::Text(piece) => text.push_str(&piece),
                Item::Aside if manner == Manner::Strict => {
                    return Err(pull.wrong("a comment or an instruction, where none may be"));
                }
                Item::Aside => {}
                Item::End | Item::Done => break,
            }
        }
        element.add(&mut text);
        Ok(element)
    }

    fn add(&mut self, text: &mut String) {
        if !text.is_empty() {
            self.children.push(Content::Text(Substr::from(&**text)));
            text.clear();
        }
    }

    /// Reads a whole document.
    pub(crate) fn document(text: &str, limits: Limits, manner: Manner) -> Result<Self> {
        let whole = ArcStr::from(text);
        let mut pull = Pull::sharing(&whole, limits)?;
        let root = match pull.next()? {
            Item::Start(tag) => Self::read(&mut pull, &tag, manner)?,
            _ => return Err(pull.wrong("there is no element in this document")),
        };
        pull.next()?;
        Ok(root)
    }
}

/// How a tree is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Comments and processing instructions are left out, and prefixes need no
    /// declaration.
    Lenient,
    /// All of these are errors.
    Strict,
}

impl Declared {
    /// What an element declares.
    pub(crate) fn read(pull: &Pull<'_>, tag: &Tag<'_>) -> Self {
        Self(
            pull.declared(tag)
                .map(|(prefix, uri)| (Box::from(prefix), Arc::clone(uri)))
                .collect(),
        )
    }
}

/// Keeps an attribute that nobody here knows.
pub(crate) fn keep_attribute(
    pull: &Pull<'_>,
    prefix: &str,
    local: &str,
    value: &str,
    into: &mut Vec<Attribute>,
) -> Result<()> {
    if !is_name(local) {
        return Err(pull.wrong(format!("{:?} is no name of an attribute", short(local))));
    }
    let name = Name {
        namespace: if prefix.is_empty() {
            pull.nothing()
        } else {
            pull.resolve(prefix)
        },
        prefix: pull.kept(prefix),
        local: pull.kept(local),
    };
    // Two prefixes may stand for one namespace.
    if !prefix.is_empty() && into.iter().any(|a| a.name.is(&name.namespace, local)) {
        return Err(pull.wrong(format!("the attribute {:?} is there twice", short(local))));
    }
    into.push(Attribute {
        name,
        value: pull.kept(value),
    });
    Ok(())
}
