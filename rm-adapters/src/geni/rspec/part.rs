//! How a part of a document is read and printed: known attributes and elements
//! into fields, everything else into [`Extra`].

use std::convert::Infallible;

use arcstr::Substr;
use rm_core::Result;

use super::stream::joined;
use crate::geni::xml::{
    Attribute, Content, Declared, Element, Manner, Pull, Tag, Writer, keep_attribute,
};

/// The value of an attribute, where it is there. What was read of one document
/// shares its memory.
pub type Text = Option<Substr>;

/// What was said beside what the schema knows. It is printed again as it was,
/// with namespaces declared where they are needed.
#[derive(Debug, Clone, Default)]
pub struct Extra(Option<Box<Kept>>);

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        self.attributes() == other.attributes() && self.children() == other.children()
    }
}

impl Eq for Extra {}

#[derive(Debug, Clone, Default)]
struct Kept {
    attributes: Vec<Attribute>,
    children: Vec<Content>,
    declared: Declared,
}

impl Extra {
    /// Attributes that the schema does not know.
    pub fn attributes(&self) -> &[Attribute] {
        self.0.as_ref().map_or(&[], |kept| &kept.attributes)
    }

    /// Elements (and texts) that the schema does not know.
    pub fn children(&self) -> &[Content] {
        self.0.as_ref().map_or(&[], |kept| &kept.children)
    }

    /// The first element of this name.
    pub fn element(&self, namespace: &str, local: &str) -> Option<&Element> {
        self.children().iter().find_map(|c| match c {
            Content::Element(e) if e.name.is(namespace, local) => Some(e),
            _ => None,
        })
    }

    /// Adds an attribute.
    pub fn add_attribute(&mut self, attribute: Attribute) {
        self.kept().attributes.push(attribute);
    }

    /// Adds an element.
    pub fn add(&mut self, element: Element) {
        self.kept().children.push(Content::Element(element));
    }

    fn kept(&mut self) -> &mut Kept {
        self.0.get_or_insert_default()
    }

    /// Adds what was said further on of the same.
    pub(super) fn go_on(&mut self, more: Self) {
        if let Some(more) = more.0.filter(|more| !more.children.is_empty()) {
            joined(&mut self.kept().children, more.children);
        }
    }

    pub(super) fn declares(&mut self, pull: &Pull<'_>, tag: &Tag<'_>) {
        if !tag.declares_any() {
            return;
        }
        let mut declared = Declared::read(pull, tag);
        // It is printed in the default namespace, whatever that was where it
        // was read; elements of others declare what they need themselves.
        declared.0.retain(|(prefix, _)| !prefix.is_empty());
        if !declared.0.is_empty() {
            self.kept().declared = declared;
        }
    }

    pub(super) fn keep_attribute(
        &mut self,
        pull: &Pull<'_>,
        prefix: &str,
        local: &str,
        value: &str,
    ) -> Result<()> {
        keep_attribute(pull, prefix, local, value, &mut self.kept().attributes)
    }

    /// Keeps an element, and the text before it.
    pub(super) fn keep(
        &mut self,
        pull: &mut Pull<'_>,
        tag: &Tag<'_>,
        said: &mut Said,
    ) -> Result<()> {
        self.keep_text(said);
        let element = Element::read(pull, tag, Manner::Lenient)?;
        self.add(element);
        Ok(())
    }

    /// Keeps a text that is over.
    pub(super) fn keep_text(&mut self, said: &mut Said) {
        said.pause();
        if !said.all.is_empty() {
            let all = std::mem::take(&mut said.all);
            self.kept().children.push(Content::Text(all.into()));
        }
    }

    pub(super) fn print_start(&self, out: &mut Writer) {
        if let Some(kept) = &self.0 {
            out.declare(&kept.declared);
        }
    }
}

/// Text that is being read: without the space around it, which is there for the
/// eye, and as one, where only known parts are in between.
#[derive(Debug, Default)]
pub(super) struct Said {
    all: String,
    /// Since the last element, as it came.
    piece: String,
}

impl Said {
    pub(super) fn add(&mut self, text: &str) {
        let text = match self.piece.is_empty() {
            // Nearly all of it is there for the eye.
            true if text.bytes().all(|b| b.is_ascii_whitespace()) => return,
            true => text.trim_start(),
            false => text,
        };
        self.piece.push_str(text);
    }

