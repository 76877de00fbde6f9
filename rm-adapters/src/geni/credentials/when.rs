//! Times as GENI's clients and authorities write them.

use rm_core::env::Timestamp;

/// Reads RFC 3339 and ISO 8601 with a time of day; UTC where no zone is given.
pub(crate) fn read_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > 40 || !text.contains([':']) {
        return None;
    }
    Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}Z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let noon = Timestamp::parse("2026-11-21T12:00:00Z");
        for text in [
            "2026-11-21T12:00:00Z",
            "2026-11-21T12:00:00",
            "2026-11-21 12:00:00",
            " 2026-11-21T12:00:00.000\n",
            "2026-11-21T13:00:00+01:00",
        ] {
            assert_eq!(read_time(text), noon, "{text}");
        }
        for bad in [
            "",
            "tomorrow",
            "2026-11-21",
            "20261121",
            "2026-13-21T12:00:00Z",
        ] {
            assert_eq!(read_time(bad), None, "{bad}");
        }
    }
}
