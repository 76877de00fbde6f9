//! Marks as tags of stacks and images.

use rm_core::backend::Mark;

/// Everything of any installation bears it.
pub(crate) const OURS: &str = "resource-manager";

const MARK: &str = "rm=";

/// The tags of a mark. Heat takes at most 80 characters each and no comma, and
/// writes a row of its own for each several times in a stack's life: so the
/// whole mark is one tag.
pub(crate) fn tags(mark: &Mark) -> Vec<String> {
    let Mark {
        installation,
        resource,
        incarnation,
        generation,
    } = mark;
    vec![
        OURS.to_owned(),
        format!("{MARK}{installation}/{resource}/{incarnation}/{generation}"),
    ]
}

/// The mark that tags stand for, if there is one.
pub(crate) fn read(tags: &[String]) -> Option<Mark> {
    let mark = tags.iter().find_map(|t| t.strip_prefix(MARK))?;
    let mut parts = mark.split('/');
    let mark = Mark {
        installation: parts.next()?.to_owned(),
        resource: parts.next()?.parse().ok()?,
        incarnation: parts.next()?.parse().ok()?,
        generation: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mark = Mark {
            installation: "a-b.c_d-012345678901234567".chars().take(24).collect(),
            resource: "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21".parse().unwrap(),
            incarnation: 9999,
            generation: 9_999_999_999,
        };
        let tags = tags(&mark);
        assert!(tags.iter().all(|t| t.len() <= 80 && !t.contains(',')));
        assert_eq!(read(&tags), Some(mark));
    }

    #[test]
    fn half_a_mark_is_none() {
        assert_eq!(read(&["rm=x".to_owned()]), None);
        let id = "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21";
        assert_eq!(read(&[format!("rm=x/{id}/1")]), None);
        assert_eq!(read(&[format!("rm=x/{id}/1/1/1")]), None);
        assert_eq!(read(&[]), None);
    }
}
