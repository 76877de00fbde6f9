//! Tokens by which the original's services call each other on behalf of a
//! user: a JSON Web Token in the header `Dibbs-Interservice`, signed with
//! HMAC-SHA-256 by a secret that all services share.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::http::HeaderName;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rm_core::env::Timestamp;
use rm_core::secret::Secret;
use rm_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::door::SignedHeader;

/// The original's services make tokens that are good for 30 s; a clock may be
/// wrong by this much.
const LEEWAY: f64 = 10.0;

/// What lives longer is a password and no token between services.
const LONGEST: f64 = 300.0;

/// The longest token that is read.
const MOST: usize = 4096;

/// What HMAC-SHA-256 needs at least to be as strong as its digest is long.
const LEAST_SECRET: usize = 32;

/// Verifies these tokens.
///
/// ```
/// # use rm_adapters::lambdalink::Interservice;
/// # use rm_core::secret::Secret;
/// assert!(Interservice::new(&Secret::new("a secret of at least 32 characters")).is_ok());
/// assert!(Interservice::new(&Secret::new("too short")).is_err());
/// ```
#[derive(Clone)]
pub struct Interservice {
    key: Arc<hmac::Key>,
    header: HeaderName,
}

impl fmt::Debug for Interservice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interservice")
    }
}

/// The part of a token that says how it is signed.
#[derive(Deserialize)]
struct Head {
    alg: String,
    #[serde(default)]
    crit: Option<Value>,
}

/// The part that says who is meant, until when. Times are seconds.
#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "dibbs-user")]
    user: String,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
}

impl Interservice {
    /// Believes what was signed with this secret.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a secret that is too short to be one.
    pub fn new(secret: &Secret) -> Result<Self> {
        let secret = secret.expose().as_bytes();
        if secret.len() < LEAST_SECRET {
            return Err(Error::invalid(
                "the secret between services is too short to sign anything",
            )
            .advice(format!(
                "it needs at least {LEAST_SECRET} bytes, the same at all services"
            )));
        }
        Ok(Self {
            key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)),
            header: HeaderName::from_static("dibbs-interservice"),
        })
    }

    /// For whom the token speaks, or why it is not believed. Nothing of it is
    /// looked at before its signature is right.
    fn verify(&self, token: &str, now: Timestamp) -> Result<String, &'static str> {
        const NONE: &str = "it is no JSON Web Token";
        if token.len() > MOST {
            return Err(NONE);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(NONE)?;
        let (head, claims) = signed.split_once('.').ok_or(NONE)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| NONE)?;
        hmac::verify(&self.key, signed.as_bytes(), &signature)
            .map_err(|_| "its signature is not that of a service of ours")?;
        let head: Head = part(head).ok_or(NONE)?;
        if head.alg != "HS256" || head.crit.is_some() {
            return Err("it is not signed by HS256");
        }
        let claims: Claims = part(claims).ok_or("it lacks dibbs-user or exp")?;
        #[allow(
            clippy::cast_precision_loss,
            reason = "milliseconds fit for 285,000 years"
        )]
        let now = now.millis() as f64 / 1000.0;
        if claims.exp + LEEWAY <= now || claims.nbf.is_some_and(|nbf| nbf > now + LEEWAY) {
            return Err("it has expired, or is not valid yet");
        }
        if claims.exp > now + LONGEST {
            return Err("it would be valid for too long");
        }
        Ok(claims.user)
    }
}

impl SignedHeader for Interservice {
    fn header(&self) -> &HeaderName {
        &self.header
    }

    fn user(&self, value: &str, now: Timestamp) -> Result<String> {
        self.verify(value.trim(), now).map_err(|why| {
            Error::new(
                ErrorKind::Unauthenticated,
                format!("the token between services is refused: {why}"),
            )
            .advice("make a new one; compare the secrets and the clocks of the two services")
        })
    }
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SECRET: &str = "correct horse battery staple of services";
    const NOW: Timestamp = Timestamp::from_millis(1_500_000_000_000);

