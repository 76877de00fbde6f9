//! The JSON schema of the configuration: what `config schema` prints, and what
//! a file is checked against before anything reads it.

use serde_json::{Map, Value, json};

use crate::plugins;

/// The whole schema, the plugins' sections included.
pub(crate) fn schema() -> Value {
    let mut sections = own();
    for plugin in plugins::linked() {
        let info = plugin.info();
        let mut section = plugin.schema();
        if let Some(section) = section.as_object_mut() {
            section.entry("type").or_insert_with(|| json!("object"));
            section
                .entry("description")
                .or_insert_with(|| json!(format!("The plugin {:?}.", info.name)));
            section
                .entry("additionalProperties")
                .or_insert_with(|| json!(false));
        }
        sections.insert(info.name.to_owned(), section);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of operation-manager",
        "type": "object",
        "additionalProperties": false,
        "properties": sections,
    })
}

pub(super) fn section(description: &str, properties: &Value) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn duration(description: &str) -> Value {
    json!({
        "description": description,
        "type": "string",
        "examples": ["90s", "15m", "2h", "1d"],
    })
}

fn often(description: &str) -> Value {
    json!({
        "description": format!("{description} Or \"never\"."),
        "type": "string",
        "examples": ["1h", "never"],
    })
}

fn limit(description: &str) -> Value {
    json!({
        "description": format!("{description} A number, or \"unlimited\"."),
        "type": ["integer", "string"],
        "minimum": 0,
    })
}

fn own() -> Map<String, Value> {
    let mut sections = Map::new();
    let mut add = |name: &str, value: Value| {
        sections.insert(name.to_owned(), value);
    };
    add(
        "listen",
        section(
            "Where the daemon listens.",
            &json!({
                "address": {"type": "string", "default": "127.0.0.1", "description": "The address of an interface of this machine."},
                "port": {"type": "integer", "minimum": 0, "maximum": 65535, "default": 8300, "description": "0 takes a free one."},
                "address_file": {"type": "string", "description": "A file that gets the address that was taken, as soon as the daemon answers there."},
            }),
        ),
    );
    add(
        "store",
        section(
            "Where everything durable is kept.",
            &json!({
                "path": {"type": "string", "default": "operation-manager.db", "description": "A file on a local disk, or \"memory\"."},
            }),
        ),
    );
    add(
        "key",
        section(
            "Where the key comes from by which credentials are sealed at rest: one of the three.",
            &json!({
                "file": {"type": "string", "description": "A file that only the daemon's user can read."},
                "env": {"type": "string", "description": "The name of a variable that holds it."},
                "command": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "A program and its arguments; it prints the key."},
            }),
        ),
    );
    add(
        "installation",
        section(
            "Who this installation is.",
            &json!({
                "name": {"type": "string", "default": "default", "description": "Part of the mark on every real thing: unique among those that share an account, and never changed while resources exist."},
            }),
        ),
    );
    add("tokens", tokens());
    add("policy", policy());
    add(
        "agent",
        section(
            "The program on a cluster's master that makes accounts (POST /new_account/).",
            &json!({
                "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 80, "description": "Where it listens."},
                "timeout": duration("How long it may take; 15s where absent."),
            }),
        ),
    );
    add(
        "callbacks",
        section(
            "Whom events are brought to: addresses that tenants ask for.",
            &json!({
                "allow": {"type": "array", "items": {"type": "string", "examples": ["10.0.0.0/8"]}, "default": [], "description": "Networks that are not public (this machine, private ones, links) and may be called all the same."},
            }),
        ),
    );
    add(
        "lambdalink",
        section(
            "The routes of the original LambdaLink services.",
            &json!({
                "interservice_file": {"type": "string", "description": "A file that nobody else can read, with the secret by which services sign for whom they speak (Dibbs-Interservice); at least 32 characters. Such tokens are not accepted where absent."},
            }),
        ),
    );
    #[cfg(feature = "geni")]
    add("geni", super::geni::schema());
    add(
        "log",
        section(
            "What is written to standard error.",
            &json!({
                "level": {"type": "string", "default": "info", "description": "error, warn, info, debug or trace; or a list such as \"warn,rm_core=debug\"."},
                "format": {"type": "string", "enum": ["text", "json"], "default": "text"},
            }),
        ),
    );
    sections
}

