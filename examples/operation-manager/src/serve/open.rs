//! Puts the host together as the configuration says.

use std::sync::Arc;

use rm_adapters::agent::{Agent, HttpAgent};
use rm_adapters::lambdalink::{self, Interservice, LambdaLinkOptions};
use rm_adapters::rest::{self, RestOptions};
use rm_adapters::{Parts, TokioEnv};
use rm_core::Host;
use rm_core::calls::WatchCalls;
use rm_core::env::Env;
use rm_core::secret::{Sealer, Secret};
use rm_store::{AeadSealer, SqliteStore};

#[cfg(feature = "geni")]
use super::geni;
use super::log;
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::{files, plugins, tokens};

/// A host over the store of the configuration, with every plugin linked.
pub(crate) fn host(
    config: &Config,
    parts: Parts,
    calls: Option<Arc<dyn WatchCalls>>,
) -> Result<Host> {
    let env: Arc<dyn Env> = Arc::new(TokioEnv::new());
    let sections = &config.sections;
    let mut builder = Host::builder(Arc::clone(&env))
        .policy(sections.policy.policy())
        .installation(sections.installation.name.as_str());
    if let Some(calls) = calls {
        builder = builder.watch_calls(calls);
    }
    plugins::install(config, builder.registries())?;
    let agent: Arc<dyn Agent> = Arc::new(HttpAgent {
        port: sections.agent.port,
        timeout: sections.agent.timeout.0,
    });
    let options = RestOptions {
        agent: Some(Arc::clone(&agent)),
    };
    rest::register(builder.registries(), parts, options)?;
    let options = LambdaLinkOptions {
        agent: Some(agent),
        interservice: interservice(config)?,
        ..LambdaLinkOptions::default()
    };
    lambdalink::register(builder.registries(), parts, options)?;
    #[cfg(feature = "geni")]
    if let (Some(section), true) = (&sections.geni, parts.resources) {
        geni::register(section, builder.registries())?;
    }
    builder = builder.directory(Arc::new(tokens::table(config)?));
    if let Some(sealer) = sealer(config)? {
        builder = builder.sealer(Arc::new(sealer) as Arc<dyn Sealer>);
    }
    if !sections.store.is_memory() {
        let store = SqliteStore::open(config.path(&sections.store.path), env)?;
        builder = builder.store(Arc::new(store));
    }
    Ok(builder.build()?)
}

/// What `serve` would refuse, without touching the store.
pub(crate) fn check(config: &Config) -> Result<()> {
    log::filter(config)?;
    tokens::table(config)?;
    sealer(config)?;
    interservice(config)?;
    let mut builder = Host::builder(Arc::new(TokioEnv::new()))
        .installation(config.sections.installation.name.as_str());
    plugins::install(config, builder.registries())?;
    let _host = builder.build()?;
    #[cfg(feature = "geni")]
    if let Some(section) = &config.sections.geni {
        geni::door(config, section, Arc::new(_host), geni::wanted(section))?;
    }
    Ok(())
}

/// What verifies tokens between services, where they are accepted.
fn interservice(config: &Config) -> Result<Option<Interservice>> {
    let Some(file) = &config.sections.lambdalink.interservice_file else {
        return Ok(None);
    };
    let secret = files::read_private("the secret between services", &config.path(file))?;
    let verifies = Interservice::new(&Secret::new(secret.as_str()));
    let wrong = |e: rm_core::Error| {
        Failure::usage(format!("{}: {}", config.file.display(), e.what()))
            .advice(e.next().unwrap_or_default())
    };
    verifies.map(Some).map_err(wrong)
}

/// What seals credentials; nothing, for a store in memory without a key.
fn sealer(config: &Config) -> Result<Option<AeadSealer>> {
    match config.key() {
        Some(source) => AeadSealer::from_source(&source).map(Some).map_err(|e| {
            let failure = Failure::usage(e.what());
            match e.next() {
                Some(advice) => failure.advice(advice),
                None => failure,
            }
        }),
        None if config.sections.store.is_memory() => Ok(None),
        None => Err(Failure::usage(format!(
            "{}: a store on disk needs a key that seals its credentials",
            config.file.display()
        ))
        .advice(
            "make one with \"operation-manager key new --out FILE\" and name it in [key] as file",
        )),
    }
}
