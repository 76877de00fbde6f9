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
