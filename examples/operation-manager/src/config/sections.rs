//! The host's own sections, typed. Their schema is in `schema.rs`; a test
//! keeps the two together.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use rm_adapters::networks::Network;
use rm_core::caller::Role;
use rm_core::policy::{Policy, Quota, Repair};
use rm_store::KeySource;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::duration;

/// Everything but the plugins' sections.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sections {
    pub(crate) listen: ListenSection,
    pub(crate) store: StoreSection,
    pub(crate) key: Option<KeySource>,
    pub(crate) installation: InstallationSection,
    pub(crate) tokens: Vec<TokenSection>,
    pub(crate) policy: PolicySection,
    pub(crate) agent: AgentSection,
    pub(crate) callbacks: CallbacksSection,
    pub(crate) lambdalink: LambdaLinkSection,
    #[cfg(feature = "geni")]
    pub(crate) geni: Option<super::GeniSection>,
    pub(crate) log: LogSection,
}

/// Where the daemon listens.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListenSection {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) address_file: Option<PathBuf>,
}

impl Default for ListenSection {
    fn default() -> Self {
        Self {
            address: IpAddr::from([127, 0, 0, 1]),
            port: 8300,
            address_file: None,
        }
    }
}

/// Where everything durable is kept.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreSection {
    /// A file, or `memory`.
    pub(crate) path: PathBuf,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            path: PathBuf::from("operation-manager.db"),
        }
    }
}

impl StoreSection {
    /// Whether nothing is kept.
    pub(crate) fn is_memory(&self) -> bool {
        self.path.as_os_str() == "memory"
    }
}

/// Who this installation is.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct InstallationSection {
    pub(crate) name: String,
}

impl Default for InstallationSection {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
        }
    }
}

/// Somebody who may call. The token itself never stands here.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenSection {
    pub(crate) user: String,
    /// The user's own where absent.
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    #[serde(default = "user_role")]
    pub(crate) roles: Vec<Role>,
    #[serde(default)]
    pub(crate) token_sha256: Option<String>,
    #[serde(default)]
    pub(crate) token_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) token_env: Option<String>,
}

fn user_role() -> Vec<Role> {
    vec![Role::User]
}

/// Quotas, leases, paces.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PolicySection {
    pub(crate) clusters: Option<Limit>,
    pub(crate) nodes: Option<Limit>,
    pub(crate) longest_lease: Option<Span>,
    pub(crate) default_lease: Option<Span>,
    pub(crate) sweep: Option<Span>,
    pub(crate) claim: Option<Span>,
    pub(crate) slowest_look: Option<Span>,
    pub(crate) destroy_tries: Option<u32>,
    pub(crate) in_hand: Option<u32>,
    pub(crate) keep_events: Option<Span>,
    pub(crate) callbacks: Option<u64>,
    pub(crate) repair: Option<Repair>,
    pub(crate) orphan_scan: Option<Often>,
    pub(crate) reclaim_orphans_after: Option<Often>,
    pub(crate) tenants: BTreeMap<String, TenantSection>,
}

/// What one tenant may have; where nothing is said, what all may have.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TenantSection {
    pub(crate) clusters: Option<Limit>,
    pub(crate) nodes: Option<Limit>,
    pub(crate) longest_lease: Option<Span>,
}

/// A number, or `unlimited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Limit {
    AtMost(u64),
    Unlimited,
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(u64),
            Word(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Number(n) => Ok(Self::AtMost(n)),
            Raw::Word(word) if word == "unlimited" => Ok(Self::Unlimited),
            Raw::Word(_) => Err(de::Error::custom("write a number, or \"unlimited\"")),
        }
    }
}

impl Limit {
    fn or(this: Option<Self>, otherwise: Option<u64>) -> Option<u64> {
        match this {
            None => otherwise,
            Some(Self::AtMost(n)) => Some(n),
            Some(Self::Unlimited) => None,
        }
    }
}

/// A duration as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}s", self.0.as_secs()))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The text is not repeated: it may be something in the wrong place.
        let span = duration::parse(&text)
            .map_err(|_| de::Error::custom("a duration is written 90s, 15m, 2h, 1d or 1h30m"))?;
        if span.is_zero() {
            return Err(de::Error::custom("0 s is too short"));
        }
        Ok(Self(span))
    }
}

/// A duration, or `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Often {
    Every(Span),
    Never,
}

impl Serialize for Often {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Every(span) => span.serialize(serializer),
            Self::Never => serializer.serialize_str("never"),
        }
    }
}

