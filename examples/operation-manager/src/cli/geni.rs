//! The words for a small authority of GENI.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigFile;

#[derive(Debug, Subcommand)]
pub(crate) enum GeniCommand {
    /// Make a small authority to try GENI with
    ///
    /// A root, an authority under it, the aggregate's own certificate, a user
    /// and a slice of the user's, each with what proves it; and the section of
    /// the configuration by which "serve" opens a door for them.
    Init(GeniInit),
    /// Give one more user a certificate and a credential
    User {
        #[command(flatten)]
        of: OfAuthority,
        /// The user's name: a letter, then up to 7 letters, digits, underscores
        name: String,
    },
    /// Give a user a credential for a slice, which is made where there is none
    Slice {
        #[command(flatten)]
        of: OfAuthority,
        /// The slice's name: up to 19 letters, digits, hyphens
        name: String,
        /// Whose it is to be
        #[arg(long, value_name = "NAME")]
        user: String,
    },
    /// Slices that were shut down
    #[command(subcommand)]
    Shut(ShutCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ShutCommand {
    /// Show which they are, by whom and when
    List(ConfigFile),
    /// Open one again: its members can do with it what they could before
    ///
    /// What was stopped stays stopped until one of them starts it.
    Lift {
        #[command(flatten)]
        config: ConfigFile,
        /// Its URN
        slice: String,
    },
}

/// An authority that is there, and how long what it gives out holds.
#[derive(Debug, Args)]
pub(crate) struct OfAuthority {
    /// Where "geni init" has put it
    pub(crate) dir: PathBuf,
    /// So many days it holds, and no longer than the authority
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) days: u32,
}

#[derive(Debug, Args)]
pub(crate) struct GeniInit {
    #[command(flatten)]
    pub(crate) of: OfAuthority,
    /// The authority's name, as it is in all URNs: parts between colons
    #[arg(long, value_name = "NAME", default_value = "testbed")]
    pub(crate) authority: String,
    /// The user's name
    #[arg(long, value_name = "NAME", default_value = "alice")]
    pub(crate) user: String,
    /// The slice's name
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub(crate) slice: String,
    /// How clients reach this machine, by name or address; can be repeated
    #[arg(long, value_name = "HOST", default_values = ["127.0.0.1", "localhost"])]
    pub(crate) host: Vec<String>,
    /// The port to listen on
    #[arg(long, default_value_t = 8301)]
    pub(crate) port: u16,
}
