//! What the words of the command line do.

use std::process::ExitCode;

use crate::cli::{
    BackendsCommand, Cli, Command, ConfigCommand, KeyCommand, StoreCommand, TokenCommand,
};
use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::output::{self, Output};
use crate::{serve, tokens};

mod appliance;
mod backends;
mod cloud;
mod cluster;
mod config;
mod credential;
mod events;
#[cfg(feature = "geni")]
mod geni;
mod history;
mod image;
mod implementation;
mod init;
mod key;
mod orphans;
mod progress;
mod quarantine;
mod request;
#[cfg(feature = "geni")]
mod rspec;
#[cfg(feature = "geni")]
mod shut;
mod site;
mod store;
mod wait;

/// Does what was asked and answers the exit code.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let json = cli.reach.json;
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            tell(&failure, json);
            ExitCode::from(failure.code())
        }
    }
}

fn tell(failure: &Failure, json: bool) {
    if json {
        output::note(&failure.json().to_string());
    } else {
        output::note(&format!("error: {failure}"));
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    let out = Output {
        json: cli.reach.json,
    };
    match cli.command {
        Command::Serve(serve) => return serve::serve(serve),
        Command::Init(init) => init::init(&init, out)?,
        Command::Config(ConfigCommand::Schema) => config::schema()?,
        Command::Config(ConfigCommand::Check(file)) => config::check(file, out)?,
        Command::Token(TokenCommand::New) => tokens::new(out)?,
        Command::Key(KeyCommand::New { out: file }) => key::new(&file, out)?,
        Command::Key(KeyCommand::Rotate { config }) => {
            runtime()?.block_on(key::rotate(config, out))?;
        }
        Command::Backends(BackendsCommand::List) => backends::list(out)?,
        #[cfg(feature = "geni")]
        Command::Rspec(command) => return rspec::run(&command, out),
        #[cfg(feature = "geni")]
        Command::Geni(crate::cli::GeniCommand::Shut(command)) => {
            runtime()?.block_on(shut::run(command, out))?;
        }
        #[cfg(feature = "geni")]
        Command::Geni(command) => geni::run(&command, out)?,
        Command::Store(StoreCommand::Rebuild { config, apply }) => {
            return runtime()?.block_on(store::rebuild(config, apply, out));
        }
        Command::Orphans(orphans) => {
            let client = Client::new(&cli.reach)?;
            return runtime()?.block_on(orphans::run(&client, out, &orphans));
        }
        remote => {
            let client = Client::new(&cli.reach)?;
            runtime()?.block_on(call(&client, out, remote))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn call(client: &Client, out: Output, command: Command) -> Result<()> {
    match command {
        Command::Site(command) => site::run(client, out, command).await,
        Command::Credential(command) => credential::run(client, out, command).await,
        Command::Appliance(command) => appliance::run(client, out, command).await,
        Command::Implementation(command) => implementation::run(client, out, command).await,
        Command::Image(command) => image::run(client, out, command).await,
        Command::Cluster(command) => cluster::run(client, out, command).await,
        Command::Plan(request) => request::plan(client, out, &request).await,
        Command::Events(events) => events::all(client, out, &events).await,
        Command::Quarantine(command) => quarantine::run(client, out, command).await,
        Command::History(history) => history::show(client, out, &history).await,
        _ => Ok(()),
    }
}

// One thread is enough for a client.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::refused("cannot begin to work").detail(e.kind().to_string()))
}
