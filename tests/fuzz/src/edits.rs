//! Credentials that somebody has tampered with: a document that an authority
//! has signed, and a list of what was done to it.
//!
//! The list is bytes: the first chooses the document; then, for each edit, one
//! says what is done, one at which element, and others with what. Elements are
//! counted, so that a list means nearly the same whatever keys the documents
//! were signed with, and a fuzzer finds its way by changing single bytes.

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

/// Edits of one document.
const MOST: usize = 16;
/// Bytes of a document, which copies of copies would soon exceed: about twice of
/// what is read at all.
const LONGEST: usize = 512 * 1024;

/// What an element may be put into.
const NAMES: [&str; 7] = [
    "x",
    "credential",
    "parent",
    "signatures",
    "signed-credential",
    "Object",
    "privileges",
];

/// What may be put into an element.
const PIECES: [&str; 12] = [
    " ",
    "x",
    "=",
    "<x/>",
    "<!-- x -->",
    "<?x y?>",
    "<![CDATA[x]]>",
    "&#x41;",
    "&amp;",
    "<expires>2036-11-28T07:42:26Z</expires>",
    "<owner_urn>urn:publicid:IDN+lab:one+user+bob</owner_urn>",
    "<privilege><name>*</name><can_delegate>true</can_delegate></privilege>",
];

/// What may be added to the start of an element.
const ATTRIBUTES: [&str; 12] = [
    " xml:id=\"ref0\"",
    " xml:id=\"ref1\"",
    " Id=\"ref0\"",
    " id=\"ref1\"",
    " xml:lang=\"x\"",
    " xmlns=\"\"",
    " xmlns=\"http://www.w3.org/2000/09/xmldsig#\"",
    " xmlns:xsi=\"u\"",
    " xmlns:p=\"u\" p:id=\"ref0\"",
    " URI=\"#ref1\"",
    " URI=\"\"",
    " Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"",
];

/// Words that are exchanged.
const WORDS: [(&str, &str); 8] = [
    ("ref0", "ref1"),
    ("ref1", "ref0"),
    ("alice", "bob"),
    ("slice+s1", "slice+s2"),
    ("2026", "2036"),
    ("false", "true"),
    ("sha256", "sha1"),
    (
        "REC-xml-c14n-20010315",
        "REC-xml-c14n-20010315#WithComments",
    ),
];

/// What becomes of one of the genuine documents by this list; parts may be
/// taken from all.
pub(crate) fn edited(list: &[u8], genuine: &[String], others: &[String]) -> String {
    let mut list = List(list);
    let all: Vec<&String> = genuine.iter().chain(others).collect();
    let mut text = list.one(genuine).clone();
    for _ in 0..MOST {
        let Some(act) = list.next() else { break };
        let elements = elements(&text);
        if elements.is_empty() || text.len() > LONGEST {
            break;
        }
        let Element {
            whole,
            inside,
            named,
        } = list.one(&elements).clone();
        let at = |place: usize| place..place;
        text = match act % 11 {
            0 => replaced(&text, whole, ""),
            1 => {
                let copy = part(&text, &list.one(&elements).whole);
                replaced(&text, at(whole.start), &copy)
            }
            2 => {
                let copy = part(&text, &list.one(&elements).whole);
                replaced(&text, at(inside.start), &copy)
            }
            3 => replaced(&text, whole, &list.other(&all, |other| &other.whole)),
            4 => {
                let other = list.other(&all, |other| &other.whole);
                replaced(&text, at(whole.start), &other)
            }
            5 => replaced(&text, inside, &list.other(&all, |other| &other.inside)),
            6 => {
                let name = list.one(&NAMES);
                let put = format!("<{name}>{}</{name}>", part(&text, &whole));
                replaced(&text, whole, &put)
            }
            7 => replaced(&text, at(inside.start), list.one::<&str>(&PIECES)),
            8 => replaced(&text, at(named), list.one::<&str>(&ATTRIBUTES)),
            9 => {
                let (from, to) = *list.one(&WORDS);
                let changed = part(&text, &whole).replace(from, to);
                replaced(&text, whole, &changed)
            }
            _ => {
                let place = whole.start + list.large() % whole.len().max(1);
                let byte = u8::try_from(list.below(0x60)).unwrap_or_default() + b' ';
                replaced(&text, place..place + 1, &char::from(byte).to_string())
            }
        };
    }
    text
}

/// What is left of a list.
struct List<'a>(&'a [u8]);

impl List<'_> {
    fn next(&mut self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(*first))
    }

    /// A number below this one; 0 where the list is over.
    fn below(&mut self, many: usize) -> usize {
        self.next().unwrap_or(0) % many
    }

    /// A number of two bytes.
    fn large(&mut self) -> usize {
        self.below(256) * 256 + self.below(256)
    }

    fn one<'b, T>(&mut self, of: &'b [T]) -> &'b T {
        &of[self.below(of.len())]
    }

    /// A part of one of these documents.
    fn other(&mut self, all: &[&String], which: fn(&Element) -> &Range<usize>) -> String {
        let text = self.one(all);
        let elements = elements(text);
        if elements.is_empty() {
            return String::new();
        }
        part(text, which(self.one(&elements)))
    }
}

/// Where an element is in its document.
#[derive(Debug, Clone)]
struct Element {
    whole: Range<usize>,
    inside: Range<usize>,
    /// Where its name ends.
    named: usize,
}

/// All there are in a document, as far as it can be read.
fn elements(text: &str) -> Vec<Element> {
    let mut reader = Reader::from_str(text);
    let mut found: Vec<Element> = Vec::new();
    let mut open = Vec::new();
    loop {
        let event = reader.read_event();
        let end = usize::try_from(reader.buffer_position()).unwrap();
        let begun = |length: usize, name: usize, signs: usize| {
            let start = end - length - signs;
            Element {
                whole: start..end,
                inside: end..end,
                named: start + 1 + name,
            }
        };
        match event {
            Ok(Event::Start(e)) => {
                open.push(found.len());
                found.push(begun(e.len(), e.name().0.len(), "<>".len()));
            }
            Ok(Event::Empty(e)) => found.push(begun(e.len(), e.name().0.len(), "</>".len())),
            Ok(Event::End(_)) => {
                if let Some(n) = open.pop() {
                    let element: &mut Element = &mut found[n];
                    element.inside.end = text[..end].rfind("</").unwrap();
                    element.whole.end = end;
                }
            }
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

fn part(text: &str, range: &Range<usize>) -> String {
    text[range.clone()].to_owned()
}

fn replaced(text: &str, range: Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..range.start], &text[range.end..])
}