    /// An element comes.
    pub(super) fn pause(&mut self) {
        if self.piece.is_empty() {
            return;
        }
        let piece = self.piece.trim();
        if !piece.is_empty() {
            if !self.all.is_empty() {
                self.all.push(' ');
            }
            self.all.push_str(piece);
        }
        self.piece.clear();
    }
}

/// A part of a document.
pub(super) trait Part: Sized {
    /// The name of its element.
    const NAME: &'static str;
    /// Reads the rest of it into an empty one: an answer with a part in it would be
    /// moved twice.
    fn read(&mut self, pull: &mut Pull<'_>, tag: &Tag<'_>, namespace: &str) -> Result<()>;
    /// Prints its attributes and what is in it, and ends it; `each` is called
    /// behind each of its own parts.
    fn print_with<E>(
        &self,
        out: &mut Writer,
        each: &mut impl FnMut(&mut Writer) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E>;

    /// The same.
    fn print(&self, out: &mut Writer) {
        let Ok(()) = self.print_with(out, &mut |_: &mut Writer| Ok::<(), Infallible>(()));
    }
}

/// Adds a part. Most lists have one, and a list that grows as usual begins with room
/// for four, which was half of what a request took of memory.
pub(super) fn add<T>(to: &mut Vec<T>, part: T) {
    if to.len() == to.capacity() {
        to.reserve_exact(to.len().max(1));
    }
    to.push(part);
}

/// Declares a part: its attributes by field and name, the parts in it by field
/// and type, and fields of its own that are neither.
macro_rules! part {
    (
        $(#[$doc:meta])*
        $name:ident = $element:literal {
            attributes { $( $(#[$attribute_doc:meta])* $attribute:ident = $written:literal, )* }
            parts { $( $(#[$part_doc:meta])* $part:ident: $Part:ident, )* }
            $( own { $( $(#[$own_doc:meta])* $own:ident: $Own:ty, )* } )?
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $name {
            $( $( $(#[$own_doc])* pub $own: $Own, )* )?
            $( $(#[$attribute_doc])* pub $attribute: Text, )*
            $( $(#[$part_doc])* pub $part: Vec<$Part>, )*
            /// What else was said here.
            pub extra: Extra,
            /// Where it was read.
            pub line: Line,
        }

        impl Part for $name {
            const NAME: &'static str = $element;

            fn read(
                &mut self,
                pull: &mut Pull<'_>,
                tag: &Tag<'_>,
                #[allow(unused_variables, reason = "not all have parts")] namespace: &str,
            ) -> Result<()> {
                self.line = Line(tag.line);
                self.extra.declares(pull, tag);
                pull.attributes(|prefix, local, value| match (prefix, local) {
                    $( ("", $written) => {
                        self.$attribute = Some(pull.kept(value));
                        Ok(())
                    } )*
                    _ => self.extra.keep_attribute(pull, prefix, local, value),
                })?;
                let mut said = Said::default();
                loop {
                    match pull.next()? {
                        Item::Start(inner) => {
                            said.pause();
                            $( if inner.local() == <$Part as Part>::NAME
                                && *inner.namespace == *namespace
                            {
                                let mut part = $Part::default();
                                part.read(pull, &inner, namespace)?;
                                super::part::add(&mut self.$part, part);
                                continue;
                            } )*
                            self.extra.keep(pull, &inner, &mut said)?;
                        }
                        Item::Text(text) => said.add(&text),
                        Item::Aside => {}
                        Item::End | Item::Done => {
                            self.extra.keep_text(&mut said);
                            return Ok(());
                        }
                    }
                }
            }

            fn print_with<E>(
                &self,
                out: &mut Writer,
                #[allow(unused_variables, reason = "not all have parts")]
                each: &mut impl FnMut(&mut Writer) -> std::result::Result<(), E>,
            ) -> std::result::Result<(), E> {
                self.extra.print_start(out);
                $( out.attribute($written, self.$attribute.as_deref()); )*
                out.attributes(self.extra.attributes());
                $( for part in &self.$part {
                    out.line(<$Part as Part>::NAME);
                    part.print(out);
                    each(out)?;
                } )*
                out.kept(self.extra.children());
                out.end($element, true);
                Ok(())
            }
        }
    };
}

pub(super) use part;
