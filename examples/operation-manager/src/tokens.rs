//! Tokens: made here, told once, kept as digests.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use rm_adapters::Tokens;
use rm_adapters::door::TokenEntry;
use serde_json::json;
use zeroize::Zeroizing;

use crate::config::{Config, TokenSection};
use crate::failure::{Failure, Result};
use crate::files;
use crate::output::{Output, cell};

/// A new token: 256 random bits behind a prefix by which scanners of leaked
/// secrets know it.
pub(crate) fn generate() -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    SystemRandom::new()
        .fill(&mut *bytes)
        .map_err(|_| Failure::refused("this machine gives no randomness"))?;
    Ok(Zeroizing::new(format!("rm_{}", hex(&*bytes))))
}

/// `token new`: the only time a token is told.
pub(crate) fn new(out: Output) -> Result<()> {
    let token = generate()?;
    let made = json!({"token": token.as_str(), "sha256": Tokens::digest(&token)});
    out.show(&made, |made| {
        format!(
            "token   {}\nsha256  {}\n\nGive the token to its user; put the digest into the configuration:\n\n[[tokens]]\nuser = \"NAME\"\nroles = [\"user\"]\ntoken_sha256 = \"{}\"\n",
            cell(&made["token"]),
            cell(&made["sha256"]),
            cell(&made["sha256"])
        )
    })
}

/// The table of a configuration.
pub(crate) fn table(config: &Config) -> Result<Tokens> {
    let sections = &config.sections.tokens;
    if sections.is_empty() {
        return Err(Failure::usage("nobody could call: there is no token")
            .advice("make one with \"operation-manager token new\" and put it into [[tokens]]"));
    }
    let entries: Vec<TokenEntry> = sections
        .iter()
        .map(|section| entry(config, section))
        .collect::<Result<_>>()?;
    Tokens::new(entries).map_err(|e| {
        let failure = Failure::usage(e.what());
        match e.next() {
            Some(advice) => failure.advice(advice),
            None => failure,
        }
    })
}

fn entry(config: &Config, section: &TokenSection) -> Result<TokenEntry> {
    let what = format!("the token of {:?}", section.user);
    let sha256 = match (
        &section.token_sha256,
        &section.token_file,
        &section.token_env,
    ) {
        (Some(digest), None, None) => digest.clone(),
        (None, Some(file), None) => {
            Tokens::digest(&files::read_private(&what, &config.path(file))?)
        }
        (None, None, Some(name)) => {
            let token = Zeroizing::new(std::env::var(name).unwrap_or_default());
            if token.trim().is_empty() {
                return Err(Failure::usage(format!("{what} is missing"))
                    .detail(format!("the variable {name} is not set")));
            }
            Tokens::digest(token.trim())
        }
        _ => {
            return Err(Failure::usage(format!(
                "{what} needs one of token_sha256, token_file and token_env"
            )));
        }
    };
    Ok(TokenEntry {
        sha256,
        user: section.user.clone(),
        tenant: section.tenant.clone(),
        roles: section.roles.iter().copied().collect(),
    })
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (a, b) = (generate().unwrap(), generate().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.len(), 3 + 64);
        assert_eq!(hex(&[0, 15, 255]), "000fff");
    }
}