    fn part_of(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn signed(head: &Value, claims: &Value, secret: &str) -> String {
        let text = format!("{}.{}", part_of(head), part_of(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    fn verify(token: &str) -> Result<String, &'static str> {
        Interservice::new(&Secret::new(SECRET))
            .unwrap()
            .verify(token, NOW)
    }

    fn claims() -> Value {
        json!({"dibbs-user": "ann", "iat": 1_500_000_000, "exp": 1_500_000_030})
    }

    #[test]
    fn a_token_of_a_service_speaks_for_its_user() {
        let head = json!({"typ": "JWT", "alg": "HS256"});
        assert_eq!(
            verify(&signed(&head, &claims(), SECRET)).as_deref(),
            Ok("ann")
        );
        // Clocks differ, and some write fractions.
        let late = json!({"dibbs-user": "ann", "exp": 1_499_999_990.5});
        assert!(verify(&signed(&head, &late, SECRET)).is_ok());
    }

    /// Made with another program:
    /// `openssl dgst -sha256 -hmac SECRET -binary`.
    #[test]
    fn a_token_made_by_others_is_understood() {
        let token = concat!(
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
            ".eyJkaWJicy11c2VyIjoiYW5uIiwiaWF0IjoxNTAwMDAwMDAwLCJleHAiOjE1MDAwMDAwMzB9",
            ".UCy1Qq98TJlxfPX5WH0p6ymbslRIWesuKFT5ecpWZew"
        );
        assert_eq!(verify(token).as_deref(), Ok("ann"));
    }

    #[test]
    fn what_is_not_signed_by_the_secret_is_refused() {
        let head = json!({"alg": "HS256"});
        let good = signed(&head, &claims(), SECRET);
        let (text, signature) = good.rsplit_once('.').unwrap();
        let other = part_of(&json!({"dibbs-user": "root", "exp": 1_500_000_030}));
        let none = json!({"alg": "none"});
        for forged in [
            signed(&head, &claims(), "another secret of enough characters"),
            format!("{}.{other}.{signature}", part_of(&head)),
            format!("{}.{}.{signature}", part_of(&none), part_of(&claims())),
            // Without a signature, as `none` would have it.
            format!("{}.{}.", part_of(&none), part_of(&claims())),
            format!("{text}."),
            text.to_owned(),
            format!("{good}="),
            String::new(),
            "..".to_owned(),
            format!("{good}{}", "x".repeat(MOST)),
        ] {
            assert!(verify(&forged).is_err(), "{forged}");
        }
        // Signed by the secret, and by another rule than ours.
        for head in [
            json!({"alg": "none"}),
            json!({"alg": "HS512"}),
            json!({"alg": "HS256", "crit": ["exp"]}),
            json!({}),
        ] {
            assert!(verify(&signed(&head, &claims(), SECRET)).is_err(), "{head}");
        }
    }

    #[test]
    fn a_token_is_good_for_its_time_only() {
        let head = json!({"alg": "HS256"});
        for claims in [
            json!({"dibbs-user": "ann", "exp": 1_499_999_990}),
            json!({"dibbs-user": "ann", "exp": 1_500_086_400}),
            json!({"dibbs-user": "ann", "exp": 1_500_000_030, "nbf": 1_500_000_011}),
            json!({"dibbs-user": "ann"}),
            json!({"dibbs-user": "ann", "exp": "1500000030"}),
            json!({"exp": 1_500_000_030}),
        ] {
            assert!(verify(&signed(&head, &claims, SECRET)).is_err(), "{claims}");
        }
    }

    #[test]
    fn neither_secret_nor_token_is_told() {
        let interservice = Interservice::new(&Secret::new(SECRET)).unwrap();
        let forged = signed(
            &json!({"alg": "HS256"}),
            &claims(),
            "another secret, longer than 32",
        );
        let refusal = interservice.user(&forged, NOW).unwrap_err();
        let told = format!("{interservice:?} {refusal:?} {refusal}");
        assert!(
            !told.contains("horse") && !told.contains(&forged[..20]),
            "{told}"
        );
    }
}
