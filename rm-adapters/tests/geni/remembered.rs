//! Credentials that are not verified again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rm_adapters::geni::Urn;
use rm_adapters::geni::credentials::{
    Anchors, Certificate, Credential, CredentialVerifier, Remembering, SpeaksFor, XmlVerifier,
};
use rm_core::Result;
use rm_core::env::Timestamp;

use super::corpus::{SOON, world};

/// Tells how often it was asked.
#[derive(Debug, Default)]
struct Counting(AtomicU32);

impl Counting {
    fn asked(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

impl CredentialVerifier for Counting {
    fn credential(&self, xml: &str, anchors: &Anchors, now: Timestamp) -> Result<Credential> {
        self.0.fetch_add(1, Ordering::SeqCst);
        XmlVerifier.credential(xml, anchors, now)
    }

    fn speaks_for(
        &self,
        xml: &str,
        user: &Urn,
        caller: &Certificate,
        anchors: &Anchors,
        now: Timestamp,
    ) -> Result<SpeaksFor> {
        XmlVerifier.speaks_for(xml, user, caller, anchors, now)
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

const NOW: &str = "2026-11-21T20:00:00Z";

#[test]
fn what_was_accepted_is_verified_again_as_soon_as_something_can_have_changed() {
    let world = world();
    let counting = Arc::new(Counting::default());
    let remembering = Remembering::new(Arc::clone(&counting) as _);
    let judged = |xml: &str, anchors: &Anchors, now: Timestamp| {
        let judged = remembering.credential(xml, anchors, now);
        let code = |e: rm_core::Error| e.stable_code().to_owned();
        (judged.map(|c| c.owner_urn).map_err(code), counting.asked())
    };
    let (xml, now) = (world.usual(&world.draft()), at(NOW));
    let alice = || Ok::<Urn, String>(world.alice.urn.clone());
    let refused = |code: &str| Err::<Urn, String>(code.to_owned());

    assert_eq!(judged(&xml, &world.anchors, now), (alice(), 1));
    let later = now.plus(Duration::from_secs(3600));
    for now in [now, later] {
        assert_eq!(judged(&xml, &world.anchors, now), (alice(), 1));
    }
    // Before it was accepted nothing is known of it.
    let earlier = at("2026-11-21T19:00:00Z");
    assert_eq!(judged(&xml, &world.anchors, earlier), (alice(), 2));

    // Another text is another credential, and refused as often as it comes.
    let changed = xml.replacen("embed", "sa", 1);
    for asked in [3, 4] {
        let invalid = refused("credential-invalid");
        assert_eq!(judged(&changed, &world.anchors, now), (invalid, asked));
    }
    // Other roots are asked again, and again when the former ones are back and
    // something else was accepted meanwhile.
    let others = Anchors::new(vec![world.elsewhere.certificate()]);
    let untrusted = refused("credential-untrusted");
    assert_eq!(judged(&xml, &others, now), (untrusted, 5));
    let more = Anchors::new(vec![world.root.certificate()]);
    assert_eq!(judged(&xml, &more, now), (alice(), 6));
    assert_eq!(judged(&xml, &world.anchors, now), (alice(), 7));

    let expired = refused("credential-expired");
    assert_eq!(judged(&xml, &world.anchors, at(SOON)), (expired, 8));
}

#[test]
fn what_is_longer_than_real_credentials_are_is_verified_each_time() {
    let world = world();
    let counting = Arc::new(Counting::default());
    let remembering = Remembering::new(Arc::clone(&counting) as _);
    let xml = world.usual(&world.draft());
    // Space that no signature covers.
    let filled = |bytes: usize| {
        let more = " ".repeat(bytes - xml.len());
        xml.replacen("</signatures>", &format!("{more}</signatures>"), 1)
    };
    for (bytes, asked) in [(16 * 1024, [1, 1]), (16 * 1024 + 1, [2, 3])] {
        let xml = filled(bytes);
        assert_eq!(xml.len(), bytes);
        for asked in asked {
            remembering
                .credential(&xml, &world.anchors, at(NOW))
                .unwrap();
            assert_eq!(counting.asked(), asked, "{bytes}");
        }
    }
}

/// Accepts everything, and tells how often it was asked.
#[derive(Debug)]
struct Accepting(Credential, AtomicU32);

impl CredentialVerifier for Accepting {
    fn credential(&self, _xml: &str, _anchors: &Anchors, _now: Timestamp) -> Result<Credential> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Ok(self.0.clone())
    }

    fn speaks_for(
        &self,
        xml: &str,
        user: &Urn,
        caller: &Certificate,
        anchors: &Anchors,
        now: Timestamp,
    ) -> Result<SpeaksFor> {
        XmlVerifier.speaks_for(xml, user, caller, anchors, now)
    }
}

#[test]
fn of_too_many_that_are_remembered_only_the_one_that_was_verified_first_is_forgotten() {
    let world = world();
    let genuine = world.usual(&world.draft());
    let genuine = XmlVerifier.credential(&genuine, &world.anchors, at(NOW));
    let accepting = Arc::new(Accepting(genuine.unwrap(), AtomicU32::new(0)));
    let remembering = Remembering::new(Arc::clone(&accepting) as _);
    let asked = |n: u64| {
        let now = at(NOW).plus(Duration::from_millis(n));
        let text = n.to_string();
        remembering.credential(&text, &world.anchors, now).unwrap();
        accepting.1.load(Ordering::SeqCst)
    };
    for n in 0..=1024 {
        asked(n);
    }
    assert_eq!(accepting.1.load(Ordering::SeqCst), 1025);
    for n in 1..=1024 {
        assert_eq!(asked(n), 1025, "{n}");
    }
    assert_eq!(asked(0), 1026);
}

#[test]
fn who_remembers_says_what_one_says_who_does_not() {
    let world = world();
    let remembering = Remembering::new(Arc::new(XmlVerifier));
    for _ in 0..2 {
        for (name, xml, verdict) in world.corpus() {
            let judged = remembering.credential(&xml, &world.anchors, at(NOW));
            let judged = judged.as_ref().map(|_| ()).map_err(|e| e.stable_code());
            assert_eq!(judged, verdict, "{name}");
        }
    }
}
