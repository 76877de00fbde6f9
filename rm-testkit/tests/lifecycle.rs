//! One cluster from request to nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rm_core::ErrorKind;
use rm_core::clusters::Size;
use rm_core::life::State;
use rm_testkit::Scene;

#[test]
fn a_cluster_is_made_resized_and_seen_to_be_gone() {
    let scene = Scene::new(1);
    scene.start_engine();
    scene.run(async |s| {
        let made = s.clusters().create(&s.alice, &s.request(3)).await.unwrap();
        assert!(!made.reused);
        let id = made.cluster.id();
        let cluster = s.ready(&s.alice, id).await.unwrap();
        assert_eq!(
            cluster.record().seen,
            State::Ready,
            "{:?}",
            cluster.record()
        );
        let view = cluster.view().unwrap();
        assert_eq!(view.hosts.len(), 4);
        assert_eq!(view.hosts[0].role, "master");
        assert_eq!(view.address, view.hosts[0].address);
        assert_eq!(view.outputs["console"], "http://10.0.0.10:8088");
        assert_eq!(s.counter("quota/physics/clusters").await, 1);
        assert_eq!(s.counter("quota/physics/nodes").await, 4);

        for (size, slaves) in [(Size::To(5), 5), (Size::By(1), 6), (Size::By(-3), 3)] {
            s.clusters().resize(&s.alice, id, size).await.unwrap();
            let cluster = s.ready(&s.alice, id).await.unwrap();
            assert_eq!(cluster.record().seen, State::Ready);
            assert_eq!(cluster.spec().unwrap().slaves, slaves);
            assert_eq!(cluster.view().unwrap().hosts.len(), slaves as usize + 1);
            assert_eq!(
                s.counter("quota/physics/nodes").await,
                u64::from(slaves) + 1
            );
            assert_eq!(s.cloud.of(id, s.world.now())[0].slaves, slaves);
        }
        let e = s
            .clusters()
            .resize(&s.alice, id, Size::By(-4))
            .await
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);

        cluster.release(&s.alice, None).await.unwrap();
        assert!(s.gone(&s.alice, id).await.unwrap());
        assert_eq!(s.cloud.everything(s.world.now()), []);
        assert_eq!(s.records().await, []);
        assert_eq!(s.counter("quota/physics/clusters").await, 0);
        assert_eq!(s.counter("quota/physics/nodes").await, 0);
        assert_eq!(s.faults().await, Vec::<String>::new());
    });
}
