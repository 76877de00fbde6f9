//! Calls, as they come.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rm_core::{Error, Result};

use super::value::Value;
use crate::geni::xml::{Item, Limits, Pull, Tag, short};

/// A call of a method.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Which.
    pub method: String,
    /// With what.
    pub arguments: Vec<Value>,
}

impl Call {
    /// Reads a call.
    ///
    /// # Errors
    ///
    /// Where it is no well-formed call of XML-RPC; the message names the line.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(body)
            .map_err(|_| Error::invalid("the call is not UTF-8").code("malformed-xml"))?;
        let mut pull = Pull::new(text, Limits::USUAL)?;
        let Item::Start(root) = pull.next()? else {
            return Err(pull.wrong("there is no call"));
        };
        if !root.is("", "methodCall") {
            return Err(pull.wrong("the root element is not <methodCall>"));
        }
        let mut method = None;
        let mut arguments = None;
        while let Some(tag) = element(&mut pull)? {
            match tag.local() {
                "methodName" if method.is_none() => method = Some(text_in(&mut pull)?),
                "params" if arguments.is_none() => arguments = Some(params(&mut pull)?),
                other => return Err(unexpected(&pull, other)),
            }
        }
        pull.next()?;
        let method = method.ok_or_else(|| pull.wrong("there is no <methodName>"))?;
        Ok(Self {
            method: method.trim().to_owned(),
            arguments: arguments.unwrap_or_default(),
        })
    }
}

fn params(pull: &mut Pull<'_>) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    while let Some(tag) = element(pull)? {
        if tag.local() != "param" {
            return Err(unexpected(pull, tag.local()));
        }
        found.push(the_value(pull)?);
    }
    Ok(found)
}

/// The one `<value>` that an element consists of.
fn the_value(pull: &mut Pull<'_>) -> Result<Value> {
    let mut found = None;
    while let Some(tag) = element(pull)? {
        if tag.local() != "value" || found.is_some() {
            return Err(unexpected(pull, tag.local()));
        }
        found = Some(value(pull)?);
    }
    found.ok_or_else(|| pull.wrong("there is no <value>"))
}

/// What is in a `<value>`: an element of a type, or a bare text.
fn value(pull: &mut Pull<'_>) -> Result<Value> {
    let mut text = String::new();
    let mut typed = None;
    loop {
        match pull.next()? {
            Item::Text(piece) => text.push_str(&piece),
            Item::Start(tag) if typed.is_none() => typed = Some(of_type(pull, &tag)?),
            Item::Start(tag) => return Err(unexpected(pull, tag.local())),
            Item::Aside => {}
            Item::End | Item::Done => break,
        }
    }
    match typed {
        Some(_) if !text.trim().is_empty() => Err(pull.wrong("there is text beside a value")),
        Some(value) => Ok(value),
        None => Ok(Value::Text(text)),
    }
}

fn of_type(pull: &mut Pull<'_>, tag: &Tag<'_>) -> Result<Value> {
    let wrong = |pull: &Pull<'_>, text: &str| {
        pull.wrong(format!(
            "{:?} is no <{}>",
            short(text.trim()),
            short(tag.local())
        ))
    };
    Ok(match tag.local() {
        "string" | "dateTime.iso8601" => Value::Text(text_in(pull)?),
        "int" | "i4" | "i8" => {
            let text = text_in(pull)?;
            Value::Int(text.trim().parse().map_err(|_| wrong(pull, &text))?)
        }
        "boolean" => {
            let text = text_in(pull)?;
            match text.trim() {
                "1" | "true" => Value::Bool(true),
                "0" | "false" => Value::Bool(false),
                _ => return Err(wrong(pull, &text)),
            }
        }
        "double" => {
            let text = text_in(pull)?;
            // Others read "NaN" and "inf" as numbers, too; there are no such here.
            let number = text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
            Value::Double(number.ok_or_else(|| wrong(pull, &text))?)
        }
        "base64" => {
            let text = text_in(pull)?;
            let bytes: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
            let read = BASE64_STANDARD
                .decode(bytes)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            Value::Text(read.ok_or_else(|| wrong(pull, &text))?)
        }
        "nil" => {
            text_in(pull)?;
            Value::Text(String::new())
        }
        "array" => {
            let mut found = Vec::new();
            while let Some(data) = element(pull)? {
                if data.local() != "data" {
                    return Err(unexpected(pull, data.local()));
                }
                while let Some(tag) = element(pull)? {
                    if tag.local() != "value" {
                        return Err(unexpected(pull, tag.local()));
                    }
                    found.push(value(pull)?);
                }
            }
            Value::Array(found)
        }
        "struct" => {
            let mut found = Vec::new();
            while let Some(tag) = element(pull)? {
                if tag.local() != "member" {
                    return Err(unexpected(pull, tag.local()));
                }
                found.push(member(pull)?);
            }
            Value::Struct(found)
        }
        other => return Err(unexpected(pull, other)),
    })
}

fn member(pull: &mut Pull<'_>) -> Result<(String, Value)> {
    let (mut name, mut found) = (None, None);
    while let Some(tag) = element(pull)? {
        match tag.local() {
            "name" if name.is_none() => name = Some(text_in(pull)?),
            "value" if found.is_none() => found = Some(value(pull)?),
            other => return Err(unexpected(pull, other)),
        }
    }
    match (name, found) {
        (Some(name), Some(value)) => Ok((name, value)),
        _ => Err(pull.wrong("a member has no name or no value")),
    }
}

/// The next element here; `None` where that in which it would be ends.
fn element<'a>(pull: &mut Pull<'a>) -> Result<Option<Tag<'a>>> {
    loop {
        match pull.next()? {
            Item::Start(tag) => return Ok(Some(tag)),
            Item::End | Item::Done => return Ok(None),
            Item::Text(text) if !text.trim().is_empty() => {
                return Err(pull.wrong("there is text where none may be"));
            }
            Item::Text(_) | Item::Aside => {}
        }
    }
}

/// The text of the element that has begun, which holds nothing else.
fn text_in(pull: &mut Pull<'_>) -> Result<String> {
    let mut text = String::new();
    loop {
        match pull.next()? {
            Item::Text(piece) => text.push_str(&piece),
            Item::Start(tag) => return Err(unexpected(pull, tag.local())),
            Item::Aside => {}
            Item::End | Item::Done => return Ok(text),
        }
    }
}

fn unexpected(pull: &Pull<'_>, name: &str) -> Error {
    pull.wrong(format!("<{}> does not belong here", short(name)))
}
