//! What is kept of a slice, and as which documents.
//!
//! The slice's own document says which resource is which node of which request:
//! some hundred bytes a sliver, which every call reads. What came as a request
//! may be long, and is a document of its own: it is read for manifests alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use rm_core::env::Timestamp;
use rm_core::model::Json;
use rm_core::record::Document;
use rm_core::store::{Batch, Expect, Key, Version};
use rm_core::{Error, ErrorKind, Host, ResourceId, Result};
use serde::{Deserialize, Serialize};

use super::book::is_over;
use super::owner;
use super::shut::{self, Shut};
use crate::geni::Urn;
use crate::geni::bench::Bench;
use crate::geni::rspec::{Kind, Node, Rspec};
use crate::geni::sliver::GeniSliver;

/// The space of slices; the id is the spelling of the URN.
pub(super) const SPACE: &str = "geni.slice";
/// The space of what came as requests; the id is that of the first resource
/// that was made for it.
const TEXTS: &str = "geni.request";
/// What a sliver takes where it is read, in bytes: its record, and what is told
/// of it.
const SLIVER: usize = 4096;

/// What is kept of a slice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Its URN, as it was first written.
    pub(super) urn: String,
    /// Whether it was shut down.
    #[serde(
        default,
        deserialize_with = "shut::read",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) shut: Option<Shut>,
    /// What was asked for, in order, as long as there is a sliver of it.
    pub(super) requests: Vec<Request>,
}

/// A request that was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    /// The RSpec as it came: manifests repeat what is not ours, too.
    pub(super) rspec: Text,
    /// Its slivers, in its order.
    pub(super) slivers: Vec<Listed>,
    /// When they were to end, where that was said with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<Timestamp>,
}

/// Where a text is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    /// In a document of its own, of this id.
    Apart {
        /// Its id.
        id: String,
        /// How long it is.
        bytes: usize,
    },
    /// Here, as in stores of earlier days, until the slice is written again.
    Here(String),
}

/// A sliver of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::geni) struct Listed {
    /// The node's name in the request.
    pub(in crate::geni) client_id: String,
    /// The adapter that made it.
    pub(in crate::geni) adapter: String,
    /// The resource that it is.
    pub(in crate::geni) resource: ResourceId,
}

/// A request that is granted now.
#[derive(Debug)]
pub(in crate::geni) struct Asked {
    /// The RSpec as it came.
    pub(in crate::geni) rspec: Arc<str>,
    /// Its slivers, in its order.
    pub(in crate::geni) slivers: Vec<Listed>,
    /// When they are to end, where that is said.
    pub(in crate::geni) end: Option<Timestamp>,
}

impl Text {
    fn bytes(&self) -> usize {
        match self {
            Self::Apart { bytes, .. } => *bytes,
            Self::Here(text) => text.len(),
        }
    }

    /// Reads it, apart from the threads that serve lines.
    pub(super) async fn read(&self, host: &Host, bench: &Bench) -> Result<Arc<str>> {
        let id = match self {
            Self::Apart { id, .. } => id,
            Self::Here(text) => return Ok(text.as_str().into()),
        };
        let found = host.store().document(TEXTS, id).await?;
        let found = found.ok_or_else(|| {
            Error::new(ErrorKind::Busy, "what was asked for was just deleted")
                .advice("call again; where that does not help, delete the slivers, too")
        })?;
        let text: String = bench.take(move || found.record.body.read()).await??;
        Ok(text.into())
    }
}

/// The document of a text, and where it is then.
fn apart(text: &str, slivers: &[Listed], into: &mut Batch) -> Result<Text> {
    let first = slivers.first().map(|first| first.resource.to_string());
    let id = first.unwrap_or_default();
    into.documents.push(Arc::new(Document {
        space: TEXTS.to_owned(),
        id: id.clone(),
        indexes: Vec::new(),
        body: Json::of(&text)?,
    }));
    Ok(Text::Apart {
        id,
        bytes: text.len(),
    })
}

impl Kept {
    /// What there is of a slice: its document, or what the slice holds where
    /// there is none.
    pub(super) async fn find(host: &Host, slice: &Urn) -> Result<(Option<Version>, Self)> {
        let found = host.store().document(SPACE, &slice.spelling()).await?;
        Ok(match found {
            Some(found) => (Some(found.version), found.record.body.read()?),
            None => (None, Self::made_anew(host, slice).await?),
        })
    }

