//! What methods are called with.

use rm_core::env::Timestamp;
use rm_core::model::NodeUser;
use rm_core::{Error, Result};

use super::{Urn, Value, Version};
use crate::geni::slice::{About, Ends};

/// A credential as it comes: which type, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Brought {
    /// An SFA credential.
    Sfa(String),
    /// A statement that somebody speaks for somebody.
    Abac(String),
}

impl Brought {
    /// One of which nobody says what it is, as in version 2: it says so itself.
    /// What is wrong about it is found when it is verified as that.
    fn unsaid(text: &str) -> Self {
        let first = text.split_once("<type>");
        let said = first.and_then(|(_, rest)| rest.split_once("</type>"));
        match said.map(|(kind, _)| kind.trim()) {
            Some("abac") => Self::Abac(text.to_owned()),
            _ => Self::Sfa(text.to_owned()),
        }
    }
}

/// How many credentials a call may bring; each is checked until one fits.
const MOST: usize = 16;

/// The credentials that a call brings; those of unknown types are left out, as
/// the API asks. Version 2 knows them as texts, version 3 as structs; both are
/// taken from either.
pub(super) fn credentials(value: Option<&Value>) -> Result<Vec<Brought>> {
    let list = value
        .and_then(Value::as_array)
        .ok_or_else(|| bad("the credentials are no array"))?;
    if list.len() > MOST {
        return Err(bad(format!("more than {MOST} credentials"))
            .advice("bring your own and the one of the slice"));
    }
    let mut brought = Vec::new();
    for one in list {
        match one {
            Value::Text(text) => brought.push(Brought::unsaid(text)),
            Value::Struct(_) => {
                let kind = one.get("geni_type").and_then(Value::as_text);
                // Of a type that nobody here knows, nothing else is looked at.
                let text = || {
                    one.get("geni_value")
                        .and_then(Value::as_text)
                        .map(str::to_owned)
                        .ok_or_else(|| bad("a credential has no geni_value"))
                };
                match kind.map(str::to_ascii_lowercase).as_deref() {
                    Some("geni_sfa") => brought.push(Brought::Sfa(text()?)),
                    Some("geni_abac") => brought.push(Brought::Abac(text()?)),
                    Some(_) => {}
                    None => return Err(bad("a credential has no geni_type")),
                }
            }
            _ => return Err(bad("a credential is neither a text nor a struct")),
        }
    }
    Ok(brought)
}

/// The options of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options<'a>(&'a Value);

impl<'a> Options<'a> {
    pub(super) fn of(value: Option<&'a Value>) -> Result<Self> {
        match value {
            Some(options @ Value::Struct(_)) => Ok(Self(options)),
            _ => Err(bad("the options are no struct")),
        }
    }

    /// A flag, false where it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        self.0.get(name).map_or(Ok(false), |value| {
            value
                .as_flag()
                .ok_or_else(|| bad(format!("{name} is neither true nor false")))
        })
    }

    /// A text, absent where it is empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(&**text).filter(|t| !t.is_empty())),
            Some(_) => Err(bad(format!("{name} is no text"))),
        }
    }

    /// A number of things, absent where nothing is said.
    pub(super) fn count(&self, name: &str, most: u64) -> Result<Option<u32>> {
        let read = |value: &Value| match value {
            Value::Int(n) => u32::try_from(*n).ok(),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let value = self.0.get(name);
        let read = |value: &Value| read(value).filter(|n| u64::from(*n) <= most);
        let wrong = || {
            bad(format!("{name} is no such number of things"))
                .advice(format!("write a number from 0 to {most}"))
        };
        value.map(|value| read(value).ok_or_else(wrong)).transpose()
    }

    /// Any value.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    /// A time to come.
    pub(super) fn time(&self, name: &str, now: Timestamp) -> Result<Option<Timestamp>> {
        let text = self.text(name)?;
        text.map(|text| Ends::read(now, name, text)).transpose()
    }

    /// Refuses to answer in another version of RSpec than there is.
    pub(super) fn rspec_version(&self) -> Result<()> {
        let missing = |what: &str| {
            bad(format!("{what} is missing"))
                .advice("send geni_rspec_version: {type: \"GENI\", version: \"3\"}")
        };
        let asked = self
            .0
            .get("geni_rspec_version")
            .ok_or_else(|| missing("geni_rspec_version"))?;
        let kind = asked.get("type").ok_or_else(|| missing("its type"))?;
        let version = asked.get("version").ok_or_else(|| missing("its version"))?;
        let known = kind
            .as_text()
            .is_some_and(|k| k.trim().eq_ignore_ascii_case("geni"))
            && version.as_text().is_some_and(|v| v.trim() == "3");
        if known {
            Ok(())
        } else {
            Err(bad("that type or version of RSpec is not spoken here")
                .code("bad-version")
                .advice("ask for type \"GENI\", version \"3\", both as texts"))
        }
    }
}

/// A text that a method takes.
pub(super) fn text<'a>(value: Option<&'a Value>, what: &str) -> Result<&'a str> {
    value
        .and_then(Value::as_text)
        .ok_or_else(|| bad(format!("the {what} is no text")))
}