fn tokens() -> Value {
    let mut entry = section(
        "Somebody who may call. The token is given by its digest, by a file or by a variable.",
        &json!({
            "user": {"type": "string", "description": "Unique in the installation."},
            "tenant": {"type": "string", "description": "For whom; the user's own where absent."},
            "roles": {"type": "array", "items": {"type": "string", "enum": ["user", "operator"]}, "default": ["user"], "description": "An operator loads the catalog; a user owns resources."},
            "token_sha256": {"type": "string", "description": "The SHA-256 of the token, in hexadecimal; \"token new\" prints both."},
            "token_file": {"type": "string", "description": "A file that holds the token and that nobody else can read."},
            "token_env": {"type": "string", "description": "The name of a variable that holds the token."},
        }),
    );
    entry["required"] = json!(["user"]);
    json!({
        "description": "Who may call.",
        "type": "array",
        "items": entry,
    })
}

fn policy() -> Value {
    let mut quotas = json!({
        "clusters": limit("Clusters at once, per tenant."),
        "nodes": limit("Nodes at once over all clusters, per tenant."),
        "longest_lease": duration("The longest lease that can be asked for."),
    });
    let tenant = section("What one tenant may have.", &quotas);
    if let (Some(quotas), Value::Object(more)) = (
        quotas.as_object_mut(),
        json!({
            "default_lease": duration("The lease of a cluster for which none was asked."),
            "sweep": duration("How often a settled cluster is looked at."),
            "claim": duration("How long one engine's claim on a piece of work lasts."),
            "slowest_look": duration("The longest pause between looks at what is under way."),
            "destroy_tries": {"type": "integer", "minimum": 1, "maximum": 4_294_967_295_u32, "description": "How often a delete that fails is tried before a person must decide."},
            "in_hand": {"type": "integer", "minimum": 1, "maximum": 4_294_967_295_u32, "description": "How many resources one engine works on at once for which somebody waits; half as many settled ones are looked at beside them."},
            "keep_events": duration("How long events are kept: those of a cluster for so long after it is gone; 30d where absent, 4d at the least."),
            "callbacks": {"type": "integer", "minimum": 0, "default": 20, "description": "Callbacks at once, per tenant."},
            "repair": {"type": "string", "enum": ["never", "recreate", "restore"], "default": "never", "description": "What is done about what worked and is not as it was at its site, and not by our doing: nothing; what is gone is made again; or that, and what was stopped is started and what was changed is changed back."},
            "orphan_scan": often("How often all sites are searched for orphans; 1h where absent."),
            "reclaim_orphans_after": often("Destroys what has been an orphan for so long; never where absent."),
            "tenants": {"type": "object", "additionalProperties": tenant, "description": "What single tenants may have, by their names."},
        }),
    ) {
        quotas.extend(more);
    }
    section("Quotas, leases, paces.", &quotas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sections;

    fn keys(of: &Value) -> Vec<String> {
        of.as_object().unwrap().keys().cloned().collect()
    }

    // serde knows the fields of a struct: an unknown one makes it tell them.
    fn fields<T: serde::de::DeserializeOwned>() -> Vec<String> {
        let refusal = toml::from_str::<T>("there_is_no_such_key = 1")
            .err()
            .unwrap()
            .message()
            .to_owned();
        refusal
            .split('`')
            .skip(3)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn schema_and_structs_know_the_same_keys() {
        use crate::config::sections as s;
        let schema = own();
        let of = |section: &str| {
            let mut keys = keys(&schema[section]["properties"]);
            keys.sort();
            keys
        };
        let sorted = |mut v: Vec<String>| {
            v.sort();
            v
        };
        let mut all: Vec<String> = schema.keys().cloned().collect();
        all.sort();
        assert_eq!(all, sorted(fields::<Sections>()));
        assert_eq!(of("listen"), sorted(fields::<s::ListenSection>()));
        assert_eq!(of("key"), sorted(fields::<rm_store::KeySource>()));
        assert_eq!(of("policy"), sorted(fields::<s::PolicySection>()));
        assert_eq!(of("agent"), sorted(fields::<s::AgentSection>()));
        assert_eq!(of("callbacks"), sorted(fields::<s::CallbacksSection>()));
        assert_eq!(of("lambdalink"), sorted(fields::<s::LambdaLinkSection>()));
        assert_eq!(of("log"), sorted(fields::<s::LogSection>()));
        #[cfg(feature = "geni")]
        assert_eq!(of("geni"), sorted(fields::<crate::config::GeniSection>()));
        let tenant = &schema["policy"]["properties"]["tenants"]["additionalProperties"];
        assert_eq!(
            sorted(keys(&tenant["properties"])),
            sorted(fields::<s::TenantSection>())
        );
        assert_eq!(
            sorted(keys(&schema["tokens"]["items"]["properties"])),
            sorted(fields::<s::TokenSection>())
        );
    }
}
