//! I1: what a site has accepted is never forgotten.

use rm_core::ErrorKind;
use rm_core::backend::CreateKey;
use rm_core::life::State;
use rm_testkit::{Fault, Rule, Scene, StoreFault, Verb};

use crate::support::{
    always, ask, crash_everywhere, goes, have, is_there, keep_alive, let_go, next, orphans, scene,
    secs, sound, with,
};

/// <https://github.com/openclaw/crabbox/issues/1575>: the answer to an accepted
/// create was lost, the machine was billed for ever, and the release said
/// that all was well.
#[test]
fn crabbox_1575() {
    let scene = scene(1);
    scene.run(async |s| {
        next(s, Verb::Create, Fault::LostAfter);
        let id = ask(s, 2).await;
        is_there(s, id, 2).await;
        assert_eq!(s.cloud.ever_of(id).len(), 1, "it was found, not made again");
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        sound(s).await;
    });
}

/// <https://github.com/allenai/open-instruct/pull/1887>: a gateway cut creates
/// with 504, and what came later had no owner.
#[test]
fn open_instruct_1887() {
    for late in [1, 20, 50] {
        let scene = scene(late);
        scene.run(async |s| {
            next(s, Verb::Create, Fault::Late(secs(late)));
            let id = ask(s, 1).await;
            is_there(s, id, 1).await;
            s.world.sleep(secs(120)).await;
            assert_eq!(s.cloud.ever_of(id).len(), 1);
            sound(s).await;
        });
    }
}

/// <https://github.com/hashicorp/terraform/issues/20718>: state was written at
/// the end only, so that a crash forgot all that had been made.
#[test]
fn terraform_20718() {
    let crashes = crash_everywhere(async |s| {
        let ids = [ask(s, 1).await, ask(s, 2).await];
        keep_alive(s, async |s| {
            let mut ready = 0;
            for id in ids {
                ready += usize::from(s.clusters().get(&s.alice, id).await.unwrap().is_ready());
            }
            ready == ids.len()
        })
        .await;
        for id in ids {
            assert_eq!(s.cloud.ever_of(id).len(), 1);
        }
    });
    assert!(crashes > 20, "{crashes}");
}

/// <https://github.com/crossplane/crossplane/issues/3037>: a controller that
/// crashed between the create and its note of it made a second thing.
#[test]
fn crossplane_3037() {
    let scene = scene(1);
    scene.run(async |s| {
        // The note of the outcome is what fails: intent, then outcome.
        let engine = s.engines().remove(0);
        engine.store.fail(2, StoreFault::Unavailable);
        let id = ask(s, 1).await;
        s.world.sleep(secs(2)).await;
        s.world.kill(engine.id);
        s.restart_crashed();
        is_there(s, id, 1).await;
        assert_eq!(s.cloud.ever_of(id).len(), 1);
        sound(s).await;
    });
}

/// <https://github.com/crossplane-contrib/provider-upjet-aws/issues/1482>: what
/// had been made was made again because its id had not been kept.
#[test]
fn upjet_aws_1482() {
    let scene = scene(1);
    scene.run(async |s| {
        let engine = s.engines().remove(0);
        // The answer of the store is lost: it has the id, and nobody knows.
        engine.store.fail(2, StoreFault::OutcomeLost);
        let id = ask(s, 1).await;
        is_there(s, id, 1).await;
        assert_eq!(s.cloud.count(Verb::Create), 1);
        sound(s).await;
    });
}

/// <https://github.com/run-x/opta/issues/674>: an interrupted run lost its
/// state, and the next one met its own leftovers as strangers.
#[test]
fn opta_674() {
    let scene = scene(1);
    scene.run(async |s| {
        let engine = s.engines().remove(0);
        next(s, Verb::Create, Fault::Slow(secs(10)));
        let id = ask(s, 1).await;
        s.world.sleep(secs(3)).await;
        s.world.kill(engine.id);
        s.restart_crashed();
        is_there(s, id, 1).await;
        assert_eq!(orphans(s).await.orphans, []);
        sound(s).await;
    });
}

/// <https://github.com/nerdsane/temper/pull/431>: the provider's id has to be
/// written down before anything that can still fail.
#[test]
fn temper_431() {
    let scene = with(Scene::builder(1).ready_port(22));
    scene.run(async |s| {
        // What comes after the create never succeeds.
        s.world.open_port(22, false);
        let id = ask(s, 1).await;
        s.world.sleep(secs(30)).await;
        let record = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(record.record().seen, State::Building);
        assert_eq!(
            record.record().remote.as_ref(),
            Some(&s.cloud.of(id, s.world.now())[0].id)
        );
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        sound(s).await;
    });
}

/// <https://github.com/skypilot-org/skypilot/issues/6787>: a launch that was
/// cut off left machines that no status showed.
#[test]
fn skypilot_6787() {
    let scene = scene(1);
    scene.run(async |s| {
        next(s, Verb::Create, Fault::LostAfter);
        let id = ask(s, 4).await;
        // Whoever asked gives up at once, before anybody has looked.
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        assert!(s.cloud.ever_of(id).len() <= 1);
        sound(s).await;
    });
}

/// <https://github.com/jenkinsci/openstack-cloud-plugin/issues/310>: a restart
/// in the middle of provisioning left servers that nobody knew.
#[test]
fn jenkins_openstack_310() {
    let scene = scene(1);
    scene.run(async |s| {
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(ask(s, n).await);
        }
        for _ in 0..10 {
            s.world.sleep(std::time::Duration::from_millis(90)).await;
            let engine = s.engines().remove(0);
            s.world.kill(engine.id);
            s.restart_crashed();
        }
        for (n, id) in (0..).zip(ids) {
            is_there(s, id, n).await;
        }
        sound(s).await;
    });
}

/// <https://github.com/cloudbase/garm/issues/160>: an instance whose creation
/// failed half way stayed at the provider.
#[test]
fn garm_160() {
    let scene = scene(1);
    scene.run(async |s| {
        next(s, Verb::Create, Fault::FailsLater);
        let id = ask(s, 1).await;
        let cluster = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(cluster.record().seen, State::Failed);
        assert_eq!(s.cloud.of(id, s.world.now()).len(), 1, "broken, and known");
        let_go(s, &s.alice, id).await;
        goes(s, id).await;
        sound(s).await;
    });
}

/// DIBBS: the stack was created first and saved in the database afterwards, so
/// that whatever failed between the two lost it. Here with a site that does not
/// even refuse a second thing of one name.
#[test]
fn dibbs_create_save_gap() {
    let scene = scene(1);
    scene.run(async |s| {
        s.cloud.declare(|cap| cap.create_key = CreateKey::TagOnly);
        s.cloud
            .inject(Rule::next(Verb::Create, Fault::LostAfter).times(1));
        let id = ask(s, 1).await;
        is_there(s, id, 1).await;
        assert_eq!(s.cloud.ever_of(id).len(), 1);
        // And what is refused for good has made nothing.
        always(s, Verb::Create, Fault::Refused(ErrorKind::Invalid));
        let other = ask(s, 1).await;
        let failed = s.ready(&s.alice, other).await.unwrap();
        assert_eq!(failed.record().seen, State::Failed);
        assert_eq!(s.cloud.ever_of(other), []);
        s.cloud.calm();
        sound(s).await;
        let third = have(s, 1).await;
        let_go(s, &s.alice, third).await;
        goes(s, third).await;
    });
}
