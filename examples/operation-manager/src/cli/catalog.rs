//! The words for the catalog.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum SiteCommand {
    /// Add a site
    Add(NewSite),
    /// List the sites
    List,
    /// Show one site
    Show {
        /// Its name or id
        site: String,
    },
    /// Remove a site that nothing uses
    Remove {
        /// Its name or id
        site: String,
    },
    /// Make a site and a credential of each cloud in a clouds.yaml
    ImportClouds {
        /// The file; a secure.yaml beside it is read too
        file: PathBuf,
        /// Only this cloud; may be repeated
        #[arg(long, value_name = "NAME")]
        cloud: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewSite {
    /// A unique name
    pub(crate) name: String,
    /// Which API it speaks: openstack, ...
    #[arg(long, default_value = "openstack")]
    pub(crate) api: String,
    /// Its address; for OpenStack that of Keystone v3
    #[arg(long)]
    pub(crate) url: String,
    /// The region, where it has several
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// public, internal or admin
    #[arg(long)]
    pub(crate) interface: Option<String>,
    /// A value for a parameter for which a request says nothing; may be repeated
    #[arg(long = "default", value_name = "KEY=VALUE", value_parser = super::cluster::pair)]
    pub(crate) defaults: Vec<(String, serde_json::Value)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialCommand {
    /// Add a credential for a site
    Add(NewCredential),
    /// List your credentials, without their secrets
    List,
    /// Give a credential another secret
    Rotate {
        /// Its name or id
        credential: String,
        #[command(flatten)]
        secret: SecretFrom,
    },
    /// Remove a credential by which nothing is held
    Remove {
        /// Its name or id
        credential: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewCredential {
    /// A name, unique within the tenant
    pub(crate) name: String,
    /// For which site
    #[arg(long)]
    pub(crate) site: String,
    /// Whose; your own where absent
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// For which tenant; your own where absent
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    #[command(flatten)]
    pub(crate) secret: SecretFrom,
}

/// Where a secret comes from; never from the command line, which others see.
#[derive(Debug, Args)]
pub(crate) struct SecretFrom {
    /// A file with the secret as a JSON object; "-" is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) secret_file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApplianceCommand {
    /// Add an appliance
    Add(NewAppliance),
    /// List the appliances
    List,
    /// Show one appliance
    Show {
        /// Its name or id
        appliance: String,
    },
    /// Remove an appliance that has no implementation
    Remove {
        /// Its name or id
        appliance: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewAppliance {
    /// A unique name
    pub(crate) name: String,
    /// For people
    #[arg(long, default_value = "")]
    pub(crate) description: String,
    /// A TCP port of the master that must answer before a cluster is ready
    #[arg(long, value_name = "PORT")]
    pub(crate) ready_port: Option<u16>,
    /// An image that a site must hold first; may be repeated
    #[arg(long = "image", value_name = "NAME")]
    pub(crate) images: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImplementationCommand {
    /// Add an implementation as the newest revision
    Add(NewImplementation),
    /// List the implementations
    List,
    /// Show one implementation, its body included
    Show {
        /// Its id
        implementation: String,
    },
    /// Let new clusters be made by it
    Enable {
        /// Its id
        implementation: String,
    },
    /// Let no new cluster be made by it
    Disable {
        /// Its id
        implementation: String,
    },
    /// Remove an implementation that no cluster was made by
    Remove {
        /// Its id
        implementation: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewImplementation {
    /// Of which appliance
    pub(crate) appliance: String,
    /// The file with its body: a Heat template, ...
    pub(crate) file: PathBuf,
    /// For this site only
    #[arg(long, conflicts_with = "site_type")]
    pub(crate) site: Option<String>,
    /// For all sites of this type; openstack where neither is said
    #[arg(long, value_name = "API")]
    pub(crate) site_type: Option<String>,
    /// What the body is; that of a Heat template where absent
    #[arg(long, value_name = "TYPE")]
    pub(crate) media_type: Option<String>,
    /// A script for a moment of the life cycle: a template takes it as its
    /// parameter script_ACTION, or scripts; a node runs it when it first boots;
    /// may be repeated
    #[arg(long = "script", value_name = "ACTION=FILE")]
    pub(crate) scripts: Vec<String>,
    /// What the software expects: a template takes it as its parameter
    /// environment, a node's commands and scripts as variables; may be repeated
    #[arg(long = "environment", value_name = "KEY=VALUE", value_parser = super::cluster::pair)]
    pub(crate) environment: Vec<(String, serde_json::Value)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Add an image; its SHA-256 is computed here
    Add(NewImage),
    /// List the images
    List,
    /// Remove an image that no appliance names and that no site has a copy of
    Remove {
        /// Its name or id
        image: String,
    },
    /// List the copies of an image that were brought to sites
    Copies {
        /// The image's name or id
        image: String,
    },
    /// Remove a copy that no cluster needs from its site
    DropCopy {
        /// The image's name or id
        image: String,
        /// The copy's id
        copy: String,
        /// Forget one that would not go, whatever is left of it at the site
        #[arg(long, value_name = "REASON")]
        abandon: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewImage {
    /// A unique name
    pub(crate) name: String,
    /// The file; the daemon must be able to read it at the same path, or at
    /// that of --source
    pub(crate) file: PathBuf,
    /// Where sites' uploads are read from: file:/path, http://... or https://...
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// raw, qcow2, ...; told by the file's first bytes where absent
    #[arg(long, value_name = "FORMAT")]
    pub(crate) disk_format: Option<String>,
}
