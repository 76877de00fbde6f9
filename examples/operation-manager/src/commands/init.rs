//! A first configuration: everything that `serve` needs, and nothing that is
//! there is overwritten.

use std::path::{Path, PathBuf};

use rm_adapters::Tokens;
use serde_json::{Value, json};

use crate::cli::Init;
use crate::config;
use crate::failure::{Failure, Result};
use crate::files;
use crate::output::{Output, cell};
use crate::tokens;

const CONFIG: &str = "operation-manager.toml";
const KEY: &str = "sealing.key";
const OPERATOR: &str = "operator.token";
const USER: &str = "user.token";
const STORE: &str = "operation-manager.db";

/// Makes it.
pub(super) fn init(init: &Init, out: Output) -> Result<()> {
    let dir = std::path::absolute(&init.dir)
        .map_err(|e| Failure::usage("that is no directory").detail(e.kind().to_string()))?;
    // All or nothing: look before the first file is made.
    for name in [CONFIG, KEY, OPERATOR, USER, STORE] {
        if std::fs::symlink_metadata(dir.join(name)).is_ok() {
            return Err(Failure::refused(format!(
                "{} exists, and nothing is overwritten",
                dir.join(name).display()
            ))
            .advice("choose another directory with --dir, or move the old files away"));
        }
    }
    std::fs::create_dir_all(&dir).map_err(|e| {
        Failure::refused(format!("cannot make {}", dir.display())).detail(e.kind().to_string())
    })?;
    let operator = tokens::generate()?;
    let user = tokens::generate()?;
    let text = configuration(init, &Tokens::digest(&operator), &Tokens::digest(&user));
    let key = rm_store::generate_key()?;
    files::create_private(&dir.join(KEY), &format!("{}\n", key.expose()))?;
    files::create_private(&dir.join(OPERATOR), &format!("{}\n", operator.as_str()))?;
    files::create_private(&dir.join(USER), &format!("{}\n", user.as_str()))?;
    files::create_public(&dir.join(CONFIG), &text)?;
    // What was written is read as it will be read.
    config::load(dir.join(CONFIG), std::iter::empty())?;
    let made = json!({
        "config": dir.join(CONFIG),
        "key": dir.join(KEY),
        "operator_token": dir.join(OPERATOR),
        "user_token": dir.join(USER),
        "server": format!("http://127.0.0.1:{}", init.port),
    });
    out.show(&made, |made| told(&dir, made))
}

fn configuration(init: &Init, operator: &str, user: &str) -> String {
    // A JSON string of printable text is a TOML string, too.
    let installation = Value::from(init.installation.as_str());
    format!(
        "# The configuration of operation-manager. \"operation-manager config schema\"
# prints every key there is. Paths are relative to this file. A variable such
# as RM_STORE__PATH counts more than store.path here.

[installation]
# Part of the mark on every real thing: unique among the installations that
# share an account, and never changed while clusters exist.
name = {installation}

[listen]
address = \"127.0.0.1\"
port = {port}

[store]
path = \"{STORE}\"

[key]
# Seals credentials at rest. Without this file they cannot be read again: keep
# a copy, apart from the store's.
file = \"{KEY}\"

[log]
level = \"info\"
format = \"text\"

[policy]
clusters = 1000
nodes = 10000

# Who may call. Only digests are kept here; \"operation-manager token new\"
# makes more.
[[tokens]]
user = \"operator\"
roles = [\"operator\", \"user\"]
token_sha256 = \"{operator}\"

[[tokens]]
user = \"user\"
roles = [\"user\"]
token_sha256 = \"{user}\"
",
        port = init.port,
    )
}

fn told(dir: &Path, made: &Value) -> String {
    let quoted = |path: PathBuf| {
        let text = path.display().to_string();
        match text.contains(char::is_whitespace) {
            true => format!("'{text}'"),
            false => text,
        }
    };
    format!(
        "Made in {dir}:

  {CONFIG}  the configuration
  {KEY}             seals credentials at rest; keep a copy in a safe place
  {OPERATOR}          the token of \"operator\", who loads the catalog
  {USER}              the token of \"user\", who owns clusters

Next:

  operation-manager serve --config {config} &
  export RM_SERVER={server}
  export RM_TOKEN_FILE={operator}
  operation-manager site import-clouds clouds.yaml
  operation-manager appliance add NAME
  operation-manager implementation add NAME template.yaml
  operation-manager cluster create NAME --slaves 3
",
        dir = dir.display(),
        config = quoted(dir.join(CONFIG)),
        operator = quoted(dir.join(OPERATOR)),
        server = cell(&made["server"]),
    )
}
