//! Entries as they were read: the engine asks for the same few again and
//! again.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::entry::Entry;
use crate::error::Result;
use crate::id::CatalogId;
use crate::model::Json;
use crate::record::Document;

/// How many there are at the most.
const MOST: usize = 1000;

/// What a document said, and the entry that was read from it.
type Known = (Json, Arc<dyn Any + Send + Sync>);

/// By the ids of their documents.
#[derive(Default)]
pub(super) struct Remembered(Mutex<BTreeMap<String, Known>>);

/// Not what they say: credentials are among them.
impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remembered")
    }
}

impl Remembered {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An entry that was read before, as it was then.
    pub(super) fn known<E: Entry>(&self, id: CatalogId) -> Option<Arc<E>> {
        let mut text = Uuid::encode_buffer();
        let id: &str = id.0.hyphenated().encode_lower(&mut text);
        let entry = Arc::clone(&self.lock().get(id)?.1);
        entry.downcast::<E>().ok()
    }

    /// What a document says. It was just read from the store; its text is read
    /// anew only where it is another than before.
    pub(super) fn read<E: Entry>(&self, document: &Document) -> Result<Arc<E>> {
        let known = self.lock().get(&document.id).cloned();
        if let Some((text, entry)) = known
            && text == document.body
            && let Ok(entry) = entry.downcast::<E>()
        {
            return Ok(entry);
        }
        let entry: Arc<E> = Arc::new(document.body.read()?);
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        let kept = (document.body.clone(), Arc::clone(&entry) as _);
        known.insert(document.id.clone(), kept);
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Appliance;
    use serde_json::json;

    fn document(description: &str) -> Document {
        let id = uuid::Uuid::from_u128(1);
        let body = json!({
            "id": id, "owner": "o", "name": "n", "description": description, "created": 0,
        });
        Document {
            space: "catalog.appliance".to_owned(),
            id: id.to_string(),
            indexes: Vec::new(),
            body: Json::of(&body).unwrap(),
        }
    }

    #[test]
    fn another_text_is_read_anew() {
        let remembered = Remembered::default();
        for description in ["a", "a", "b", "a"] {
            let entry: Arc<Appliance> = remembered.read(&document(description)).unwrap();
            assert_eq!(entry.description, description);
        }
        assert_eq!(remembered.lock().len(), 1);
    }

    #[test]
    fn what_is_remembered_is_not_printed() {
        let remembered = Remembered::default();
        let _: Arc<Appliance> = remembered.read(&document("canary")).unwrap();
        assert!(!format!("{remembered:?}").contains("canary"));
    }
}
