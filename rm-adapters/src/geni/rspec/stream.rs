//! Documents from streams and into streams, a part at a time: what is in memory
//! beside the model is the text of a few of its parts, however long the whole is.

use std::io::{self, BufRead};

use arcstr::ArcStr;
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use rm_core::{Error, ErrorKind, Result};

use super::model::Rspec;
use super::part::Part as _;
use crate::geni::xml::{Content, Limits, Pull, Writer};

/// How much text is put together before it is read, in bytes.
const PIECE: usize = 256 * 1024;

impl Rspec {
    /// Reads a document of at most 32 MiB as it comes. It is what
    /// [`parse`](Self::parse) makes of the whole text.
    ///
    /// # Errors
    ///
    /// As for [`parse`](Self::parse), and where the stream cannot be read.
    pub fn read_from(from: impl BufRead) -> Result<Self> {
        Pieces::of(from, PIECE).read()
    }

    /// Prints the document into a stream: the text of [`print`](Self::print).
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub fn write_to(&self, mut to: impl io::Write) -> io::Result<()> {
        let mut out = self.begin();
        self.print_with(&mut out, &mut |out: &mut Writer| out.pour(PIECE, &mut to))?;
        to.write_all(out.finish().as_bytes())
    }

    /// More of the same document.
    fn add(&mut self, more: Self) {
        self.nodes.extend(more.nodes);
        self.links.extend(more.links);
        self.external_refs.extend(more.external_refs);
        self.type_relations.extend(more.type_relations);
        self.extra.go_on(more.extra);
    }
}

/// A document that is cut between the elements of its root.
struct Pieces<R> {
    reader: Reader<R>,
    /// The length of a piece.
    piece: usize,
    /// What is not read yet, as text.
    text: Vec<u8>,
    /// The start tag of the root, and its name.
    root: Option<(String, String)>,
    /// The line at which what is not read yet begins.
    line: u32,
    elements: usize,
    read: Option<Rspec>,
}

impl<R: BufRead> Pieces<io::Take<R>> {
    fn of(from: R, piece: usize) -> Self {
        // One byte more tells that it is too long.
        let most = u64::try_from(Limits::USUAL.bytes).unwrap_or(u64::MAX);
        Self {
            reader: Reader::from_reader(from.take(most.saturating_add(1))),
            piece,
            text: Vec::new(),
            root: None,
            line: 1,
            elements: 0,
            read: None,
        }
    }

    fn read(mut self) -> Result<Rspec> {
        let (mut depth, mut buffer) = (0_usize, Vec::new());
        loop {
            buffer.clear();
            let event = match self.reader.read_event_into(&mut buffer) {
                Ok(event) => event,
                Err(quick_xml::Error::Io(e)) => {
                    let what = "the document cannot be read";
                    return Err(Error::new(ErrorKind::Failed, what).because(e));
                }
                Err(e) => return Err(self.unreadable(e)),
            };
            let most = u64::try_from(Limits::USUAL.bytes).unwrap_or(u64::MAX);
            if self.reader.buffer_position() > most {
                return Err(Error::invalid("the document is too long")
                    .code("too-large")
                    .advice(format!("send {most} bytes at the most")));
            }
            let closed = match &event {
                Event::Start(tag) => {
                    if depth == 0 && self.root.is_none() {
                        // On one line, so that it counts for none where it is
                        // repeated.
                        let flat = tag.replace("\r\n", " ").replace(['\n', '\r', '\t'], " ");
                        self.root = Some((format!("<{flat}>"), tag.name().0.to_owned()));
                    }
                    depth += 1;
                    false
                }
                Event::End(_) => {
                    depth = depth.saturating_sub(1);
                    depth == 1
                }
                Event::Empty(_) => depth == 1,
                Event::Eof => return self.finish(),
                _ => false,
            };
            let mut text = quick_xml::Writer::new(&mut self.text);
            text.write_event(event)
                .map_err(|e| Error::new(ErrorKind::Internal, "a text is lost").because(e))?;
            if closed && self.text.len() >= self.piece {
                let end = self.root.as_ref().map(|(_, name)| format!("</{name}>"));
                self.take(&end.unwrap_or_default())?;
            }
        }
    }

