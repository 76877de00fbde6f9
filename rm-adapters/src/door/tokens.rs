//! Who is calling: a table of tokens, of which only digests are kept.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::{constant_time, digest};
use rm_core::caller::Directory;
use rm_core::name::check_name;
use rm_core::{Caller, Error, ErrorKind, Result, Role, Tenant};
use serde::Deserialize;

/// One line of the table, as a configuration has it.
///
/// ```
/// # use rm_adapters::door::{TokenEntry, Tokens};
/// let entry: TokenEntry = serde_json::from_value(serde_json::json!({
///     "sha256": Tokens::digest("correct horse"),
///     "user": "ann", "tenant": "physics", "roles": ["user"],
/// })).unwrap();
/// let tokens = Tokens::new([entry]).unwrap();
/// assert_eq!(tokens.caller("correct horse").unwrap().user, "ann");
/// assert!(tokens.caller("wrong horse").is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// SHA-256 of the token, in hexadecimal.
    pub sha256: String,
    /// Whose it is.
    pub user: String,
    /// For whom; the user where absent.
    #[serde(default)]
    pub tenant: Option<String>,
    /// What its bearer may do.
    #[serde(default = "owner")]
    pub roles: BTreeSet<Role>,
}

fn owner() -> BTreeSet<Role> {
    BTreeSet::from([Role::User])
}

/// The tokens that the door accepts.
#[derive(Clone, Default)]
pub struct Tokens(Vec<([u8; 32], Arc<Caller>)>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(_, who)| &who.user))
            .finish()
    }
}

impl Tokens {
    /// The tokens of a configuration.
    ///
    /// # Errors
    ///
    /// [`rm_core::ErrorKind::Invalid`] for what is no digest, a user without
    /// name or roles, or a token of two users; the message names the user.
    pub fn new(entries: impl IntoIterator<Item = TokenEntry>) -> Result<Self> {
        let mut tokens = Self::default();
        for entry in entries {
            let user = entry.user.clone();
            let digest = unhex(&entry.sha256).ok_or_else(|| {
                Error::invalid(format!("the token of {user:?} is not a SHA-256 digest"))
                    .advice("64 hexadecimal digits, as sha256sum prints them")
            })?;
            let caller = Caller {
                tenant: Tenant(entry.tenant.unwrap_or_else(|| user.clone())),
                user,
                roles: entry.roles,
            };
            tokens.add(digest, caller)?;
        }
        Ok(tokens)
    }

    /// One token more, for tests and programs that make their own.
    pub fn with(mut self, token: &str, who: Caller) -> Result<Self> {
        self.add(sha256(token), who)?;
        Ok(self)
    }

    fn add(&mut self, digest: [u8; 32], who: Caller) -> Result<()> {
        let wrong = |what: &str| Error::invalid(format!("the token of {:?} {what}", who.user));
        for (what, name) in [("user", &who.user), ("tenant", &who.tenant.0)] {
            check_name(what, name).map_err(|e| {
                wrong(&format!("is of no use: {}", e.what())).advice(e.next().unwrap_or_default())
            })?;
        }
        if who.roles.is_empty() {
            return Err(wrong("has no roles").advice("roles are: operator, user"));
        }
        if let Some((_, other)) = self.0.iter().find(|(known, _)| *known == digest) {
            return Err(wrong(&format!("is that of {:?}, too", other.user)));
        }
        self.0.push((digest, Arc::new(who)));
        Ok(())
    }

    /// Whose token it is. Every digest is compared, each in constant time.
    pub fn caller(&self, token: &str) -> Option<Arc<Caller>> {
        let given = sha256(token);
        let mut found = None;
        for (known, who) in &self.0 {
            if constant_time::verify_slices_are_equal(known, &given).is_ok() {
                found = Some(Arc::clone(who));
            }
        }
        found
    }

    /// Who the user of this name is: for services that speak for users.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthenticated`] where no token is the user's, or several
    /// are that do not say the same.
    pub fn user(&self, name: &str) -> Result<Arc<Caller>> {
        let stranger = |what: &str| {
            Err(Error::new(ErrorKind::Unauthenticated, what)
                .advice("an operator can give the user one token, or several of one meaning"))
        };
        let mut known = self.0.iter().map(|(_, who)| who).filter(|w| w.user == name);
        let Some(first) = known.next() else {
            return stranger("the user for whom this service speaks is not known");
        };
        if known.any(|other| other != first) {
            return stranger(
                "the user for whom this service speaks has tokens of several tenants or roles",
            );
        }
        Ok(Arc::clone(first))
    }

    /// What a configuration keeps of a token.
    pub fn digest(token: &str) -> String {
        hex(&sha256(token))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Who has a token is known.
#[async_trait]
impl Directory for Tokens {
    async fn has_user(&self, user: &str) -> Result<bool> {
        Ok(self.0.iter().any(|(_, who)| who.user == user))
    }

    async fn has_tenant(&self, tenant: &Tenant) -> Result<bool> {
        Ok(self.0.iter().any(|(_, who)| who.tenant == *tenant))
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    out
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; 32];
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(token: &str, user: &str) -> TokenEntry {
        TokenEntry {
            sha256: Tokens::digest(token),
            user: user.to_owned(),
            tenant: None,
            roles: owner(),
        }
    }

    #[test]
    fn a_table_that_would_surprise_is_refused() {
        let two = Tokens::new([entry("t", "ann"), entry("t", "bob")]);
        assert!(two.unwrap_err().what().contains("\"ann\""));
        assert!(Tokens::new([entry("t", "")]).is_err());
        assert!(Tokens::new([entry("t", "a/b")]).is_err());
        let mut bad = entry("t", "ann");
        bad.sha256 = "t".to_owned();
        assert!(Tokens::new([bad]).is_err());
        let mut powerless = entry("t", "ann");
        powerless.roles.clear();
        assert!(Tokens::new([powerless]).is_err());
    }

    #[test]
    fn a_user_is_known_by_name_where_all_tokens_say_the_same() {
        let mut of_another_tenant = entry("t3", "bob");
        of_another_tenant.tenant = Some("physics".to_owned());
        let tokens = Tokens::new([
            entry("t1", "ann"),
            entry("t2", "ann"),
            entry("t4", "bob"),
            of_another_tenant,
        ])
        .unwrap();
        assert_eq!(tokens.user("ann").unwrap().user, "ann");
        for unknown in ["bob", "cat", ""] {
            let e = tokens.user(unknown).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Unauthenticated, "{unknown}");
        }
    }

    #[test]
    fn neither_tokens_nor_digests_are_printed() {
        let tokens = Tokens::new([entry("hunter2", "ann")]).unwrap();
        let printed = format!("{tokens:?}");
        assert_eq!(printed, "[\"ann\"]");
        assert!(tokens.caller("").is_none());
    }
}
