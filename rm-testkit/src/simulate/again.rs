//! One trial of the enumeration again, from the words that were printed for it.

use super::exhaustive::{guarded, harms};
use super::harm::Found;
use super::trial::{At, Part, Setting, lone, troubles};
use crate::cloud::Verb;
use crate::world::{PENDING, Trouble};

/// The words for a trial: the setting, and each fault with its part and the
/// number of its boundary.
pub(super) fn words(setting: Setting, faults: &[At]) -> String {
    let mut text = setting.seed.to_string();
    for (set, word) in [(setting.lags, LAGS), (setting.replaces, REPLACES)] {
        if set {
            text = format!("{text} {word}");
        }
    }
    let faults = faults.iter().map(|(part, n, trouble)| {
        let part = part.as_str();
        format!("{part} {n} {trouble:?}")
    });
    format!("{text}: {}", faults.collect::<Vec<_>>().join(", "))
}

const LAGS: &str = "lags";
const REPLACES: &str = "replaces";

/// Makes the trial of these words once more, and tells what harm it did.
///
/// # Errors
///
/// With a sentence, where no trial has these words.
pub fn replay_trial(words: &str) -> Result<Vec<Found>, String> {
    let (setting, faults) = read(words)?;
    Ok(harms(&faults, &guarded(setting, &faults)))
}

fn read(words: &str) -> Result<(Setting, Vec<At>), String> {
    let wrong = |what: &str| format!("{what:?} is not a trial; give one as it was printed");
    let (head, tail) = words.split_once(':').ok_or_else(|| wrong(words))?;
    let mut head = head.split_whitespace();
    let seed = head.next().and_then(|seed| seed.parse().ok());
    let mut setting = Setting {
        seed: seed.ok_or_else(|| wrong(words))?,
        lags: false,
        replaces: false,
    };
    for word in head {
        match word {
            LAGS => setting.lags = true,
            REPLACES => setting.replaces = true,
            _ => return Err(wrong(word)),
        }
    }
    let known = every_trouble();
    let mut faults = Vec::new();
    for fault in tail.split(',').map(str::trim).filter(|f| !f.is_empty()) {
        let mut words = fault.splitn(3, ' ');
        let part = words.next();
        let part = Part::ALL.into_iter().find(|p| Some(p.as_str()) == part);
        let n = words.next().and_then(|n| n.parse().ok());
        let trouble = words.next();
        let trouble = known.iter().find(|t| Some(&*format!("{t:?}")) == trouble);
        match (part, n, trouble) {
            (Some(part), Some(n), Some(trouble)) => faults.push((part, n, *trouble)),
            _ => return Err(wrong(fault)),
        }
    }
    Ok((setting, faults))
}

/// What can happen at any boundary.
fn every_trouble() -> Vec<Trouble> {
    let calls = Verb::ALL.map(|verb| format!("before {}", verb.as_str()));
    let others = ["before commit", "after commit", PENDING].map(str::to_owned);
    let names = calls.iter().chain(&others);
    // Whatever is done anywhere is done where things are replaced.
    let replaces = Setting {
        seed: 0,
        lags: false,
        replaces: true,
    };
    let both = |name: &String| [troubles(name), lone(replaces, Part::Resize, name)].concat();
    names.flat_map(both).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cloud::Fault;

    #[test]
    fn a_trial_is_read_as_it_was_told() {
        let setting = Setting {
            seed: 3,
            lags: true,
            replaces: true,
        };
        for trouble in every_trouble() {
            let late = Trouble::Call(Fault::Late(Duration::from_secs(2)));
            let faults = vec![(Part::Create, 12, trouble), (Part::Delete, 3, late)];
            let told = words(setting, &faults);
            assert_eq!(read(&told), Ok((setting, faults)), "{told}");
        }
        let none = words(setting, &[]);
        assert_eq!(read(&none), Ok((setting, Vec::new())), "{none}");
    }

    #[test]
    fn what_is_no_trial_is_said() {
        for text in ["", "0", "x: create 1 Crash", "0 fast:", "0: create 1 Fire"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
