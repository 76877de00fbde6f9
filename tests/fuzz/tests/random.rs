//! Random inputs on every test run: documents that are sound, and edited; lists
//! of forgeries; and any values.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::Path;

use fuzz::{TARGETS, accepts, answered, as_written, credentials, genuine};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rm_adapters::geni::xmlrpc::Value;

/// The inputs that were kept of a target, the shortest first.
fn kept(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut found: Vec<Vec<u8>> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    found.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    found
}

/// The words of a target.
fn words(target: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("words");
    let text = std::fs::read_to_string(folder.join(format!("{target}.dict"))).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'))
        .map(|word| word.replace("\\\"", "\"").replace("\\\\", "\\"))
        .collect()
}

/// One thing that is done to a document.
#[derive(Debug, Clone)]
enum Edit {
    /// From here, so many bytes.
    Remove(Index, usize),
    /// From here, so many bytes, to there.
    Copy(Index, usize, Index),
    /// Here, one of the words.
    Insert(Index, Index),
    /// Here, another byte.
    Change(Index, u8),
}

fn edit() -> impl Strategy<Value = Edit> {
    let (place, length) = (any::<Index>, 1_usize..300);
    prop_oneof![
        (place(), length.clone()).prop_map(|(at, length)| Edit::Remove(at, length)),
        (place(), length, place()).prop_map(|(at, length, to)| Edit::Copy(at, length, to)),
        (place(), place()).prop_map(|(at, word)| Edit::Insert(at, word)),
        (place(), any::<u8>()).prop_map(|(at, byte)| Edit::Change(at, byte)),
    ]
}

fn edited(document: &[u8], edits: &[Edit], words: &[String]) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for edit in edits {
        let place = |at: &Index| at.index(bytes.len() + 1);
        let piece = |at: &Index, length: &usize| {
            let from = place(at);
            from..bytes.len().min(from + length)
        };
        match edit {
            Edit::Remove(at, length) => {
                let piece = piece(at, length);
                drop(bytes.drain(piece));
            }
            Edit::Copy(at, length, to) => {
                let (piece, to) = (bytes[piece(at, length)].to_vec(), place(to));
                drop(bytes.splice(to..to, piece));
            }
            Edit::Insert(at, word) => {
                let at = place(at);
                drop(bytes.splice(at..at, word.get(words).bytes()));
            }
            Edit::Change(at, byte) => {
                let at = place(at);
                if let Some(there) = bytes.get_mut(at) {
                    *there = *byte;
                }
            }
        }
    }
    bytes
}

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<i32>().prop_map(|n| Value::Int(n.into())),
        any::<bool>().prop_map(Value::Bool),
        any::<f64>()
            .prop_filter("numbers", |n| n.is_finite())
            .prop_map(Value::Double),
        text().prop_map(Value::Text),
        "[ -~\r\n\t]{0,12}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            vec((text(), inner), 0..5).prop_map(Value::Struct),
        ]
    })
}

/// Where the bytes of a credential are that a signature covers, but for
/// spaces, which mean nothing inside of a tag.
fn signed(xml: &str) -> Vec<usize> {
    let whole = (
        xml.find("<credential ").unwrap(),
        xml.rfind("</credential>").unwrap(),
    );
    let parts = ["SignedInfo", "SignatureValue"]
        .into_iter()
        .flat_map(|name| {
            let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
            let begins: Vec<usize> = xml.match_indices(&begin).map(|(at, _)| at).collect();
            let ends: Vec<usize> = xml.match_indices(&end).map(|(at, _)| at).collect();
            begins.into_iter().zip(ends)
        });
    // What is put before the first byte of an element is not in it.
    std::iter::once(whole)
        .chain(parts)
        .flat_map(|(from, to)| from + 1..to)
        .filter(|at| !xml.as_bytes()[*at].is_ascii_whitespace())
        .collect()
}

#[test]
fn what_authorities_have_said_is_accepted() {
    assert!(genuine().len() > 20);
    for xml in genuine() {
        assert!(accepts(xml), "{xml}");
    }
}

proptest! {
    #[test]
    fn no_document_does_harm_however_it_is_edited(which in any::<Index>(), edits in vec(edit(), 0..12)) {
        for (name, target) in TARGETS {
            target(&edited(which.get::<Vec<u8>>(&kept(name)), &edits, &words(name)));
        }
    }

    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..200)) {
        for (_, target) in TARGETS {
            target(&bytes);
        }
    }

    #[test]
    fn no_list_of_edits_makes_a_credential_that_nobody_gave_out(list in vec(any::<u8>(), 1..64)) {
        credentials(&list);
    }

    #[test]
    fn a_credential_is_refused_when_a_signed_byte_is_changed_added_or_missing(
        which in any::<Index>(), at in any::<Index>(), byte in 0x21..0x7f_u8, act in 0..3_u8,
    ) {
        let xml = which.get(genuine());
        let at = *at.get(&signed(xml));
        let mut bytes = xml.clone().into_bytes();
        match act {
            0 => bytes[at] = if bytes[at] == byte { b' ' } else { byte },
            1 => bytes.insert(at, byte),
            _ => {
                bytes.remove(at);
            }
        }
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert!(!accepts(&changed), "byte {} of {}", at, changed);
    }

    #[test]
    fn a_value_is_read_as_it_was_written(given in value()) {
        prop_assert_eq!(answered(&given).unwrap(), vec![as_written(given)]);
    }
}
