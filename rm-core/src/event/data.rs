//! What is told with an event.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::model::Json;

/// JSON that is written once by whoever tells it, and read only where somebody
/// asks what it says: most events are kept and never looked into.
#[derive(Clone, Default)]
pub struct Data {
    text: Option<Json>,
    /// The same as a value; null where nothing is told.
    value: OnceLock<Value>,
}

impl Data {
    /// Tells this. What cannot be written as JSON tells nothing.
    pub fn of(told: &impl Serialize) -> Self {
        Self {
            text: Json::of(told).ok(),
            value: OnceLock::new(),
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.text.is_none() && self.is_null()
    }
}

impl From<Value> for Data {
    fn from(value: Value) -> Self {
        Self {
            text: None,
            value: value.into(),
        }
    }
}

impl Deref for Data {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.value.get_or_init(|| {
            let text = self.text.as_ref();
            text.and_then(|text| text.read().ok()).unwrap_or_default()
        })
    }
}

impl DerefMut for Data {
    fn deref_mut(&mut self) -> &mut Value {
        let value: Value = (**self).clone();
        *self = value.into();
        match self.value.get_mut() {
            Some(value) => value,
            None => unreachable!("it was just put there"),
        }
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        match (&self.text, &other.text) {
            (Some(one), Some(other)) if one == other => true,
            _ => **self == **other,
        }
    }
}

impl PartialEq<Value> for Data {
    fn eq(&self, other: &Value) -> bool {
        **self == *other
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.text {
            Some(text) => text.serialize(serializer),
            None => (**self).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_says_the_same_however_it_was_told() {
        let value = json!({"to": "ready", "generation": 2});
        let told = Data::of(&value);
        assert_eq!(told, Data::from(value.clone()));
        assert_eq!(told["to"], "ready");
        let text = serde_json::to_string(&told).unwrap();
        assert_eq!(serde_json::from_str::<Data>(&text).unwrap(), told);
        assert!(Data::default().is_nothing() && !told.is_nothing());
    }

    #[test]
    fn what_is_added_is_told_too() {
        let mut data = Data::of(&json!({"a": 1}));
        data["b"] = json!(2);
        assert_eq!(
            serde_json::to_value(&data).unwrap(),
            json!({"a": 1, "b": 2})
        );
    }
}
