//! Keys by which credentials are sealed at rest.

use std::path::Path;

use rm_adapters::Parts;
use rm_core::Caller;
use rm_store::{KeySource, generate_key};
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::ConfigFile;
use crate::config;
use crate::failure::{Failure, Result};
use crate::files;
use crate::output::{Output, cell};
use crate::serve;

/// Writes a new key. It is never printed.
pub(super) fn new(file: &Path, out: Output) -> Result<()> {
    let key = generate_key()?;
    files::create_private(file, &format!("{}\n", key.expose()))?;
    let made = json!({"key": file});
    out.show(&made, |made| {
        format!(
            "a key is in {}; keep a copy in a safe place",
            cell(&made["key"])
        )
    })
}

/// Seals every credential and every account with a new key.
///
/// A key file gets the new key as its first line; the older ones stay, for
/// they open older copies of the store. Where the key comes from a variable or
/// a command, its owner has put the new one there first.
pub(super) async fn rotate(file: ConfigFile, out: Output) -> Result<()> {
    let config = config::load(config::find(file.config)?, std::env::vars())?;
    if config.sections.store.is_memory() {
        return Err(Failure::usage("a store in memory seals nothing"));
    }
    let added = match config.key() {
        Some(KeySource::File(path)) => {
            let older = files::read_private("the key", &path)?;
            let key = generate_key()?;
            let both = Zeroizing::new(format!("{}\n{}\n", key.expose(), older.as_str()));
            files::replace_private(&path, &both)?;
            true
        }
        _ => false,
    };
    let host = serve::host(&config, Parts::ALL, None)?;
    let who = Caller::operator("operation-manager", "operation-manager");
    let credentials = host.catalog().reseal(&who).await?;
    let accounts = host.accounts().reseal(&who).await?;
    let done = json!({"credentials": credentials, "accounts": accounts, "key_added": added});
    out.show(&done, |_| {
        let key = if added {
            "a new key is the first in the key file, and "
        } else {
            ""
        };
        format!(
            "{key}{credentials} credentials and {accounts} accounts are sealed anew; older keys are only needed for older copies of the store"
        )
    })
}
