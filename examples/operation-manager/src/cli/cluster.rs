//! The words for clusters.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Get a cluster of an appliance: one that is there, or a new one
    Create(Create),
    /// List your clusters
    List {
        /// Everybody's, for operators
        #[arg(long)]
        all: bool,
    },
    /// Show one cluster
    Show {
        /// Its id, or its name where only one has it
        cluster: String,
    },
    /// Give a cluster another size
    #[command(allow_negative_numbers = true)]
    Resize {
        /// Its id or name
        cluster: String,
        /// So many slaves; +1 and -1 are that many more or fewer
        #[arg(value_name = "N|+N|-N", allow_hyphen_values = true)]
        slaves: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Give your hold another end
    Renew {
        /// Its id or name
        cluster: String,
        /// From now on: 90s, 15m, 2h, 1d
        #[arg(long, value_parser = duration::parse)]
        lease: Option<Duration>,
        /// Which of your holds, where you have several
        #[arg(long, value_name = "ID")]
        hold: Option<String>,
    },
    /// Give up your hold; the last one to go destroys the cluster
    Delete {
        /// Its id or name
        cluster: String,
        /// Which of your holds, where you have several
        #[arg(long, value_name = "ID", conflicts_with = "all_holds")]
        hold: Option<String>,
        /// Every hold of yours
        #[arg(long)]
        all_holds: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// What has happened to a cluster
    Events {
        /// Its id or name
        cluster: String,
        /// Go on with what happens next
        #[arg(long, short)]
        follow: bool,
    },
    /// Let another user see and use your cluster
    Share {
        /// Its id or name
        cluster: String,
        /// The user
        #[arg(long)]
        user: String,
    },
    /// Take that back
    Unshare {
        /// Its id or name
        cluster: String,
        /// The user
        #[arg(long)]
        user: String,
    },
    /// Try again what failed, and wait for it
    ///
    /// What is no cluster is tried again by "quarantine retry".
    Retry {
        /// Its id or name
        cluster: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Take what is at the site for the thing of a cluster in quarantine; for
    /// operators
    ///
    /// As "quarantine adopt", which waits for nothing and is for any kind.
    Adopt {
        /// Its id or name
        cluster: String,
        /// How the site names the thing
        #[arg(long = "remote", value_name = "ID")]
        remote: String,
        /// By what it is known to be this one; kept in the history
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Forget a cluster in quarantine, whatever is left of it; for operators
    ///
    /// As "quarantine abandon", which is for any kind.
    Abandon {
        /// Its id or name
        cluster: String,
        /// Why; kept in the history
        #[arg(long)]
        reason: String,
    },
    /// The hosts of a cluster
    Hosts {
        /// Its id or name
        cluster: String,
    },
    /// What the implementation gives out
    Outputs {
        /// Its id or name
        cluster: String,
    },
    /// An account on a cluster; asks its agent for one where there is none
    Account {
        /// Its id or name
        cluster: String,
        /// Show the password, which is hidden in tables
        #[arg(long)]
        reveal: bool,
    },
}

/// What is wanted of a cluster.
#[derive(Debug, Args)]
pub(crate) struct Request {
    /// The appliance's name
    pub(crate) appliance: String,
    /// How many hosts beside the master
    #[arg(long, value_name = "N")]
    pub(crate) slaves: Option<u32>,
    /// A name for people
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Only at this site; may be repeated
    #[arg(long = "site", value_name = "SITE")]
    pub(crate) sites: Vec<String>,
    /// The credential to use
    #[arg(long)]
    pub(crate) credential: Option<String>,
    /// A revision of the implementation; the newest enabled one where absent
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<u32>,
    /// A parameter for the implementation; may be repeated
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) parameters: Vec<(String, Value)>,
    /// How long it is needed: 90s, 15m, 2h, 1d
    #[arg(long, value_parser = duration::parse)]
    pub(crate) lease: Option<Duration>,
    /// Whether a cluster of yours that is there may be used
    #[arg(long, value_enum, default_value_t = ReuseWord::Match)]
    pub(crate) reuse: ReuseWord,
    /// Let a cluster that is reused and too small grow
    #[arg(long)]
    pub(crate) grow: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ReuseWord {
    /// One of the same appliance, revision and site
    Match,
    /// Always a new one
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    pub(crate) request: Request,
    /// A key by which a repeated request is recognised
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// Whether to wait, and how long.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wait {
    /// Return as soon as the request is written down
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Wait at most so long
    #[arg(long, value_parser = duration::parse, default_value = "30m")]
    pub(crate) timeout: Duration,
}

/// `key=value`; the value is JSON where it reads as JSON, else text.
pub(super) fn pair(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((
            key.to_owned(),
            serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned())),
        )),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_where_it_reads_as_json() {
        assert_eq!(pair("n=3"), Ok(("n".to_owned(), Value::from(3))));
        assert_eq!(pair("k=a=b"), Ok(("k".to_owned(), Value::from("a=b"))));
        assert!(pair("=3").is_err());
        assert!(pair("n").is_err());
    }
}
