//! Many stacks in few calls.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::stack::Stack;
use super::{Heat, read};
use crate::client::error::Error;
use crate::client::lenient::or_default;
use crate::client::wire::Ask;

/// Servers and proxies refuse request lines beyond 8 KiB: this leaves room for the rest of the
/// line, and is enough for [`IN_ONE_CALL`] ids or names of ours.
const MAX_FILTER_BYTES: usize = 6656;

/// So many stacks can be asked for in one call by their ids, or by names of up to 44 bytes.
pub const IN_ONE_CALL: u32 = 128;

/// More pages than any project can fill: a server that never ends is not believed.
const MAX_PAGES: usize = 10_000;

/// Which stacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackFilter {
    /// Only these ids; empty for all.
    pub ids: Vec<String>,
    /// Only these names; empty for all.
    pub names: Vec<String>,
    /// Only stacks with all these tags.
    pub tags: Vec<String>,
    /// Deleted ones too.
    pub show_deleted: bool,
}

/// One page of a list.
#[derive(Clone, Debug, Default)]
pub struct StackPage {
    /// The stacks, oldest first.
    pub stacks: Vec<Stack>,
    /// What to ask the next page with; `None` after the last one.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "or_default")]
    stacks: Vec<Stack>,
}

impl Heat {
    /// All stacks of a filter: one call, or as many as a long list of ids or names needs.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, filter: &StackFilter) -> Result<Vec<Stack>, Error> {
        let (by, wanted) = if filter.ids.is_empty() {
            ("name", &filter.names)
        } else {
            ("id", &filter.ids)
        };
        if wanted.is_empty() {
            return self.ask_list(filter_ask(filter)).await;
        }
        let mut found = Vec::new();
        for part in parts(wanted) {
            let mut ask = filter_ask(filter);
            for value in part {
                ask = ask.query(by, value);
            }
            found.extend(self.ask_list(ask).await?);
        }
        if by == "id" && !filter.names.is_empty() {
            found.retain(|stack| filter.names.contains(&stack.name));
        }
        Ok(found)
    }

    /// One page of a filter without ids and names. Oldest first, so that what is made meanwhile
    /// comes at the end.
    ///
    /// Heat answers an unknown marker, such as a stack purged since, with the list from its
    /// beginning. Who follows pages must expect to see stacks again; [`Heat::list_paged`] does.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_page(
        &self,
        filter: &StackFilter,
        limit: u32,
        marker: Option<&str>,
    ) -> Result<StackPage, Error> {
        let limit = limit.max(1);
        let mut ask = filter_ask(filter)
            .query("limit", limit.to_string())
            .query("sort_keys", "creation_time")
            .query("sort_dir", "asc");
        if let Some(marker) = marker {
            ask = ask.query("marker", marker);
        }
        let stacks = self.ask_list(ask).await?;
        // Heat links to a next page whenever this one is full, and so does this: whether there is
        // one more stack is known only by asking.
        let full = u32::try_from(stacks.len()).is_ok_and(|length| length >= limit);
        let next = match stacks.last() {
            Some(last) if full => Some(last.id.clone()),
            _ => None,
        };
        Ok(StackPage { stacks, next })
    }

    /// All stacks of a filter without ids and names, in pages. If the pages turn out to repeat,
    /// the list is fetched whole instead: what is missing from it must really not be there.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_paged(&self, filter: &StackFilter, limit: u32) -> Result<Vec<Stack>, Error> {
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        let mut marker: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let page = self.list_page(filter, limit, marker.as_deref()).await?;
            for stack in page.stacks {
                if !seen.insert(stack.id.clone()) {
                    return self.list(filter).await;
                }
                all.push(stack);
            }
            match page.next {
                Some(next) => marker = Some(next),
                None => return Ok(all),
            }
        }
        Err(Error::unreadable(
            read("list stacks"),
            "the list of stacks does not end",
        ))
    }

    async fn ask_list(&self, ask: Ask) -> Result<Vec<Stack>, Error> {
        let answer: Answer = self.session.ask(read("list stacks"), &ask).await?;
        Ok(answer.stacks)
    }
}

fn filter_ask(filter: &StackFilter) -> Ask {
    let mut ask = Ask::get(&["stacks"]);
    if !filter.tags.is_empty() {
        ask = ask.query("tags", filter.tags.join(","));
    }
    if filter.show_deleted {
        ask = ask.query("show_deleted", "True");
    }
    ask
}

/// Cuts a long list so that each part fits into one request line.
fn parts(values: &[String]) -> Vec<&[String]> {
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, value) in values.iter().enumerate() {
        let size = encoded(value);
        if bytes + size > MAX_FILTER_BYTES && index > start {
            parts.push(&values[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += size;
    }
    if start < values.len() {
        parts.push(&values[start..]);
    }
    parts
}

/// How many bytes a value takes in a query, with `&name=` before it.
fn encoded(value: &str) -> usize {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let bytes = value.bytes().map(|b| if plain(b) { 1 } else { 3 });
    bytes.sum::<usize>() + "&name=".len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_and_lose_nothing() {
        let ids: Vec<String> = (0..500).map(|n| format!("{n:036}")).collect();
        let cut = parts(&ids);
        assert!(cut.len() > 1);
        assert_eq!(cut.concat(), ids);
        for part in cut {
            assert!(part.iter().map(|id| encoded(id)).sum::<usize>() <= MAX_FILTER_BYTES);
        }
        let most = usize::try_from(IN_ONE_CALL).unwrap();
        assert_eq!(parts(&ids[..most]).len(), 1);
        let names: Vec<String> = (0..most).map(|n| format!("rm-{n:036}-9999")).collect();
        assert_eq!(parts(&names).len(), 1);
        assert!(parts(&[]).is_empty());
        assert_eq!(parts(&["x".repeat(9000)]).len(), 1);
    }
}