    /// What is known of a slice whose document is lost, as after a rebuild of
    /// the store: what it holds, under the names that it asked for.
    async fn made_anew(host: &Host, slice: &Urn) -> Result<Self> {
        let (owner, now) = (owner(slice), host.env().now());
        let call = host.call(&owner);
        let mut request = Rspec::new(Kind::Request);
        let mut slivers = Vec::new();
        for adapter in host.adapters().all::<dyn GeniSliver>() {
            for sliver in adapter.held(&call).await? {
                let record = sliver.record();
                if is_over(record, now) {
                    continue;
                }
                request.nodes.push(Node {
                    client_id: Some(record.name.as_str().into()),
                    ..Node::default()
                });
                slivers.push(Listed {
                    client_id: record.name.clone(),
                    adapter: adapter.name().to_owned(),
                    resource: record.id,
                });
            }
        }
        let request = (!slivers.is_empty()).then(|| Request {
            rspec: Text::Here(request.print()),
            slivers,
            end: None,
        });
        Ok(Self {
            urn: slice.to_string(),
            shut: None,
            requests: request.into_iter().collect(),
        })
    }

    /// All of its slivers.
    pub(super) fn listed(&self) -> impl Iterator<Item = &Listed> {
        self.requests.iter().flat_map(|request| &request.slivers)
    }

    /// How long its requests are together, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.requests.iter().map(|r| r.rspec.bytes()).sum()
    }

    /// How much it takes to read all that is known of it, in bytes.
    pub(super) fn weight(&self) -> usize {
        let slivers = self.listed().count().saturating_mul(SLIVER);
        self.bytes().saturating_add(slivers)
    }

    /// Whether this document of it is not as it is written now.
    pub(super) fn is_outdated(&self, document: &Document) -> bool {
        let here = |r: &Request| matches!(r.rspec, Text::Here(_));
        self.requests.iter().any(here) || document.indexes != self.indexes()
    }

    /// One more request.
    pub(super) fn add(&mut self, asked: &Asked, into: &mut Batch) -> Result<()> {
        self.requests.push(Request {
            rspec: apart(&asked.rspec, &asked.slivers, into)?,
            slivers: asked.slivers.clone(),
            end: asked.end,
        });
        Ok(())
    }

    /// Without all slivers but these, and without requests of which none is
    /// left.
    pub(super) fn retain(&mut self, stay: &BTreeSet<ResourceId>, into: &mut Batch) {
        self.requests.retain_mut(|request| {
            request.slivers.retain(|l| stay.contains(&l.resource));
            if let (true, Text::Apart { id, .. }) = (request.slivers.is_empty(), &request.rspec) {
                let text = Key::Document(TEXTS.to_owned(), id.clone());
                into.delete.push(text);
            }
            !request.slivers.is_empty()
        });
    }

    /// Writes it where its document still has this version; one that has nothing
    /// to say is none.
    pub(super) fn put(
        mut self,
        slice: &Urn,
        version: Option<Version>,
        into: &mut Batch,
    ) -> Result<()> {
        let key = Key::Document(SPACE.to_owned(), slice.spelling());
        let expected = match version {
            Some(version) => Expect::Version(key.clone(), version),
            None => Expect::Absent(key.clone()),
        };
        into.expect.push(expected);
        for request in &mut self.requests {
            if let Text::Here(text) = &request.rspec {
                request.rspec = apart(text, &request.slivers, into)?;
            }
        }
        if !self.requests.is_empty() || self.shut.is_some() {
            into.documents.push(Arc::new(Document {
                space: SPACE.to_owned(),
                id: slice.spelling(),
                indexes: self.indexes(),
                body: Json::of(&self)?,
            }));
        } else if version.is_some() {
            into.delete.push(key);
        }
        Ok(())
    }

    fn indexes(&self) -> Vec<(String, String)> {
        let (name, value) = shut::SHUT;
        let shut = self.shut.iter();
        shut.map(|_| (name.to_owned(), value.to_owned())).collect()
    }
}