    /// Reads what there is, with the root around it.
    fn take(&mut self, end: &str) -> Result<()> {
        let mut text = String::new();
        if let (Some(_), Some((root, _))) = (&self.read, &self.root) {
            text.push_str(root);
        }
        let raw = std::mem::take(&mut self.text);
        let raw = String::from_utf8(raw).map_err(|e| self.unreadable(e))?;
        text.push_str(&raw);
        text.push_str(end);
        let text = ArcStr::from(text);
        let mut pull = Pull::going_on(&text, Limits::USUAL, self.line, self.elements)?;
        let more = Rspec::pulled(&mut pull)?;
        // The root is there once, however often it is repeated.
        self.elements = pull.elements().saturating_sub(1);
        let lines = raw.bytes().filter(|b| *b == b'\n').count();
        let lines = u32::try_from(lines).unwrap_or(u32::MAX);
        self.line = self.line.saturating_add(lines);
        match &mut self.read {
            Some(read) => read.add(more),
            None => self.read = Some(more),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Rspec> {
        self.take("")?;
        self.read
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a document is lost"))
    }

    fn unreadable(&self, e: impl std::error::Error + Send + Sync + 'static) -> Error {
        let lines = self.text.iter().filter(|b| **b == b'\n').count();
        let line = u32::try_from(lines).unwrap_or(u32::MAX);
        let line = self.line.saturating_add(line);
        let what = e.to_string();
        Error::invalid(format!("line {line}: {}", crate::geni::xml::short(&what)))
            .code("malformed-xml")
            .because(e)
    }
}

/// Two texts of which one goes on with the other, as if nothing had been between
/// them.
pub(super) fn joined(before: &mut Vec<Content>, more: Vec<Content>) {
    let mut more = more.into_iter().peekable();
    if let (Some(Content::Text(text)), Some(Content::Text(next))) = (before.last_mut(), more.peek())
    {
        *text = format!("{text} {next}").into();
        more.next();
    }
    before.extend(more);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;

    use super::*;

    const OPEN: &str = "<?xml version='1.0'?>\n<rspec\n type='request' a='x\r\ny' xmlns:o='urn:o' \
                        xmlns='http://www.geni.net/resources/rspec/3'>";

    /// As it is read in pieces of every length, and whole.
    fn same(text: &str) {
        let whole = Rspec::parse(text);
        for piece in [0, 1, 100, 4096, PIECE] {
            let read = Pieces::of(text.as_bytes(), piece).read();
            match (&whole, read) {
                (Ok(whole), Ok(read)) => {
                    assert_eq!(read, *whole, "{piece}: {text}");
                    assert_eq!(read.print(), whole.print());
                    let lines = |rspec: &Rspec| {
                        let nodes = rspec.nodes.iter().map(|n| n.line.0);
                        nodes.chain([rspec.line.0]).collect::<Vec<_>>()
                    };
                    assert_eq!(lines(&read), lines(whole), "{piece}: {text}");
                    let mut out = Vec::new();
                    read.write_to(&mut out).unwrap();
                    assert_eq!(String::from_utf8(out).unwrap(), whole.print());
                }
                (Err(whole), Err(read)) => {
                    assert_eq!(read.stable_code(), whole.stable_code(), "{piece}: {text}");
                }
                (whole, read) => panic!("{piece}: {text}: {whole:?}, {read:?}"),
            }
        }
    }

    #[test]
    fn a_document_that_comes_in_pieces_is_the_same_as_the_whole() {
        for inside in [
            "",
            "<node client_id='a'/>",
            "\n<node client_id='a'>\n<o:x/></node>\n<link client_id='l'/>\n<node client_id='b'/>\n",
            "one<node/>two<o:x>\n</o:x>three<node/><!-- no -->four &amp; five<node/><![CDATA[six]]>",
            "<o:x/><o:y/>a<node/>b<link/>c<o:z o:w='1'>d</o:z>e",
            "<node xmlns='urn:other'/><q:undeclared/><node/>",
            "<node></link>",
            "<node/><!DOCTYPE x><node/>",
            "<node/>&unknown;",
            "<node/>\u{1}<node/>",
            "<node/><?xml version='1.0'?>",
        ] {
            same(&format!("{OPEN}{inside}</rspec>"));
            same(&format!("{OPEN}{inside}</rspec>\n<!-- over -->\n"));
            same(&format!("{OPEN}{inside}"));
            same(&format!("{OPEN}{inside}</rspec><rspec/>"));
        }
        same(&format!("{OPEN}<a><b></a></rspec>"));
        for text in ["", "no XML", "<rspec/>", "\u{feff}<rspec/>"] {
            same(text);
        }
        let Some(folder) = needs::reference("a_document_that_comes_in_pieces") else {
            return;
        };
        let (mut tried, mut folders) = (0, vec![folder.join("data/rspec/samples")]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(text) = fs::read_to_string(&path) {
                    same(&text);
                    tried += 1;
                }
            }
        }
        assert!(tried > 30, "{tried}");
    }

    #[test]
    fn no_more_is_read_than_a_document_may_have() {
        let open = OPEN.as_bytes().chain(io::repeat(b' '));
        let e = Rspec::read_from(io::BufReader::new(open)).unwrap_err();
        assert_eq!(e.stable_code(), "too-large", "{e}");
        let nodes = "<node/>".repeat(500_001);
        let text = format!("{OPEN}{nodes}</rspec>");
        let e = Rspec::read_from(text.as_bytes()).unwrap_err();
        assert_eq!(e.stable_code(), "too-large", "{e}");
        let e = Rspec::read_from(&b"<rspec a='\xff'/>"[..]).unwrap_err();
        assert_eq!(e.stable_code(), "malformed-xml", "{e}");
    }
}
