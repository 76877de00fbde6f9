//! Reading what servers of many versions send: nulls, missing fields, odd types.

use serde::de::{Deserialize, Deserializer};
use serde_json::Value;

/// `null` is the same as absent.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Tags are a list, `null` in lists of stacks without tags, and were sent as one comma string.
pub(crate) fn tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text
            .split(',')
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
            .map(str::to_owned)
            .collect(),
        Value::Array(items) => items
            .into_iter()
            .filter_map(|item| match item {
                Value::String(tag) => Some(tag),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    })
}

/// A number, or nothing where a server sent text, null or a negative for "no limit".
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// Reads an OpenStack time (`2026-11-21T20:02:19Z`, with or without fraction and zone) as Unix
/// milliseconds. Without a zone it is UTC.
pub fn unix_millis(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_millisecond());
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    Some(
        jiff::tz::TimeZone::UTC
            .to_timestamp(civil)
            .ok()?
            .as_millisecond(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_several_services() {
        assert_eq!(unix_millis("1970-01-01T00:00:01Z"), Some(1000));
        assert_eq!(unix_millis("1970-01-01T00:00:01.500000Z"), Some(1500));
        assert_eq!(unix_millis("1970-01-01T00:00:01"), Some(1000));
        assert_eq!(unix_millis("1970-01-01T00:00:01+00:00"), Some(1000));
        assert_eq!(unix_millis("soon"), None);
    }

    #[test]
    fn tags_in_every_form() {
        #[derive(serde::Deserialize)]
        struct T {
            #[serde(default, deserialize_with = "tags")]
            tags: Vec<String>,
        }
        let read = |text: &str| serde_json::from_str::<T>(text).unwrap().tags;
        assert!(read("{}").is_empty());
        assert!(read(r#"{"tags":null}"#).is_empty());
        assert!(read(r#"{"tags":[]}"#).is_empty());
        assert_eq!(read(r#"{"tags":["a","b"]}"#), ["a", "b"]);
        assert_eq!(read(r#"{"tags":"a, b"}"#), ["a", "b"]);
    }
}