/// The name of a slice.
pub(super) fn slice_urn(value: Option<&Value>) -> Result<Urn> {
    let urn: Urn = text(value, "slice's URN")?.parse()?;
    if urn.is_slice() {
        return Ok(urn);
    }
    Err(bad(format!("{urn} is no slice"))
        .advice("name a slice: type slice, 1 to 19 letters, digits and hyphens, no hyphen first"))
}

/// How many slivers a call may name.
const NAMED: usize = 20_000;

/// Either one slice or slivers, at least one.
pub(super) fn about(value: Option<&Value>) -> Result<About> {
    let list = value
        .and_then(Value::as_array)
        .ok_or_else(|| bad("the URNs are no array"))?;
    if list.is_empty() || list.len() > NAMED {
        return Err(bad("there is no URN, or there are too many")
            .advice("name one slice, or slivers of one slice"));
    }
    let mut urns = Vec::with_capacity(list.len());
    for one in list {
        urns.push(text(Some(one), "URN")?.parse::<Urn>()?);
    }
    let is = |urn: &Urn, kind: &str| urn.kind().eq_ignore_ascii_case(kind);
    if let [slice] = &urns[..]
        && is(slice, "slice")
    {
        return Ok(About::Slice(slice_urn(list.first())?));
    }
    match urns.iter().find(|urn| !is(urn, "sliver")) {
        None => Ok(About::Slivers(urns)),
        Some(other) => Err(bad(format!("{other} is no sliver"))
            .advice("name one slice, or slivers of one slice, and nothing else")),
    }
}

/// How many users may be brought.
const USERS: usize = 1000;

/// How long their keys may be together: every sliver gets a copy.
const KEYS: usize = 64 << 10;

/// How long one may be: no host takes a longer one.
const KEY: usize = 16 << 10;

/// Who can log in: the accounts are called after the names in the URNs.
pub(super) fn users(value: Option<&Value>) -> Result<Vec<NodeUser>> {
    let list = match value {
        None => return Ok(Vec::new()),
        Some(value) => value
            .as_array()
            .ok_or_else(|| bad("the users are no array"))?,
    };
    if list.len() > USERS {
        return Err(bad(format!("more than {USERS} users")));
    }
    let mut users: Vec<NodeUser> = Vec::new();
    let mut bytes = 0;
    for one in list {
        let urn: Urn = text(one.get("urn"), "user's URN")?.parse()?;
        let keys = match one.get("keys") {
            None => &[][..],
            Some(keys) => keys
                .as_array()
                .ok_or_else(|| bad("the keys of a user are no array"))?,
        };
        let mut ssh_keys = Vec::with_capacity(keys.len());
        for key in keys {
            let key = text(Some(key), "key")?.trim();
            if !key.contains(' ') || key.contains(|c: char| c.is_control()) {
                return Err(bad(format!("a key of {urn} is no public key of ssh"))
                    .advice("send one line as in authorized_keys"));
            }
            if key.len() > KEY {
                return Err(
                    bad(format!("a key of {urn} is longer than {} KiB", KEY >> 10))
                        .advice("send a key of RSA, ECDSA or Ed25519"),
                );
            }
            bytes += key.len();
            if bytes > KEYS {
                return Err(
                    bad(format!("the keys of all users have more than {KEYS} bytes"))
                        .advice("send the keys that are needed to log in, and no others"),
                );
            }
            ssh_keys.push(key.to_owned());
        }
        let name = account(urn.name());
        match users.iter_mut().find(|user| user.name == name) {
            Some(user) => user.ssh_keys.extend(ssh_keys),
            None => users.push(NodeUser { name, ssh_keys }),
        }
    }
    Ok(users)
}

/// What an account can be called after a name in a URN.
fn account(name: &str) -> String {
    let good = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(*c);
    let mut account: String = name
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .filter(good)
        .skip_while(|c| !c.is_ascii_lowercase())
        .take(32)
        .collect();
    if account.is_empty() {
        "user".clone_into(&mut account);
    }
    account
}

/// A wrong argument.
pub(super) fn bad(what: impl Into<String>) -> Error {
    Error::invalid(what).code("bad-arguments")
}

/// Refuses an option that a version does not have.
pub(super) fn only_in(version: Version, wanted: Version, what: &str) -> Result<()> {
    if version == wanted {
        Ok(())
    } else {
        Err(bad(format!(
            "{what} is no option of version {}",
            version.number()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_called_after_its_user_as_far_as_accounts_can() {
        for (name, called) in [
            ("alice", "alice"),
            ("Alice.B", "aliceb"),
            ("4you", "you"),
            ("42", "user"),
            ("a%20b", "a20b"),
        ] {
            assert_eq!(account(name), called);
        }
        assert_eq!(account(&"x".repeat(100)).len(), 32);
    }

    #[test]
    fn keys_of_users_who_share_an_account_are_all_there() {
        let user = |name: &str, key: &str| {
            Value::of([
                (
                    "urn",
                    Value::text(format!("urn:publicid:IDN+lab+user+{name}")),
                ),
                ("keys", Value::Array(vec![Value::text(key)])),
            ])
        };
        let both = Value::Array(vec![
            user("alice", "ssh-rsa A"),
            user("Alice", "ssh-rsa B\n"),
        ]);
        let users = users(Some(&both)).unwrap();
        assert_eq!(users.len(), 1);
        assert_eq!(users[0].ssh_keys, ["ssh-rsa A", "ssh-rsa B"]);
    }
}
