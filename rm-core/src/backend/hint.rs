//! What a site tells by itself.

use futures_util::stream::BoxStream;

use super::Mark;
use crate::id::ResourceId;

/// A reason to look, told by a site as something happens. It says where to
/// look and never what is there: one that is wrong, late, or told twice costs a
/// look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hint {
    /// Something has happened to what bears the mark of this resource.
    Look(ResourceId),
    /// From here on everything is told; what happened before may not have
    /// been.
    LookAtAll,
}

/// Hints as they are told.
pub type Hints = BoxStream<'static, Hint>;

impl Mark {
    /// The resource of a name that [`Mark::name`] made; nothing for any other
    /// name. A name is no proof that the thing is ours: it is good for a
    /// [`Hint`].
    pub fn resource_named(name: &str) -> Option<ResourceId> {
        const ID: usize = 36;
        let (id, rest) = name.strip_prefix("rm-")?.split_at_checked(ID)?;
        let number = |text: &str| text.parse::<u32>().is_ok();
        let whole = rest.is_empty() || rest.strip_prefix('-').is_some_and(number);
        id.parse().ok().filter(|_| whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_resource_that_it_was_made_of_and_no_other_does() {
        let resource: ResourceId = "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21".parse().unwrap();
        for incarnation in [1, 2, u32::MAX] {
            let mark = Mark {
                installation: "lab".to_owned(),
                resource,
                incarnation,
                generation: 7,
            };
            assert_eq!(Mark::resource_named(&mark.name()), Some(resource));
        }
        let name = format!("rm-{resource}");
        for other in [
            "",
            "rm-",
            "web",
            &name[1..],
            &name[..20],
            &format!("{name}x"),
            &format!("{name}-"),
            &format!("{name}-x"),
            "rm-ääääääääääääääääää",
        ] {
            assert_eq!(Mark::resource_named(other), None, "{other:?}");
        }
    }
}
