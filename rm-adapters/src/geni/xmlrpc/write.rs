//! Answers, as the oldest clients can read them.

use std::fmt::Write as _;

use super::value::Value;
use crate::geni::xml::escape;

/// What is wrong with a call itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A number of the list that is in use: -32700 no XML-RPC, -32601 no such
    /// method, -32602 wrong arguments, -32001 too busy.
    pub code: i32,
    /// What, in words.
    pub text: String,
}

impl Fault {
    /// The call cannot be read.
    pub fn unreadable(text: impl Into<String>) -> Self {
        Self {
            code: -32700,
            text: text.into(),
        }
    }

    /// There are too many.
    pub fn busy(text: impl Into<String>) -> Self {
        Self {
            code: -32001,
            text: text.into(),
        }
    }

    /// There is no such method.
    pub fn no_such_method(method: &str, known: &[&str]) -> Self {
        Self {
            code: -32601,
            text: format!(
                "there is no method {:?}; there are: {}",
                crate::geni::xml::short(method),
                known.join(", ")
            ),
        }
    }

    /// The number of arguments is wrong.
    pub fn wrong_arguments(method: &str, given: usize, wanted: &str) -> Self {
        Self {
            code: -32602,
            text: format!("{method} takes {wanted}; {given} arguments were given"),
        }
    }

    /// The answer to the call.
    pub fn print(&self) -> String {
        let mut out = String::from("<?xml version='1.0'?>\n<methodResponse>\n<fault>\n");
        write_value(
            &Value::of([
                ("faultCode", Value::Int(self.code.into())),
                ("faultString", Value::text(self.text.as_str())),
            ]),
            &mut out,
        );
        out.push_str("</fault>\n</methodResponse>\n");
        out
    }
}

/// The answer to a call that was carried out.
pub fn answer(value: &Value) -> String {
    let mut out = String::from("<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n");
    write_value(value, &mut out);
    out.push_str("</param>\n</params>\n</methodResponse>\n");
    out
}

fn write_value(value: &Value, out: &mut String) {
    out.push_str("<value>");
    match value {
        // Old clients know whole numbers of 32 bits only.
        Value::Int(n) if i32::try_from(*n).is_ok() => {
            let _ = write!(out, "<int>{n}</int>");
        }
        Value::Int(n) => {
            let _ = write!(out, "<string>{n}</string>");
        }
        Value::Bool(flag) => {
            let _ = write!(out, "<boolean>{}</boolean>", u8::from(*flag));
        }
        Value::Double(n) => {
            let _ = write!(out, "<double>{n}</double>");
        }
        Value::Text(text) => {
            out.push_str("<string>");
            write_text(text, out);
            out.push_str("</string>");
        }
        Value::Array(values) => {
            out.push_str("<array><data>\n");
            for value in values {
                write_value(value, out);
            }
            out.push_str("</data></array>");
        }
        Value::Struct(members) => {
            out.push_str("<struct>\n");
            for (name, value) in members {
                out.push_str("<member>\n<name>");
                write_text(name, out);
                out.push_str("</name>\n");
                write_value(value, out);
                out.push_str("</member>\n");
            }
            out.push_str("</struct>");
        }
    }
    out.push_str("</value>\n");
}

/// A text without the characters that XML cannot hold.
fn write_text(text: &str, out: &mut String) {
    let unwritable = |c: char| {
        (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    if text.contains(unwritable) {
        escape(&text.replace(unwritable, "\u{fffd}"), false, out);
    } else {
        escape(text, false, out);
    }
}
