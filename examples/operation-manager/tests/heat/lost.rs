//! A store that is lost is made anew from the marks at a real Heat.

use serde_json::{Value, json};

use crate::cloud::{Cloud, TEMPLATE, template};

/// The catalog as a person loads it once more, without the appliance `other`.
fn load(cloud: &Cloud) {
    cloud.load_site();
    cloud.load_appliance("cluster", &template(TEMPLATE));
}

#[test]
fn a_lost_store_is_made_anew_from_the_marks_and_what_cannot_be_is_said() {
    let Some(mut cloud) = Cloud::open("a_lost_store_is_made_anew_from_the_marks") else {
        return;
    };
    load(&cloud);
    cloud.load_appliance("other", &template("cluster-size.yaml"));
    let id = cloud.cluster("cluster");
    let other = cloud.cluster("other");
    cloud.user(&["cluster", "resize", &id, "2"]).good();
    cloud.stop();
    let mut lost = 0;
    for file in std::fs::read_dir(cloud.home.dir.path()).unwrap() {
        let path = file.unwrap().path();
        if path.to_string_lossy().contains("operation-manager.db") {
            std::fs::remove_file(path).unwrap();
            lost += 1;
        }
    }
    assert!(lost > 0, "there was a store");

    // The catalog is loaded again; what is at the site is unheard of.
    cloud.start();
    load(&cloud);
    let report = cloud.operator(&["--json", "orphans"]).good().json();
    let items = report["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{report:#}");
    assert!(
        items.iter().all(|i| i["verdict"] == "unheard"),
        "{report:#}"
    );
    cloud.stop();

    // Said first, and written only then.
    for words in [&["--json"][..], &["--json", "--apply"]] {
        let told = cloud.rebuild(words);
        assert_eq!(told.code, 1, "one is not restored: {}", told.err);
        let told = told.json();
        assert_eq!(told["restored"].as_array().unwrap().len(), 1, "{told:#}");
        let restored = &told["restored"][0];
        assert_eq!(restored["resource"], id.as_str(), "{told:#}");
        assert_eq!(
            (&restored["user"], &restored["nodes"]),
            (&"user".into(), &3.into())
        );
        let left = &told["left"][0];
        assert_eq!(left["resource"], other.as_str(), "{told:#}");
        let why = left["why"].as_str().unwrap();
        assert!(why.contains("what it was made by"), "{why}");
        assert!(told["lost"].to_string().contains("leases"), "{told:#}");
    }
    let said = cloud.rebuild(&[]).out;
    for words in [
        "NOT RESTORED",
        "There is nothing to restore",
        "no site can tell",
        "leases",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }

    // It is a cluster again, of the size that it had.
    cloud.start();
    let shown = cloud.ready(&id);
    assert_eq!(shown["hosts"].as_array().unwrap().len(), 3, "{shown:#}");
    cloud.user(&["cluster", "resize", &id, "1"]).good();
    assert_eq!(cloud.stacks(&format!("/{id}/")).len(), 1);
    cloud.user(&["cluster", "delete", &id]).good();
    cloud.gone(&format!("/{id}/"));

    // With the appliance that was missing the other one is restored, too.
    cloud.load_appliance("other", &template("cluster-size.yaml"));
    cloud.stop();
    let told = cloud.rebuild(&["--json", "--apply"]).json();
    assert_eq!(told["left"], json!([]), "{told:#}");
    // This cloud has no images, which is said.
    let skipped = told["skipped"].as_array().unwrap();
    let images = |s: &Value| s["manager"] == "openstack.images";
    assert!(skipped.iter().all(images), "{told:#}");
    assert_eq!(told["restored"][0]["resource"], other.as_str(), "{told:#}");
    cloud.start();
    cloud.ready(&other);
    cloud.user(&["cluster", "delete", &other]).good();
    cloud.gone(&format!("/{other}/"));
}
