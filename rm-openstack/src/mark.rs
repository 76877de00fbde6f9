//! Marks as stack tags.

use rm_core::backend::Mark;

/// Every stack of any installation bears it.
pub(crate) const OURS: &str = "resource-manager";

const INSTALLATION: &str = "rm.installation=";
const RESOURCE: &str = "rm.resource=";
const INCARNATION: &str = "rm.incarnation=";
const GENERATION: &str = "rm.generation=";

/// The tags of a mark. Heat takes at most 80 characters each and no comma.
pub(crate) fn tags(mark: &Mark) -> Vec<String> {
    vec![
        OURS.to_owned(),
        format!("{INSTALLATION}{}", mark.installation),
        format!("{RESOURCE}{}", mark.resource),
        format!("{INCARNATION}{}", mark.incarnation),
        format!("{GENERATION}{}", mark.generation),
    ]
}

/// The mark that tags stand for, if they are whole.
pub(crate) fn read(tags: &[String]) -> Option<Mark> {
    let find = |prefix: &str| tags.iter().find_map(|t| t.strip_prefix(prefix));
    Some(Mark {
        installation: find(INSTALLATION)?.to_owned(),
        resource: find(RESOURCE)?.parse().ok()?,
        incarnation: find(INCARNATION)?.parse().ok()?,
        generation: find(GENERATION)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mark = Mark {
            installation: "a-b.c_d".to_owned(),
            resource: "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21".parse().unwrap(),
            incarnation: 2,
            generation: 17,
        };
        let tags = tags(&mark);
        assert!(tags.iter().all(|t| t.len() <= 80 && !t.contains(',')));
        assert_eq!(read(&tags), Some(mark));
    }

    #[test]
    fn half_a_mark_is_none() {
        assert_eq!(read(&["rm.installation=x".to_owned()]), None);
        assert_eq!(read(&[]), None);
    }
}
