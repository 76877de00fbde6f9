//! What is found at a real Heat under our mark and in no record.

use serde_json::Value;

use crate::cloud::{Cloud, TEMPLATE, template};

const NEVER_HEARD_OF: &str = "0190a5c1-7c3e-7d10-8a55-3f0e6b7c9d21";

/// What a report says of the stack of this name.
#[track_caller]
fn of<'a>(report: &'a Value, id: &str) -> &'a Value {
    let items = report["items"].as_array().unwrap();
    let is = |item: &&Value| item["id"].as_str().unwrap().ends_with(id);
    let found = items.iter().find(is);
    found.unwrap_or_else(|| panic!("{id} is not in {report:#}"))
}

#[test]
fn an_orphan_made_by_hand_is_reported_with_its_age_and_reclaimed_and_nothing_else_is() {
    let Some(cloud) = Cloud::open("an_orphan_made_by_hand_is_reported") else {
        return;
    };
    cloud.load_site();
    cloud.load_appliance("cluster", &template(TEMPLATE));
    let id = cloud.cluster("cluster");
    let gone = cloud.cluster("cluster");
    cloud.user(&["cluster", "delete", &gone]).good();
    let (own, run) = (&cloud.installation, &cloud.installation);
    let plant = |name: &str, mark: String| cloud.plant(&format!("{name}-{run}"), &mark);
    // Of a cluster that is gone; of an earlier try; of the very same one as is
    // there; of a resource that no record knows; and a sibling's.
    let orphan = plant("gone", format!("{own}/{gone}/2/1"));
    let earlier = plant("earlier", format!("{own}/{id}/0/1"));
    let same = plant("same", format!("{own}/{id}/1/1"));
    let unheard = plant("unheard", format!("{own}/{NEVER_HEARD_OF}/1/1"));
    let sibling = format!("{own}.b");
    plant("sibling", format!("{sibling}/{id}/1/1"));

    let report = cloud.operator(&["--json", "orphans"]).good().json();
    for (thing, verdict, why) in [
        (&orphan, "orphan", "its record ended"),
        (&earlier, "orphan", "of an earlier try"),
        (&same, "ambiguous", "of the same try"),
        (&unheard, "unheard", "was a store lost?"),
    ] {
        let told = of(&report, thing);
        assert_eq!(told["verdict"], verdict, "{told:#}");
        assert!(told["why"].as_str().unwrap().contains(why), "{told:#}");
        assert_eq!(
            (&told["site"], &told["credential_name"]),
            (&"lab".into(), &"user/mine".into())
        );
        assert!(told["age_seconds"].as_u64().unwrap() < 3600, "{told:#}");
    }
    assert_eq!(report["items"].as_array().unwrap().len(), 4, "{report:#}");
    assert_eq!(report["owned"], 1);
    assert!(report["foreign"].as_u64().unwrap() >= 1, "{report:#}");
    let table = cloud.operator(&["orphans"]).good().out;
    assert!(
        table.contains("AGE") && table.contains("never touched"),
        "{table}"
    );

    // Only what is certain goes, and it is said that something is left.
    let done = cloud.operator(&["--json", "orphans", "--reclaim"]);
    assert_eq!(done.code, 1, "{}", done.err);
    let done = done.json();
    let result = |thing: &str| {
        let all = done["done"].as_array().unwrap();
        let is = |d: &&Value| d["id"].as_str().unwrap().ends_with(thing);
        all.iter().find(is).unwrap()["result"].clone()
    };
    assert_eq!(result(&orphan), "accepted", "{done:#}");
    assert_eq!(result(&earlier), "accepted", "{done:#}");
    assert_eq!(result(&same), "left", "{done:#}");
    assert_eq!(result(&unheard), "left", "{done:#}");
    cloud.gone(&format!("{own}/{gone}/"));
    cloud.gone(&format!("{own}/{id}/0/"));
    assert_eq!(cloud.stacks(&format!("{own}/{id}/1/")).len(), 2);
    assert_eq!(cloud.stacks(NEVER_HEARD_OF).len(), 1);

    // What was never heard of goes where somebody says that it is meant.
    let unheard = ["orphans", "--reclaim", "--unheard"];
    assert_eq!(cloud.operator(&unheard).code, 1, "one is ambiguous yet");
    cloud.gone(&format!("{own}/{NEVER_HEARD_OF}"));

    // Nobody has touched the others.
    assert_eq!(cloud.stacks(&format!("{sibling}/")).len(), 1);
    let shown = cloud
        .user(&["--json", "cluster", "show", &id])
        .good()
        .json();
    assert_eq!(shown["state"], "ready", "{shown:#}");
    cloud.user(&["cluster", "delete", &id]).good();
    cloud.remove(&format!("{own}/{id}/"));
    cloud.remove(&format!("{sibling}/"));
}
