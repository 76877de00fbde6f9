//! Whose a store is.
//!
//! Marks are made of the installation's name, and what is deleted by its id is
//! not looked at first. A copy of a store under another name would therefore
//! lose what it has at its sites, or destroy what is still in use there: the
//! name is written into the store, and no other one works on it.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::host::Core;
use crate::model::Json;
use crate::record::Document;
use crate::store::{Batch, Expect, Key, Outcome};

const SPACE: &str = "engine.installation";
const ID: &str = "own";

/// Whether the store bears a name; refuses one that is another's.
pub(crate) async fn check(core: &Core) -> Result<bool> {
    match core.store.document(SPACE, ID).await? {
        Some(found) => {
            let name: String = found.record.body.read()?;
            same(&name, &core.installation).map(|()| true)
        }
        None => Ok(false),
    }
}

/// Writes the name into a store that bears none.
pub(crate) async fn own(core: &Core) -> Result<()> {
    loop {
        if check(core).await? {
            return Ok(());
        }
        let mut batch = Batch::default();
        let key = Key::Document(SPACE.to_owned(), ID.to_owned());
        batch.expect.push(Expect::Absent(key));
        batch.documents.push(Arc::new(Document {
            space: SPACE.to_owned(),
            id: ID.to_owned(),
            indexes: Vec::new(),
            body: Json::of(&core.installation)?,
        }));
        if let Outcome::Done(_) = core.store.commit(batch).await? {
            return Ok(());
        }
    }
}

fn same(theirs: &str, ours: &str) -> Result<()> {
    if theirs == ours {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("this store belongs to the installation {theirs:?}, not to {ours:?}"),
    )
    .code("other-installation")
    .advice(format!(
        "use the name {theirs:?} with this store, or another store for {ours:?}: real things bear \
         the name in their marks"
    )))
}
