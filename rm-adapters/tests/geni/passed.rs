//! Credentials that were passed on, and such as could not be.

use super::authority::{Draft, Party, Sign, envelope};
use super::corpus::{Judged, World};

impl World {
    /// What alice has, passed on to bob; with what is changed about it.
    pub(crate) fn passed_on<'a>(
        &'a self,
        change: impl FnOnce(&mut Draft<'a>),
        by: &Party,
    ) -> String {
        let first = self.draft().write();
        let mut draft = Draft {
            id: "ref1",
            owner: &self.bob,
            privileges: &[("embed", "false")],
            ..self.draft()
        };
        change(&mut draft);
        let second = Draft {
            parent: Some(&first),
            ..draft
        }
        .write();
        let signatures = format!(
            "{}{}",
            Sign::usual(&self.sa, "ref0").over(&first),
            Sign::usual(by, "ref1").over(&second)
        );
        envelope(&second, &signatures)
    }

    /// Name, document, verdict.
    pub(crate) fn passed(&self) -> Vec<Judged> {
        const INVALID: Result<(), &str> = Err("credential-invalid");
        const UNTRUSTED: Result<(), &str> = Err("credential-untrusted");
        vec![
            ("passed on", self.passed_on(|_| {}, &self.alice), Ok(())),
            (
                "passed on by another",
                self.passed_on(|_| {}, &self.bob),
                UNTRUSTED,
            ),
            (
                "passed on with more",
                self.passed_on(|d| d.privileges = &[("control", "false")], &self.alice),
                UNTRUSTED,
            ),
            (
                "passed on for longer",
                self.passed_on(|d| d.expires = "2026-12-28T07:42:26Z", &self.alice),
                UNTRUSTED,
            ),
            (
                "passed on for another slice",
                self.passed_on(|d| d.target = &self.other_slice, &self.alice),
                UNTRUSTED,
            ),
            ("passed on, what may not be", self.unpassable(), UNTRUSTED),
            (
                "passed on from what nobody signed",
                cut_last(
                    &self.passed_on(|_| {}, &self.alice),
                    "<Signature ",
                    "</Signature>",
                ),
                INVALID,
            ),
        ]
    }

    fn unpassable(&self) -> String {
        let first = Draft {
            privileges: &[("embed", "false")],
            ..self.draft()
        }
        .write();
        let second = Draft {
            id: "ref1",
            owner: &self.bob,
            privileges: &[("embed", "false")],
            parent: Some(&first),
            ..self.draft()
        }
        .write();
        envelope(
            &second,
            &format!(
                "{}{}",
                Sign::usual(&self.sa, "ref0").over(&first),
                Sign::usual(&self.alice, "ref1").over(&second)
            ),
        )
    }
}

fn cut_last(text: &str, from: &str, to: &str) -> String {
    let start = text.rfind(from).unwrap();
    let end = start + text[start..].find(to).unwrap() + to.len();
    format!("{}{}", &text[..start], &text[end..])
}
