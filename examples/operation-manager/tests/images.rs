//! Copies of an image at a site, from the command line.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, and what they share"
)]

mod support;

use support::Stage;

#[test]
fn a_copy_is_seen_and_dropped_when_nobody_needs_it() {
    let stage = Stage::new();
    stage.load();
    let file = stage.home.write("disk.img", "bytes");
    stage
        .operator(&["image", "add", "disk", file.to_str().unwrap()])
        .good();
    let none = stage.operator(&["image", "copies", "disk"]).good().out;
    assert!(none.contains("No site has a copy"), "{none}");
    stage
        .operator(&["appliance", "add", "imaged", "--image", "disk"])
        .good();
    let body = stage.home.write("imaged.json", "{}");
    stage
        .operator(&[
            "implementation",
            "add",
            "imaged",
            body.to_str().unwrap(),
            "--site-type",
            "sim",
            "--media-type",
            "application/vnd.rm.sim+json",
        ])
        .good();
    let made = stage
        .user(&["cluster", "create", "imaged", "--name", "one"])
        .good();
    assert!(
        made.err.contains("an image is on its way to the site"),
        "who waits for it sees how far it is: {}",
        made.err
    );

    let copies = stage
        .operator(&["image", "copies", "disk", "--json"])
        .good()
        .json();
    assert_eq!(copies[0]["state"], "ready");
    assert_eq!(copies[0]["needed_by"], 1);
    let copy = copies[0]["id"].as_str().unwrap().to_owned();
    let table = stage.operator(&["image", "copies", "disk"]).good().out;
    assert!(
        table.contains("NEEDED BY") && table.contains(&copy),
        "{table}"
    );
    stage
        .operator(&["image", "drop-copy", "disk", &copy])
        .bad(1, &["a cluster needs the copy", "delete those clusters"]);
    stage
        .user(&["image", "copies", "disk"])
        .bad(1, &["\"operator\""]);

    stage.user(&["cluster", "delete", "one"]).good();
    let dropped = stage
        .operator(&["image", "drop-copy", "disk", &copy])
        .good();
    assert!(dropped.out.contains("on its way out"), "{}", dropped.out);
}
