//! How many slaves a template can make, as far as it says so itself: what it
//! can never make is refused before anything is reserved for it.

use rm_core::{Error, Result};
use serde_json::Value;

use crate::template::TemplateInfo;

/// The parameters by which a template is told its size, and how many hosts
/// beside the slaves each of them counts.
const SIZES: [(&str, u32); 2] = [("slaves", 0), ("cluster_size", 1)];

/// Whether a parameter of this name is told the size of the cluster: nobody
/// gives it a value beside that.
pub(crate) fn is_size(name: &str) -> bool {
    SIZES.iter().any(|(size, _)| *size == name)
}

/// Refuses a value for such a parameter: it would not count.
pub(crate) fn not_among<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<()> {
    match names.find(|name| is_size(name)) {
        Some(name) => Err(Error::invalid(format!(
            "{name:?} is no parameter of a request: the template gets it from the number of slaves"
        ))
        .code("size-is-no-parameter")
        .advice(match name.as_str() {
            "cluster_size" => {
                "say slaves in the request itself: one less, for it counts the master, too"
            }
            _ => "say slaves in the request itself",
        })),
        None => Ok(()),
    }
}

/// Refuses slaves where the template has no parameter for them, and a number
/// that is outside of its `range` or not among its `allowed_values`. What other
/// constraints say only Heat tells.
pub(crate) fn fits(info: &TemplateInfo, slaves: u32) -> Result<()> {
    let mut told = false;
    for (name, beside) in SIZES {
        let Some(parameter) = info.parameters.get(name) else {
            continue;
        };
        told = true;
        let value = f64::from(slaves) + f64::from(beside);
        let refused = parameter.constraints.iter().find_map(|c| outside(c, value));
        if let Some(allowed) = refused {
            return Err(Error::invalid(format!(
                "{slaves} slaves were asked for, and the template's parameter {name:?} takes {allowed}"
            ))
            .code("out-of-range")
            .advice(match beside {
                0 => "ask for a number of slaves that it allows",
                _ => "ask for a number of slaves that it allows; it counts the master, too",
            }));
        }
    }
    if told || slaves == 0 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{slaves} slaves were asked for, and the template has none"
    ))
    .code("out-of-range")
    .advice("ask for 0 slaves, or for a template with a parameter \"slaves\" or \"cluster_size\""))
}

/// What a constraint allows, where it does not allow this value.
fn outside(constraint: &Value, value: f64) -> Option<String> {
    if let Some(range) = constraint.get("range") {
        let (min, max) = (number(&range["min"]), number(&range["max"]));
        if min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max) {
            return Some(match (min, max) {
                (Some(min), Some(max)) => format!("{min} to {max}"),
                (Some(min), None) => format!("{min} or more"),
                (_, max) => format!("{} at the most", max.unwrap_or_default()),
            });
        }
    }
    let allowed = constraint.get("allowed_values")?.as_array()?;
    let allowed: Vec<f64> = allowed.iter().map(number).collect::<Option<_>>()?;
    if allowed.contains(&value) {
        return None;
    }
    let words: Vec<String> = allowed.iter().map(f64::to_string).collect();
    Some(format!("one of {}", words.join(", ")))
}

/// Templates write numbers as texts, too.
fn number(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(parameters: &str) -> TemplateInfo {
        let text = format!(
            "heat_template_version: 2018-08-31\nparameters: {parameters}\noutputs: {{master_ip: {{value: x}}}}\n"
        );
        TemplateInfo::read(&text).unwrap()
    }

    #[test]
    fn a_size_that_the_template_rules_out_is_refused_with_what_it_allows() {
        for (parameters, slaves, told) in [
            ("{}", 1, "has none"),
            (
                "{slaves: {type: number, constraints: [{range: {min: 1, max: 500}}]}}",
                0,
                "\"slaves\" takes 1 to 500",
            ),
            (
                "{slaves: {type: number, constraints: [{range: {max: \"500\"}}]}}",
                501,
                "500 at the most",
            ),
            (
                "{cluster_size: {type: number, constraints: [{range: {min: 2}}]}}",
                0,
                "\"cluster_size\" takes 2 or more",
            ),
            (
                "{slaves: {type: number, constraints: [{allowed_values: [1, 3, 5]}]}}",
                2,
                "one of 1, 3, 5",
            ),
        ] {
            let e = fits(&template(parameters), slaves).unwrap_err();
            assert_eq!(e.stable_code(), "out-of-range");
            assert!(e.what().contains(told), "{e}");
        }
    }

    #[test]
    fn a_size_that_the_template_allows_or_says_nothing_of_fits() {
        for (parameters, slaves) in [
            ("{}", 0),
            ("{slaves: {type: number}}", u32::MAX),
            (
                "{slaves: {type: number, constraints: [{range: {min: 0, max: 5}}, {modulo: {step: 2}}]}}",
                5,
            ),
            (
                "{cluster_size: {type: number, constraints: [{range: {min: 2, max: 6}}]}}",
                5,
            ),
            (
                "{slaves: {type: number, constraints: [{allowed_values: [\"3\", 5]}]}}",
                3,
            ),
            ("{slaves: {type: number, constraints: [{range: 7}, 8]}}", 9),
        ] {
            fits(&template(parameters), slaves).unwrap();
        }
    }
}
