//! What the properties of a link ask for: how what comes to each of its ends is
//! held back.

use rm_core::model::Shaping;
use rm_core::{Error, ErrorKind, Result};

use crate::geni::rspec::{Node, Property, Text};
use crate::geni::sliver::Joined;
use crate::geni::xml::short;

/// How what comes to the ends of a link is held back, in their order.
///
/// # Errors
///
/// `link-property` (unsupported) where it is to be so between two of several
/// ends only, or from one of several into the link: what comes to an end comes
/// from all. `wrong-property` (invalid) where a property leads neither from one end
/// to the other nor from an end to the link or back, says other than
/// one before it, or names what no number of ours holds.
pub(super) fn of(nodes: &[&Node], link: &Joined<'_>) -> Result<Vec<Option<Shaping>>> {
    let mut shapes = vec![None; link.ends.len()];
    let names: Vec<&str> = link
        .ends
        .iter()
        .map(|(node, place)| {
            let node = nodes.get(*node);
            let interface = node.and_then(|n| n.interfaces.get(*place));
            interface
                .and_then(|i| i.client_id.as_deref())
                .unwrap_or_default()
        })
        .collect();
    let named = || short(link.link.client_id.as_deref().unwrap_or_default());
    let wrong = |what: &str| {
        Error::invalid(format!("a property of link {:?} {what}", named()))
            .code("wrong-property")
            .advice("write one for each direction, from one interface to the other")
    };
    let between_some = || {
        let what = format!(
            "link {:?} has properties between two of its {} interfaces",
            named(),
            names.len()
        );
        Error::new(ErrorKind::Unsupported, what)
            .code("link-property")
            .advice("write a link of its own for the two, or hold back what the link brings to one")
    };
    for property in &link.link.properties {
        let asked = asked(property).ok_or_else(|| wrong("says more than can be"))?;
        if asked == Shaping::default() {
            continue;
        }
        let from = property.source_id.as_deref().unwrap_or_default();
        let to = property.dest_id.as_deref().unwrap_or_default();
        let at = |end: &str| names.iter().position(|name| *name == end);
        // In a LAN a property leads from an end into it, or out of it to one.
        let lan = |end: &str| at(end).is_none() && link.link.client_id.as_deref() == Some(end);
        let to = match (at(from), at(to), names.len()) {
            (Some(a), Some(b), 2) if a != b => b,
            (Some(a), None, 2) if lan(to) => 1 - a,
            // Whatever comes to an end comes out of the link.
            (None, Some(b), _) if lan(from) => b,
            (Some(a), Some(b), 3..) if a != b => return Err(between_some()),
            (Some(_), None, 3..) if lan(to) => return Err(between_some()),
            _ => return Err(wrong("does not lead from one end to the other")),
        };
        if let Some(shape) = shapes.get_mut(to) {
            *shape = match *shape {
                None => Some(asked),
                Some(before) => Some(
                    both(before, asked).ok_or_else(|| wrong("says other than one before it"))?,
                ),
            };
        }
    }
    Ok(shapes)
}

/// The same refusal, naming the links of a node that ask for something: its host
/// cannot hold anything back.
pub(super) fn named(e: Error, at: usize, links: &[Joined<'_>]) -> Error {
    if e.stable_code() != Shaping::UNSUPPORTED {
        return e;
    }
    let asks = |p: &Property| asked(p).is_some_and(|asked| asked != Shaping::default());
    let names: Vec<String> = links
        .iter()
        .filter(|link| link.ends.iter().any(|(node, _)| *node == at))
        .filter(|link| link.link.properties.iter().any(asks))
        .map(|link| {
            let name = link.link.client_id.as_deref().unwrap_or_default();
            format!("link {:?}", short(name))
        })
        .collect();
    let what = format!("the properties of {}: {}", names.join(" and "), e.what());
    Error::new(ErrorKind::Unsupported, what)
        .code("link-property")
        .advice("leave out capacity, latency and packet_loss, or ask for another component")
        .because(e)
}

/// What a property asks for; nothing where it says what cannot be. Nought of
/// latency or loss is what there is without it.
fn asked(property: &Property) -> Option<Shaping> {
    let number = |text: &Text, times: f64| -> Option<Option<u64>> {
        let text = text.as_deref().map(str::trim).unwrap_or_default();
        if text.is_empty() {
            return Some(None);
        }
        // A number that is too large is none of so many digits.
        let number = text.parse::<f64>().ok()? * times;
        format!("{:.0}", number.round()).parse().ok().map(Some)
    };
    let some = |n: u64| (n > 0).then_some(n);
    let loss = number(&property.packet_loss, 1_000_000.0)?.and_then(some);
    Some(Shaping {
        capacity_kbps: number(&property.capacity, 1.0)?,
        latency_us: number(&property.latency, 1000.0)?.and_then(some),
        loss_ppm: match loss {
            Some(ppm) => Some(u32::try_from(ppm).ok()?),
            None => None,
        },
    })
}

/// What two say together; nothing where they say different things.
fn both(a: Shaping, b: Shaping) -> Option<Shaping> {
    fn one<T: PartialEq>(a: Option<T>, b: Option<T>) -> Option<Option<T>> {
        match (a, b) {
            (Some(a), Some(b)) if a != b => None,
            (a, b) => Some(a.or(b)),
        }
    }
    Some(Shaping {
        capacity_kbps: one(a.capacity_kbps, b.capacity_kbps)?,
        latency_us: one(a.latency_us, b.latency_us)?,
        loss_ppm: one(a.loss_ppm, b.loss_ppm)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(capacity: &str, latency: &str, loss: &str) -> Property {
        let said = |text: &str| (!text.is_empty()).then(|| text.into());
        Property {
            capacity: said(capacity),
            latency: said(latency),
            packet_loss: said(loss),
            ..Property::default()
        }
    }

    #[test]
    fn numbers_of_a_property_are_kept_to_the_microsecond_and_the_millionth() {
        let shaping = |capacity_kbps, latency_us, loss_ppm| {
            Some(Shaping {
                capacity_kbps,
                latency_us,
                loss_ppm,
            })
        };
        for (said, wanted) in [
            (property("", "", ""), shaping(None, None, None)),
            (
                property("100000", "5", "0.01"),
                shaping(Some(100_000), Some(5000), Some(10_000)),
            ),
            (
                property(" 0.5 ", "0.0015", "1"),
                shaping(Some(1), Some(2), Some(1_000_000)),
            ),
            // Nothing can come through a wire of no capacity.
            (property("0", "0", "0"), shaping(Some(0), None, None)),
            (property("1e40", "", ""), None),
            (property("much", "", ""), None),
        ] {
            assert_eq!(asked(&said), wanted, "{said:?}");
        }
    }
}