impl<'de> Deserialize<'de> for Often {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "never" {
            return Ok(Self::Never);
        }
        Span::deserialize(de::value::StringDeserializer::new(text)).map(Self::Every)
    }
}

impl Often {
    fn or(this: Option<Self>, otherwise: Option<Duration>) -> Option<Duration> {
        match this {
            None => otherwise,
            Some(Self::Every(span)) => Some(span.0),
            Some(Self::Never) => None,
        }
    }
}

impl PolicySection {
    /// As core wants it.
    pub(crate) fn policy(&self) -> Policy {
        let usual = Policy::default();
        let seconds = |span: Option<Span>| span.map(|s| s.0.as_secs());
        let quota = Quota {
            clusters: Limit::or(self.clusters, usual.quota.clusters),
            nodes: Limit::or(self.nodes, usual.quota.nodes),
            lease_seconds: seconds(self.longest_lease).or(usual.quota.lease_seconds),
        };
        let tenants = self.tenants.iter().map(|(name, own)| {
            let own = Quota {
                clusters: Limit::or(own.clusters, quota.clusters),
                nodes: Limit::or(own.nodes, quota.nodes),
                lease_seconds: seconds(own.longest_lease).or(quota.lease_seconds),
            };
            (name.clone(), own)
        });
        Policy {
            tenants: tenants.collect(),
            quota,
            default_lease: self.default_lease.map(|s| s.0),
            sweep: self.sweep.map_or(usual.sweep, |s| s.0),
            slowest_look: self.slowest_look.map_or(usual.slowest_look, |s| s.0),
            destroy_tries: self.destroy_tries.unwrap_or(usual.destroy_tries),
            lease: self.claim.map_or(usual.lease, |s| s.0),
            in_hand: self.in_hand.unwrap_or(usual.in_hand),
            keep_events: self.keep_events.map_or(usual.keep_events, |s| s.0),
            callbacks: self.callbacks.unwrap_or(usual.callbacks),
            repair: self.repair.unwrap_or(usual.repair),
            orphan_scan: Often::or(self.orphan_scan, usual.orphan_scan),
            reclaim_orphans_after: Often::or(
                self.reclaim_orphans_after,
                usual.reclaim_orphans_after,
            ),
            ..usual
        }
    }
}

/// The program on a cluster's master that makes accounts.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AgentSection {
    pub(crate) port: u16,
    pub(crate) timeout: Span,
}

impl Default for AgentSection {
    fn default() -> Self {
        Self {
            port: 80,
            timeout: Span(Duration::from_secs(15)),
        }
    }
}

/// Whom events are brought to.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CallbacksSection {
    pub(crate) allow: Vec<Network>,
}

/// The routes of the original LambdaLink services.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LambdaLinkSection {
    /// Holds the secret that the services share.
    pub(crate) interservice_file: Option<PathBuf>,
}

/// What is written to standard error.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogSection {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_what_all_have_unless_its_own_section_says_otherwise() {
        let section: PolicySection = toml::from_str(
            "clusters = 5\nlongest_lease = \"1d\"\n[tenants.big]\nclusters = \"unlimited\"\n",
        )
        .unwrap();
        let policy = section.policy();
        assert_eq!(policy.quota.clusters, Some(5));
        assert_eq!(policy.tenants["big"].clusters, None);
        assert_eq!(policy.tenants["big"].nodes, policy.quota.nodes);
        assert_eq!(policy.tenants["big"].lease_seconds, Some(86_400));
    }

    #[test]
    fn orphans_are_searched_for_as_often_as_is_said_or_never() {
        let read = |text: &str| toml::from_str::<PolicySection>(text).unwrap().policy();
        let usual = read("");
        assert_eq!(usual.orphan_scan, Some(Duration::from_secs(3600)));
        assert_eq!(usual.reclaim_orphans_after, None);
        assert_eq!(usual.repair, Repair::Never);
        let other =
            read("orphan_scan = \"never\"\nreclaim_orphans_after = \"2d\"\nrepair = \"recreate\"");
        assert_eq!(other.orphan_scan, None);
        let two_days = Duration::from_secs(2 * 24 * 3600);
        assert_eq!(other.reclaim_orphans_after, Some(two_days));
        assert_eq!(other.repair, Repair::Recreate);
        assert_eq!(read("repair = \"restore\"").repair, Repair::Restore);
        assert!(toml::from_str::<PolicySection>("orphan_scan = \"0s\"").is_err());
    }
}
