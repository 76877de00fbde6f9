//! The error bodies of OpenStack: five shapes and some plain text, made into one refusal.

use std::borrow::Cow;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::catalog::Service;
use super::error::{Call, Effect, Refusal};

/// Long enough for Heat's nested reasons, short enough for a log line.
const MAX_MESSAGE: usize = 300;

/// How much of an answer is looked at for a message.
const MAX_INPUT: usize = 16 * 1024;

/// What is longer than this between `<` and `>` is no tag.
const MAX_TAG: usize = 1024;

const LOGIN_HINT: &str = "Keystone gives this one answer whether the user, the password, a domain \
     or the project is wrong, or the user has no role on the project: check all of them";

const TRUST_HINT: &str = "Heat acts for a user through a trust, and Keystone does not let \
     application credentials make trusts: log in with a password, or use an unrestricted \
     application credential on a cloud whose Keystone sets \
     [security_compliance] allow_insecure_application_credential_trust_escalation";

#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    error_type: Option<String>,
    message: Option<String>,
}

/// Makes the refusal out of an answer with an error status.
pub(crate) fn refusal(
    call: Call,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[&str],
    delegated: bool,
) -> Refusal {
    let said = read(body);
    let message = tidy(&scrub(said.message.as_deref().unwrap_or(""), secrets));
    let silent = said.message.is_none();
    Refusal {
        call,
        status,
        effect: effect(call, status, &message),
        hint: hint(call, status, silent, delegated),
        error_type: said
            .error_type
            .map(|name| tidy(&scrub(&name, secrets)))
            .filter(|name| !name.is_empty()),
        message,
        request_id: request_id(headers),
        retry_after: retry_after(headers),
    }
}

fn effect(call: Call, status: u16, message: &str) -> Effect {
    match status {
        // The middleware in front of a service could not have the token checked: the service
        // itself has not seen the request. Any other 503 may come from a proxy that gave up
        // on a request under way.
        503 if message.contains("Keystone service is temporarily unavailable") => Effect::None,
        501 | 505 => Effect::None,
        408 | 500.. => call.doubt(),
        _ => Effect::None,
    }
}

fn hint(call: Call, status: u16, silent: bool, delegated: bool) -> Option<&'static str> {
    match (call.service, status) {
        (Service::Identity, 401) => Some(LOGIN_HINT),
        (Service::Orchestration, 403) if !call.reads && silent && delegated => Some(TRUST_HINT),
        _ => None,
    }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let value = headers
        .get("x-openstack-request-id")
        .or_else(|| headers.get("x-compute-request-id"))?
        .to_str()
        .ok()?;
    Some(tidy(value)).filter(|id| !id.is_empty())
}

/// Only the form in seconds: the form with a date would need both clocks to agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

fn read(body: &[u8]) -> Said {
    if let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(body)
        && let Some(said) = read_object(&object)
    {
        return said;
    }
    let text = String::from_utf8_lossy(body);
    Said {
        error_type: None,
        message: Some(text.into_owned()).filter(|text| !text.trim().is_empty()),
    }
}

fn read_object(object: &serde_json::Map<String, Value>) -> Option<Said> {
    // Heat has a type in it, Keystone and the token middleware have not.
    if let Some(Value::Object(error)) = object.get("error") {
        return Some(Said {
            error_type: text(error, "type").map(|name| match name.strip_suffix("_Remote") {
                Some(plain) => plain.to_owned(),
                None => name,
            }),
            message: text(error, "message"),
        });
    }
    match object.get("NeutronError") {
        Some(Value::Object(error)) => {
            return Some(Said {
                error_type: text(error, "type"),
                message: text(error, "message"),
            });
        }
        Some(Value::String(message)) => {
            return Some(Said {
                error_type: None,
                message: Some(message.clone()),
            });
        }
        _ => {}
    }
    if let Some(Value::Array(errors)) = object.get("errors") {
        let first = errors.first()?.as_object()?;
        return Some(Said {
            error_type: None,
            message: text(first, "detail").or_else(|| text(first, "title")),
        });
    }
    // WebOb in front of Heat: HTML within `message`, and the status in words as `code`.
    if object.contains_key("message") || object.contains_key("title") {
        return Some(Said {
            error_type: None,
            message: text(object, "message").or_else(|| text(object, "title")),
        });
    }
    // Nova names the kind of the error by the one key there is.
    let mut entries = object.iter();
    let (name, inner) = entries.next()?;
    if entries.next().is_none()
        && let Value::Object(inner) = inner
    {
        return Some(Said {
            error_type: Some(name.clone()),
            message: text(inner, "message"),
        });
    }
    None
}

