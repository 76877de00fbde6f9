//! A disk without room: a file system of the daemon's own, which nobody else
//! sees and which is gone with it.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::stage::Stage;
use crate::support::Home;

/// The command in a name space with a small file system at the folder of its
/// store.
fn on_a_small_disk(home: &Home, command: Command) -> Command {
    let folder = home.path("disk");
    std::fs::create_dir(&folder).unwrap();
    let mut small = Command::new("unshare");
    small
        .args(["--mount", "--map-root-user", "--", "sh", "-c"])
        .arg("mount -t tmpfs -o size=2m tmpfs \"$0\" && exec \"$@\"")
        .arg(&folder)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => small.env(name, value),
            None => small.env_remove(name),
        };
    }
    small
        .env("RM_STORE__PATH", folder.join("store.db"))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::fs::File::create(home.path("daemon.log")).unwrap());
    small
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_changes_nothing_and_goes_on_when_there_is_room() {
    let Some(clouds) = needs::lab("a_full_disk", "RM_LAB_CLOUDS") else {
        return;
    };
    let stage = Stage::open(&clouds, on_a_small_disk).await;
    let disk = stage.home.path("disk");
    let inside = PathBuf::from(format!("/proc/{}/root", stage.daemon.child.id()));
    let filler = inside.join(disk.strip_prefix("/").unwrap()).join("filler");
    let fill = || {
        let mut file = std::fs::File::create(&filler).unwrap();
        let full = (0..100_000).find_map(|_| file.write_all(&[7; 512]).err());
        assert_eq!(full.unwrap().kind(), std::io::ErrorKind::StorageFull);
    };
    let body = json!({"appliance": "cluster", "slaves": 1, "hints": {"credential": "mine"}});
    let before = stage.listings().await;
    fill();
    for (path, body) in [
        ("/clusters", body.clone()),
        ("/appliances", json!({"name": "another"})),
    ] {
        let request = stage.request("operator", "POST", path).json(&body);
        let (status, said) = stage.send(request).await;
        assert_eq!(
            (status, said["code"].as_str()),
            (503, Some("store-full")),
            "{said}"
        );
        let text = said.to_string();
        assert!(text.contains("no room left"), "{said}");
        assert_eq!(stage.listings().await, before);
    }
    std::fs::remove_file(&filler).unwrap();
    let made = stage.must("POST", "/clusters", body).await;
    assert_eq!(made["ready"], true, "{made}");
    let path = format!("/clusters/{}", made["id"].as_str().unwrap());

    // Full while it works: what is there goes on being told.
    fill();
    let request = stage.request("operator", "DELETE", &path);
    assert_eq!(stage.send(request).await.0, 503);
    let (status, shown) = stage.send(stage.request("operator", "GET", &path)).await;
    assert_eq!((status, &shown["state"]), (200, &json!("ready")));
    std::fs::remove_file(&filler).unwrap();
    stage.must("DELETE", &path, serde_json::Value::Null).await;
    assert_eq!(stage.listings().await["stacks"], json!([]));
}
