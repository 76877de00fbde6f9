//! YAML from people and from outside, within limits.

use serde::de::DeserializeOwned;
use serde_saphyr::options::{AliasLimits, NonFiniteFloatPolicy};

/// Where a text stops being acceptable YAML. Its words never quote the text, which may hold
/// passwords.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not readable as YAML at line {line}, column {column}")]
pub(crate) struct YamlError {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// Reads one document. Depth, nodes and the expansion of aliases are bounded, so that a small
/// text cannot become a large value.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    let mut limits = AliasLimits::default();
    limits.max_total_replayed_events = 50_000;
    limits.max_replay_stack_depth = 16;
    limits.max_alias_expansions_per_anchor = 1000;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 64,
            max_nodes: 100_000,
            max_aliases: 2000,
            max_anchors: 2000,
            max_documents: 1,
        },
        alias_limits: limits,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((1, 1), |at| (at.line(), at.column()));
        YamlError { line, column }
    })
}
