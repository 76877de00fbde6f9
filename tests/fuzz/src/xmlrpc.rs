//! What is true of calls and answers.

use rm_adapters::geni::xmlrpc::{Call, Fault, Value, answer};
use rm_core::Result;

use crate::is_short;

/// What was read of a call can be answered in ASCII, is read again as the
/// same, and grows no faster than the call.
///
/// # Panics
///
/// Where that is not so.
pub fn xmlrpc(bytes: &[u8]) {
    let call = match Call::parse(bytes) {
        Ok(call) => call,
        Err(e) => return is_short(&e),
    };
    let fault = Fault::no_such_method(&call.method, &["GetVersion"]).print();
    assert!(fault.is_ascii() && fault.len() < 4_000, "{fault}");
    for value in call.arguments {
        let length = answer(&value).len();
        assert!(
            length <= 16 * bytes.len() + 1_024,
            "{} bytes became {length}",
            bytes.len()
        );
        match answered(&value) {
            Ok(again) => assert_eq!(again, [as_written(value)]),
            // A text without a type gets one.
            Err(e) => assert_eq!(e.stable_code(), "too-deep", "{e}"),
        }
    }
}

/// What a client reads of an answer with this value.
///
/// # Errors
///
/// Where it cannot be read.
///
/// # Panics
///
/// Where it is not ASCII.
pub fn answered(value: &Value) -> Result<Vec<Value>> {
    let answer = answer(value);
    assert!(answer.is_ascii(), "{answer}");
    let call = answer
        .replace("<methodResponse>", "<methodCall><methodName>m</methodName>")
        .replace("</methodResponse>", "</methodCall>");
    Call::parse(call.as_bytes()).map(|call| call.arguments)
}

/// The same without what old clients do not know: large numbers are texts, and
/// what XML cannot hold is replaced.
pub fn as_written(value: Value) -> Value {
    match value {
        Value::Int(n) if i32::try_from(n).is_err() => Value::Text(n.to_string()),
        Value::Text(text) => Value::Text(legal(&text)),
        Value::Array(values) => Value::Array(values.into_iter().map(as_written).collect()),
        Value::Struct(members) => Value::Struct(
            members
                .into_iter()
                .map(|(name, value)| (legal(&name), as_written(value)))
                .collect(),
        ),
        other => other,
    }
}

fn legal(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => c,
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            _ => c,
        })
        .collect()
}
