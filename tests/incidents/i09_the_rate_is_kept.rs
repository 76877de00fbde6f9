//! I9: a site is asked no more often than it can bear.

use rm_core::life::State;
use rm_testkit::{Fault, Verb};

use crate::support::{always, ask, have, is_there, next, scene, secs, sound};

/// <https://github.com/hetznercloud/hcloud-go/issues/79>: polling every 500 ms
/// used up the 3,600 requests of an hour.
#[test]
fn hcloud_go_79() {
    let scene = scene(1);
    scene.run(async |s| {
        let mut ids = Vec::new();
        for _ in 0..30 {
            next(s, Verb::Create, Fault::Hangs(secs(3000)));
            ids.push(ask(s, 1).await);
        }
        let begun = s.cloud.count(Verb::Observe);
        s.world.sleep(secs(3000)).await;
        let looks = s.cloud.count(Verb::Observe) - begun;
        assert!(looks < 1200, "{looks} looks at 30 things in 50 minutes");
        assert_eq!(s.cloud.most_looks_at_once(), 1);
        for id in ids {
            is_there(s, id, 1).await;
        }
        // What is settled is hardly looked at.
        let settled = s.cloud.count(Verb::Observe);
        s.world.sleep(secs(3600)).await;
        let looks = s.cloud.count(Verb::Observe) - settled;
        assert!(looks <= 70, "{looks} looks at what is settled in an hour");
    });
}

/// <https://github.com/terraform-provider-openstack/terraform-provider-openstack/issues/1365>:
/// 429 was an error, and not a request to come again.
#[test]
fn terraform_provider_openstack_1365() {
    let scene = scene(1);
    scene.run(async |s| {
        for verb in [Verb::Create, Verb::Observe] {
            next(s, verb, Fault::TooMany(secs(40)));
        }
        let asked = s.world.now();
        let id = ask(s, 1).await;
        is_there(s, id, 1).await;
        assert!(
            s.world.now().since(asked) >= secs(40),
            "it came again later"
        );
        assert_eq!(s.cloud.ever_of(id).len(), 1);
        sound(s).await;
    });
}

/// <https://github.com/VertebrateResequencing/wr/issues/38>: a cloud that was
/// in trouble was asked the harder for it.
#[test]
fn wr_38() {
    let scene = scene(1);
    scene.run(async |s| {
        let id = have(s, 1).await;
        always(s, Verb::Create, Fault::LostBefore);
        let other = ask(s, 1).await;
        s.world.sleep(secs(1800)).await;
        let tried = s.cloud.count(Verb::Create);
        assert!(tried <= 40, "{tried} creates in half an hour");
        s.cloud.calm();
        is_there(s, other, 1).await;
        let ready = s.clusters().get(&s.alice, id).await.unwrap();
        assert_eq!(ready.record().seen, State::Ready);
        sound(s).await;
    });
}