fn text(object: &serde_json::Map<String, Value>, key: &str) -> Option<String> {
    match object.get(key)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// Validation errors quote the request they are about, and with it what must stay secret.
pub(crate) fn scrub<'t>(text: &'t str, secrets: &[&str]) -> Cow<'t, str> {
    let mut text = Cow::Borrowed(text);
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        if text.contains(secret) {
            text = Cow::Owned(text.replace(secret, "***"));
        }
    }
    text
}

/// Makes a server's text fit for a message: no markup, no control characters, one space between
/// words, addresses reduced to scheme and host, at most 300 characters.
pub fn tidy(text: &str) -> String {
    let plain = without_markup(start_of(text, MAX_INPUT));
    let mut words = String::new();
    for word in plain.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(&without_path(start_of(word, 2 * MAX_MESSAGE)));
        if words.len() > 8 * MAX_MESSAGE {
            break;
        }
    }
    match words.char_indices().nth(MAX_MESSAGE) {
        None => words,
        Some((end, _)) => {
            words.truncate(end);
            words.push('…');
            words
        }
    }
}

/// The beginning of a text: what comes later would be cut anyway, and costs time.
fn start_of(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

fn without_markup(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        plain.push_str(before);
        let is_tag =
            tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
        match start_of(tag, MAX_TAG).find('>') {
            Some(end) if is_tag => {
                plain.push(' ');
                rest = &tag[end + 1..];
            }
            _ => {
                plain.push('<');
                rest = &tag[1..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// What follows the host of an address may carry project ids, signatures and tokens; what comes
/// before it, a password.
fn without_path(word: &str) -> Cow<'_, str> {
    let Some(at) = word.find("://") else {
        return Cow::Borrowed(word);
    };
    let (scheme, rest) = word.split_at(at + 3);
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-._:[]@%~!$&*+=".contains(c)))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    if path.is_empty() && host.len() == authority.len() {
        return Cow::Borrowed(word);
    }
    // The rest of the address, up to the quote or bracket that closes it in a sentence.
    let tail = match path.find(['"', '\'', ')', '>', ',', ';']) {
        Some(end) => &path[end..],
        None => "",
    };
    let mark = if path.starts_with(['/', '?', '#']) {
        "/…"
    } else {
        ""
    };
    Cow::Owned(format!("{scheme}{host}{mark}{}", without_path(tail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATE: Call = Call::write(Service::Orchestration, "create stack");

    fn answer(status: u16, body: &str) -> Refusal {
        refusal(
            CREATE,
            status,
            &HeaderMap::new(),
            body.as_bytes(),
            &[],
            true,
        )
    }

    #[test]
    fn five_shapes() {
        let heat = answer(
            409,
            r#"{"code":409,"title":"Conflict","explanation":"x","error":{"type":"StackExists_Remote","traceback":null,"message":"The Stack (a) already exists."}}"#,
        );
        assert_eq!(heat.error_type.as_deref(), Some("StackExists"));
        assert_eq!(heat.message, "The Stack (a) already exists.");
        let keystone = answer(
            401,
            r#"{"error":{"code":401,"message":"who?","title":"U"}}"#,
        );
        assert_eq!(
            (keystone.error_type, keystone.message.as_str()),
            (None, "who?")
        );
        let webob = answer(
            404,
            r#"{"message":"Not there.<br /><br />\n\n\n","code":"404 Not Found","title":"Not Found"}"#,
        );
        assert_eq!(webob.message, "Not there.");
        let nova = answer(404, r#"{"itemNotFound":{"code":404,"message":"no"}}"#);
        assert_eq!(nova.error_type.as_deref(), Some("itemNotFound"));
        assert_eq!(nova.message, "no");
        let neutron = answer(
            404,
            r#"{"NeutronError":{"type":"PortNotFound","message":"no"}}"#,
        );
        assert_eq!(neutron.error_type.as_deref(), Some("PortNotFound"));
        let html = answer(502, "<html><body><h1>Bad\u{7} Gateway</h1></body></html>");
        assert_eq!(html.message, "Bad Gateway");
        assert_eq!(answer(500, "").message, "");
        assert_eq!(answer(500, "[1").message, "[1");
    }

    #[test]
    fn what_became_of_it() {
        for (status, effect) in [
            (400, Effect::None),
            (401, Effect::None),
            (408, Effect::Unknown),
            (409, Effect::None),
            (429, Effect::None),
            (500, Effect::Unknown),
            (501, Effect::None),
            (502, Effect::Unknown),
            (503, Effect::Unknown),
            (504, Effect::Unknown),
        ] {
            assert_eq!(answer(status, "x").effect, effect, "{status}");
        }
        let keystone_away = r#"{"message":"y<br/>The Keystone service is temporarily unavailable.","code":"503","title":"t"}"#;
        assert_eq!(answer(503, keystone_away).effect, Effect::None);
        let reading = Call::read(Service::Orchestration, "list stacks");
        let refusal = refusal(reading, 500, &HeaderMap::new(), b"", &[], false);
        assert_eq!(refusal.effect, Effect::None);
    }

    #[test]
    fn messages_hold_no_secret_and_no_path() {
        let said = refusal(
            CREATE,
            400,
            &HeaderMap::new(),
            br#"{"error":{"message":"On instance: {'password': 'swordfish'}"}}"#,
            &["swordfish"],
            false,
        );
        assert!(!format!("{said} {said:?}").contains("swordfish"));
        assert_eq!(
            tidy("see http://u:p@h:5000/v3/auth?x=1: (gone) \"https://a/b\" http://h:1"),
            "see http://h:5000/… (gone) \"https://a/…\" http://h:1"
        );
        assert_eq!(tidy("1 < 2 and <b>bold</b>"), "1 < 2 and bold");
        assert_eq!(tidy(&"x ".repeat(1000)).chars().count(), 301);
    }

    #[test]
    fn retry_after_in_seconds() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let busy = refusal(CREATE, 429, &headers, b"", &[], false);
        assert_eq!(busy.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(busy.effect, Effect::None);
    }

    #[test]
    fn silent_403_means_a_trust() {
        let silent = r#"{"code":403,"title":"Forbidden","explanation":"Access was denied to this resource.","error":{"type":"Forbidden","traceback":null}}"#;
        assert_eq!(answer(403, silent).hint, Some(TRUST_HINT));
        let spoken = r#"{"error":{"type":"Forbidden","message":"You are not authorized"}}"#;
        assert_eq!(answer(403, spoken).hint, None);
    }

    proptest::proptest! {
        #[test]
        fn any_answer_is_read(status in 400u16..600, body in proptest::collection::vec(0u8.., 0..400)) {
            let read = refusal(CREATE, status, &HeaderMap::new(), &body, &["x"], true);
            assert!(read.message.chars().count() <= MAX_MESSAGE + 1);
        }

        #[test]
        fn any_text_is_tidied(text in "[a-z<>/:@#?\\[\\]\"'%éß \\n\u{1}]{0,200}") {
            let once = tidy(&text);
            assert!(!once.contains(char::is_control));
            for (at, _) in once.match_indices("://") {
                let rest = &once[at + 3..];
                let host = rest.split(['/', ' ', '"', '\'', '?', '#', '<', '>']).next().unwrap();
                assert!(!host.contains('@'), "{once}");
            }
        }
    }
}
