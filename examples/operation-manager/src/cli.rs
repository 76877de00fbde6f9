//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod catalog;
mod cluster;
#[cfg(feature = "geni")]
mod geni;

pub(crate) use catalog::{
    ApplianceCommand, CredentialCommand, ImageCommand, ImplementationCommand, NewCredential,
    NewImage, NewImplementation, NewSite, SecretFrom, SiteCommand,
};
pub(crate) use cluster::{ClusterCommand, Create, Request, ReuseWord, Wait};
#[cfg(feature = "geni")]
pub(crate) use geni::{GeniCommand, GeniInit, OfAuthority, ShutCommand};

/// Gives operations their clusters, wherever these are.
#[derive(Debug, Parser)]
#[command(name = "operation-manager", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How the server is reached, and how answers are printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reach {
    /// The daemon's address
    #[arg(
        long,
        global = true,
        env = "RM_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8300",
        hide_env_values = true
    )]
    pub(crate) server: String,
    /// A file that holds your token
    #[arg(long, global = true, env = "RM_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Print JSON for programs instead of tables for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a first configuration: key, tokens, file
    Init(Init),
    /// Run the daemon
    Serve(Serve),
    /// The configuration: its schema, and whether it is right
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Sites: where resources are
    #[command(subcommand)]
    Site(SiteCommand),
    /// Credentials: by what means sites are used
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Appliances: what operations ask for by name
    #[command(subcommand)]
    Appliance(ApplianceCommand),
    /// Implementations: how an appliance is made at a site
    #[command(subcommand)]
    Implementation(ImplementationCommand),
    /// Images that sites must hold first
    #[command(subcommand)]
    Image(ImageCommand),
    /// Clusters: appliances that run
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// What a request would lead to, without doing it
    Plan(Request),
    /// What has happened, in order
    Events(Events),
    /// What was believed of a cluster when, which step did what, and why
    History(History),
    /// What waits for an operator to decide, of any kind, and the ways out
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// What bears our mark at any site and is no record's; for operators
    Orphans(Orphans),
    /// The store: what to do when it is lost
    #[command(subcommand)]
    Store(StoreCommand),
    /// Tokens by which callers are known
    #[command(subcommand)]
    Token(TokenCommand),
    /// Keys by which credentials are sealed
    #[command(subcommand)]
    Key(KeyCommand),
    /// The backends linked into this program
    #[command(subcommand)]
    Backends(BackendsCommand),
    /// RSpecs, as GENI's experimenters write them
    #[cfg(feature = "geni")]
    #[command(subcommand)]
    Rspec(RspecCommand),
    /// A small authority, to try GENI without joining a federation; slices that were shut down
    #[cfg(feature = "geni")]
    #[command(subcommand)]
    Geni(GeniCommand),
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where to put the files
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// The installation's name, part of the mark on every real thing
    #[arg(long, default_value = "default")]
    pub(crate) installation: String,
    /// The port to listen on
    #[arg(long, default_value_t = 8300)]
    pub(crate) port: u16,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Serve one half; another process serves the other over the same store
    #[arg(long, value_enum)]
    pub(crate) only: Option<Half>,
}

/// The halves of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Half {
    /// Sites, credentials, appliances, implementations, images
    Catalog,
    /// Clusters and the engine
    Resources,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file
    #[arg(long, env = "RM_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the JSON schema, the plugins' sections included
    Schema,
    /// Say whether a configuration is right
    Check(ConfigFile),
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Go on with what happens next
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Begin behind this event
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) after: u64,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// Its id, or its name while it is there
    pub(crate) cluster: String,
    /// What was believed at this moment: 2026-11-22T14:02:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// List what is in quarantine: yours, or everybody's for operators
    List,
    /// Show one resource, in quarantine or not
    Show {
        /// Its id
        resource: String,
    },
    /// Try again what is in quarantine, for operators, or what has failed
    Retry {
        /// Its id
        resource: String,
    },
    /// Take what is at the site for its thing; for operators
    Adopt {
        /// Its id
        resource: String,
        /// How the site names the thing
        #[arg(long = "remote", value_name = "ID")]
        remote: String,
        /// By what it is known to be this one; kept in the history
        #[arg(long)]
        reason: String,
    },
    /// Forget it, whatever is left of it; for operators
    Abandon {
        /// Its id
        resource: String,
        /// Why; kept in the history
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Orphans {
    /// Destroy what is certainly an orphan
    ///
    /// The report comes first. What may still be a record's is never touched.
    #[arg(long)]
    pub(crate) reclaim: bool,
    /// Destroy what this store never heard of, too
    ///
    /// Only where no store was lost: else rebuild it first.
    #[arg(long, requires = "reclaim")]
    pub(crate) unheard: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Make records anew for what bears our mark at the sites
    ///
    /// For a store that was lost. Stop the daemon, and load the catalog anew
    /// first: sites, credentials, appliances, implementations. Without --apply
    /// it only says what it would do.
    Rebuild {
        #[command(flatten)]
        config: ConfigFile,
        /// Write the records
        #[arg(long)]
        apply: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Print a new token, and its SHA-256 for the configuration
    New,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Write a new key into a file that nobody else can read
    New {
        /// The file; it must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Add a new key to the key file and seal every credential with it
    ///
    /// Stop the daemon first: it would go on with the key it knows.
    Rotate {
        #[command(flatten)]
        config: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackendsCommand {
    /// List them
    List,
}

#[cfg(feature = "geni")]
#[derive(Debug, Subcommand)]
pub(crate) enum RspecCommand {
    /// Say what is wrong with them, by line and element
    ///
    /// Nothing that they name is fetched. It is an error where a request would
    /// be refused.
    Lint {
        /// The documents
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Look only into what is to be served by this aggregate
        #[arg(long, value_name = "URN")]
        aggregate: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
