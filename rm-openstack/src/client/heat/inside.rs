//! What happens within a stack: its resources and events.

use serde::Deserialize;
use serde_json::Value;

use super::stack::StackRef;
use super::status::StackStatus;
use super::{Heat, read};
use crate::client::error::Error;
use crate::client::lenient::or_default;
use crate::client::wire::Ask;

/// Which resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceQuery {
    /// How many levels of nested stacks to look into.
    pub nested_depth: u8,
    /// Only resources of this type.
    pub kind: Option<String>,
    /// Only resources in this state: `COMPLETE`, `FAILED`, `IN_PROGRESS`.
    pub status: Option<String>,
    /// With their attributes, which Heat asks of each service.
    pub with_detail: bool,
}

/// One resource of a stack.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct StackResource {
    /// Its name within its template.
    #[serde(rename = "resource_name", default, deserialize_with = "or_default")]
    pub name: String,
    /// Its type.
    #[serde(rename = "resource_type", default, deserialize_with = "or_default")]
    pub kind: String,
    /// Id of the real thing; empty until there is one.
    #[serde(
        rename = "physical_resource_id",
        default,
        deserialize_with = "or_default"
    )]
    pub physical_id: String,
    /// What it is doing.
    #[serde(rename = "resource_status", default)]
    pub status: StackStatus,
    /// Why.
    #[serde(
        rename = "resource_status_reason",
        default,
        deserialize_with = "or_default"
    )]
    pub status_reason: String,
    /// Name of the resource that it is nested in.
    #[serde(default)]
    pub parent_resource: Option<String>,
    /// Its attributes, if they were asked for.
    #[serde(default)]
    pub attributes: Value,
    /// When it was last changed.
    #[serde(default)]
    pub updated_time: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    links: Vec<Link>,
}

impl StackResource {
    /// The stack it is directly in.
    pub fn stack(&self) -> Option<StackRef> {
        linked(&self.links, "stack")
    }

    /// The stack that it consists of.
    pub fn nested(&self) -> Option<StackRef> {
        linked(&self.links, "nested")
    }
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Only what follows this event.
    pub marker: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
    /// How many levels of nested stacks to include.
    pub nested_depth: u8,
    /// Newest first, which is Heat's own order.
    pub newest_first: bool,
}

/// One thing that happened to a stack or a resource of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Its id, to continue from.
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    /// When, to the second.
    #[serde(rename = "event_time", default, deserialize_with = "or_default")]
    pub time: String,
    /// Name of the resource, or of the stack for its own events.
    #[serde(rename = "resource_name", default, deserialize_with = "or_default")]
    pub resource_name: String,
    /// Id of the real thing.
    #[serde(
        rename = "physical_resource_id",
        default,
        deserialize_with = "or_default"
    )]
    pub physical_id: String,
    /// What it began or ended.
    #[serde(rename = "resource_status", default)]
    pub status: StackStatus,
    /// Why.
    #[serde(
        rename = "resource_status_reason",
        default,
        deserialize_with = "or_default"
    )]
    pub status_reason: String,
    #[serde(default, deserialize_with = "or_default")]
    links: Vec<Link>,
}

impl Event {
    /// The stack it happened in, which may be a nested one.
    pub fn stack(&self) -> Option<StackRef> {
        linked(&self.links, "stack")
    }

    /// Whether it is about the stack itself, not about a resource in it.
    pub fn is_of_stack(&self, stack: &StackRef) -> bool {
        self.physical_id == stack.id && self.stack().is_none_or(|own| own.id == stack.id)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Link {
    #[serde(default, deserialize_with = "or_default")]
    rel: String,
    #[serde(default, deserialize_with = "or_default")]
    href: String,
}

fn linked(links: &[Link], rel: &str) -> Option<StackRef> {
    StackRef::from_link(&links.iter().find(|link| link.rel == rel)?.href)
}

#[derive(Deserialize)]
struct Resources {
    #[serde(default, deserialize_with = "or_default")]
    resources: Vec<StackResource>,
}

#[derive(Deserialize)]
struct Events {
    #[serde(default, deserialize_with = "or_default")]
    events: Vec<Event>,
}

impl Heat {
    /// The resources of a stack.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn resources(
        &self,
        stack: &StackRef,
        query: &ResourceQuery,
    ) -> Result<Vec<StackResource>, Error> {
        let [stacks, name, id] = stack.path();
        let mut ask = Ask::get(&[stacks, name, id, "resources"]);
        if query.nested_depth > 0 {
            ask = ask.query("nested_depth", query.nested_depth.to_string());
        }
        if let Some(kind) = &query.kind {
            ask = ask.query("type", kind);
        }
        if let Some(status) = &query.status {
            ask = ask.query("status", status);
        }
        if query.with_detail {
            ask = ask.query("with_detail", "True");
        }
        let answer: Resources = self.session.ask(read("list resources"), &ask).await?;
        Ok(answer.resources)
    }

    /// The events of a stack, oldest first unless asked otherwise. Deleted stacks keep theirs.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn events(&self, stack: &StackRef, query: &EventQuery) -> Result<Vec<Event>, Error> {
        let [stacks, name, id] = stack.path();
        let direction = if query.newest_first { "desc" } else { "asc" };
        let mut ask = Ask::get(&[stacks, name, id, "events"]).query("sort_dir", direction);
        if query.nested_depth > 0 {
            ask = ask.query("nested_depth", query.nested_depth.to_string());
        }
        if let Some(limit) = query.limit {
            ask = ask.query("limit", limit.to_string());
        }
        if let Some(marker) = &query.marker {
            ask = ask.query("marker", marker);
        }
        let answer: Events = self.session.ask(read("list events"), &ask).await?;
        Ok(answer.events)
    }
}
