//! GENI's door: what the section of the configuration makes of it.

use std::net::SocketAddr;
use std::sync::Arc;

use rm_adapters::TokioEnv;
use rm_adapters::geni::credentials::{Certificate, Roots};
use rm_adapters::geni::{
    self, Aggregate, Allocating, ClusterSlivers, GeniDoor, GeniSliver, NodeSlivers, Urn,
};
use rm_core::Host;
use rm_core::caller::Tenant;
use rm_core::env::{Env, Timestamp};
use rm_core::registry::Registries;

use super::address;
use super::beside::Beside;
use crate::config::{AllocateName, Config, GeniSection, SliverName};
use crate::failure::{Failure, Result};
use crate::files;

/// Registers what makes slivers of the kinds that the section names.
pub(super) fn register(section: &GeniSection, registries: &mut Registries) -> Result<()> {
    let types = section.slivers.iter().copied();
    let nodes: Arc<dyn GeniSliver> = Arc::new(NodeSlivers::new(types.filter_map(SliverName::node)));
    let clusters = ClusterSlivers::new(section.slivers.contains(&SliverName::Cluster));
    Ok(geni::register_with(
        registries,
        [nodes, Arc::new(clusters)],
    )?)
}

/// Opens the door; it is served from now on.
pub(super) async fn open(
    config: &Config,
    section: &GeniSection,
    host: &Arc<Host>,
    beside: &mut Beside,
) -> Result<()> {
    let (listener, at) = rm_adapters::door::listen(wanted(section)).await?;
    let Opened {
        door,
        roots,
        until,
        urn,
    } = self::door(config, section, Arc::clone(host), at)?;
    let told = address::tell(config, section.address_file.as_deref(), at)?;
    tracing::info!(address = %at, aggregate = %urn, "serving GENI");
    beside.tell(move || numbers(&roots, until));
    let stopped = beside.stopped();
    beside.serve(async move {
        door.serve(listener, stopped).await;
        drop(told);
    });
    Ok(())
}

fn numbers(roots: &Roots, until: Timestamp) -> String {
    let now = TokioEnv::new().now();
    let trusted = roots.now(now).map_or(0, |anchors| anchors.len());
    format!(
        "# HELP rm_geni_trusted_certificates Certificates whom the door of GENI trusts.\n\
         # TYPE rm_geni_trusted_certificates gauge\n\
         rm_geni_trusted_certificates {trusted}\n\
         # HELP rm_geni_certificate_expires_seconds When its own certificate ends, in seconds since 1970.\n\
         # TYPE rm_geni_certificate_expires_seconds gauge\n\
         rm_geni_certificate_expires_seconds {}\n",
        until.millis() / 1000
    )
}

/// Where it is to listen.
pub(super) fn wanted(section: &GeniSection) -> SocketAddr {
    SocketAddr::new(section.address, section.port)
}

/// A door, and what is told of it.
pub(super) struct Opened {
    door: GeniDoor,
    roots: Arc<Roots>,
    until: Timestamp,
    urn: Urn,
}

/// The door of a host that listens at this address.
///
/// # Errors
///
/// Where what the section names cannot be used: which file, and what about it.
pub(super) fn door(
    config: &Config,
    section: &GeniSection,
    host: Arc<Host>,
    at: SocketAddr,
) -> Result<Opened> {
    let file = config.path(&section.certificate);
    let text = std::fs::read_to_string(&file).map_err(|e| {
        Failure::usage(format!("cannot read GENI's certificate {}", file.display()))
            .detail(e.kind().to_string())
            .advice("\"operation-manager geni init DIR\" makes one to try")
    })?;
    let key = files::read_private("the key of GENI's certificate", &config.path(&section.key))?;
    let about = |e: rm_core::Error| {
        let failure = Failure::usage(format!("{}: [geni]: {}", config.file.display(), e.what()));
        failure.advice(e.next().unwrap_or_default())
    };
    let own = Certificate::from_pem(&text).map_err(|_| {
        Failure::usage(format!(
            "there is no certificate in PEM in {}",
            file.display()
        ))
        .advice("[geni] certificate names the door's own, and those above it")
    })?;
    let until = own.iter().map(Certificate::until).min().unwrap_or_default();
    let urn = urn(config, section, own.first())?;
    let usual = Aggregate::new(urn.clone(), base(config, section, at)?);
    let aggregate = Aggregate {
        open_v2: section.open.contains(&2),
        open_v3: section.open.contains(&3),
        allocating: match section.allocate {
            AllocateName::Single => Allocating::Single,
            AllocateName::Disjoint => Allocating::Disjoint,
        },
        single_allocation: section.single_allocation,
        tenant: section.tenant.clone().map_or(usual.tenant.clone(), Tenant),
        ..usual
    };
    let folder = config.path(&section.roots);
    let roots = Arc::new(Roots::new(&folder));
    let trusted = roots.now(TokioEnv::new().now()).map_err(|_| {
        Failure::usage(format!(
            "the folder of those whom GENI's door trusts, {}, cannot be read",
            folder.display()
        ))
        .advice("make it, and put the certificates of your federation's authorities into it")
    })?;
    if trusted.is_empty() {
        tracing::warn!(
            folder = %folder.display(),
            "GENI's door trusts nobody: there is no certificate in its folder"
        );
    }
    let door = GeniDoor::new(host, aggregate, Arc::clone(&roots), &text, &key).map_err(about)?;
    let most = usize::try_from(section.connections).unwrap_or(usize::MAX);
    Ok(Opened {
        door: door.connections(most),
        roots,
        until,
        urn,
    })
}

fn urn(config: &Config, section: &GeniSection, own: Option<&Certificate>) -> Result<Urn> {
    let wrong = |what: &str| {
        Failure::usage(format!("{}: {what}", config.file.display())).advice(
            "say in [geni] urn which authority this is: urn:publicid:IDN+AUTHORITY+authority+am",
        )
    };
    let urn = match &section.urn {
        Some(text) => text
            .parse()
            .map_err(|_| wrong("\"geni.urn\" is no URN of GENI"))?,
        None => own
            .and_then(Certificate::urn)
            .cloned()
            .ok_or_else(|| wrong("GENI's certificate has no URN, and [geni] none either"))?,
    };
    if !urn.kind().eq_ignore_ascii_case("authority") {
        return Err(wrong("the aggregate's URN is not of the type authority"));
    }
    Ok(urn)
}

/// What clients are told to call, without a path.
fn base(config: &Config, section: &GeniSection, at: SocketAddr) -> Result<String> {
    let wrong = |what: &str| {
        Failure::usage(format!("{}: {what}", config.file.display()))
            .advice("say in [geni] url how clients reach it: https://HOST:PORT")
    };
    match &section.url {
        None if at.ip().is_unspecified() => Err(wrong(
            "GENI's door listens on all interfaces, and nobody says how it is reached",
        )),
        None => Ok(format!("https://{at}")),
        Some(url) => {
            let url = url.trim_end_matches('/');
            let host = url.strip_prefix("https://").unwrap_or_default();
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
            match !host.is_empty() && host.bytes().all(plain) {
                true => Ok(url.to_owned()),
                false => Err(wrong("\"geni.url\" is not https://HOST:PORT")),
            }
        }
    }
}
