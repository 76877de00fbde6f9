//! One appliance by one name, on a real cloud or on real containers: who asks
//! for a cluster of it does not say where, and is served alike.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cloud::{Cloud, TEMPLATE, template};

const APPLIANCE: &str = "cluster";
/// The site of containers.
const HERE: &str = "here";
/// A cloud that does not answer.
const AWAY: &str = "away";
/// The cloud that `Cloud::load_site` registers.
const CLOUD: &str = "lab";

/// What the lab of containers says of itself.
fn facts(dir: &Path) -> Value {
    let text = std::fs::read(dir.join("lab.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// A part of this machine's memory, in MiB, of which two nodes find room beside
/// what else is tried there, and nine never do.
fn an_eighth_of_this_machine() -> u64 {
    let facts = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total = facts.lines().find(|l| l.starts_with("MemTotal:")).unwrap();
    let kib: u64 = total.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024 / 8
}

/// The same appliance, of containers.
fn of_containers() -> Value {
    let role = |name: &str, count: Value| {
        json!({"name": name, "count": count, "node": {
            "image": "small", "vcpus": 1, "memory_mib": an_eighth_of_this_machine(),
            "hostname": format!("anywhere-{name}{{{{index}}}}"),
        }})
    };
    json!({
        "roles": [role("master", json!(1)), role("slave", json!("slaves"))],
        "master": "master",
    })
}

/// Opens the daemon's own site of containers.
fn section(lab: &Value) -> String {
    let text = |at: &str| lab.pointer(at).and_then(Value::as_str).unwrap().to_owned();
    format!(
        "\n[vm]\nvcpus_per_cpu = 1000\n[vm.sites.{HERE}]\nbridge = \"{}\"\n\
         pools = [{{first = \"{}\", last = \"{}\", prefix = 24}}]\n",
        text("/bridge"),
        text("/ipv4/first"),
        text("/ipv4/last"),
    )
}

fn credential(cloud: &Cloud, site: &str, secret: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let words = ["credential", "add", site, "--site", site, "--user", "user"];
    let secret = [
        "--tenant",
        "user",
        "--secret-file",
        secret.to_str().unwrap(),
    ];
    cloud.operator(&[&words[..], &secret].concat()).good();
}

/// The site of containers, its image, the cloud that is away, and the
/// appliance with an implementation for each type of site.
fn load(cloud: &Cloud, lab: &Value) {
    let url = format!("file:{}", lab["lxcpath"].as_str().unwrap());
    cloud
        .operator(&["site", "add", HERE, "--api", "lxc", "--url", &url])
        .good();
    credential(cloud, HERE, &cloud.home.write("empty.json", "{}"));
    // Nobody listens at the first port.
    let nowhere = "http://127.0.0.1:1/v3";
    let words = ["site", "add", AWAY, "--api", "openstack", "--url", nowhere];
    cloud.operator(&words).good();
    let secret = r#"{"username": "nobody", "password": "x", "project_name": "none"}"#;
    credential(cloud, AWAY, &cloud.home.write("away.json", secret));

    let archive = lab["image"]["archive"].as_str().unwrap();
    let words = ["image", "add", "small", archive, "--disk-format", "rootfs"];
    cloud.operator(&words).good();
    cloud.load_appliance(APPLIANCE, &template(TEMPLATE));
    let file: PathBuf = cloud
        .home
        .write("containers.json", &of_containers().to_string());
    let words = ["implementation", "add", APPLIANCE, file.to_str().unwrap()];
    let media = "application/vnd.resource-manager.nodes+json";
    let more = ["--site-type", "lxc", "--media-type", media];
    cloud.operator(&[&words[..], &more].concat()).good();
}

/// The site, of those that a plan considers, with its verdict.
fn considered<'a>(told: &'a Value, site: &str) -> &'a Value {
    let all = told["considered"].as_array().unwrap();
    all.iter()
        .find(|c| c["site"] == site)
        .unwrap_or_else(|| panic!("{site} is not considered: {told:#}"))
}

#[test]
fn one_appliance_is_made_on_a_cloud_or_of_containers_wherever_there_is_room() {
    let test = "one_appliance_is_made_on_a_cloud_or_of_containers";
    let Some(containers) = needs::lab(test, "RM_LAB_LXC") else {
        return;
    };
    let Some(mut cloud) = Cloud::open(test) else {
        return;
    };
    let lab = facts(&containers);
    cloud.stop();
    let config = cloud.home.read("operation-manager.toml") + &section(&lab);
    cloud.home.write("operation-manager.toml", &config);
    cloud.start();
    load(&cloud, &lab);
    let make = |slaves: &str| {
        let words = ["--json", "cluster", "create", APPLIANCE];
        let more = ["--slaves", slaves, "--reuse", "never"];
        cloud.user(&[&words[..], &more].concat()).good().json()
    };

    // The only cloud does not answer: containers are chosen, and it is said why.
    let plan = ["--json", "plan", APPLIANCE, "--slaves", "1"];
    let told = cloud.user(&plan).good().json();
    assert_eq!(considered(&told, HERE)["verdict"], "chosen", "{told:#}");
    assert_eq!(considered(&told, AWAY)["verdict"], "refused", "{told:#}");
    let small = make("1");
    assert_eq!(small["site"], HERE, "{small:#}");

    // There is a cloud now, and it has room for what the machine has not.
    cloud.load_site();
    let plan = ["--json", "plan", APPLIANCE, "--slaves", "8"];
    let told = cloud.user(&plan).good().json();
    assert_eq!(considered(&told, CLOUD)["verdict"], "chosen", "{told:#}");
    let why = considered(&told, HERE);
    assert_eq!(why["verdict"], "refused", "{told:#}");
    assert!(why["why"].to_string().contains("9 are needed"), "{told:#}");
    let large = make("8");
    assert_eq!(large["site"], CLOUD, "{large:#}");

    // Both are the same to whoever has them.
    for (made, hosts) in [(&small, 2), (&large, 9)] {
        let id = made["id"].as_str().unwrap();
        let shown = cloud.user(&["--json", "cluster", "show", id]).good().json();
        assert_eq!(shown["state"], "ready", "{shown:#}");
        assert_eq!(shown["hosts"].as_array().unwrap().len(), hosts, "{shown:#}");
        let master = |h: &Value| h["role"] == "master" && h["address"] == shown["address"];
        assert!(
            shown["hosts"].as_array().unwrap().iter().any(master),
            "{shown:#}"
        );
        cloud.user(&["cluster", "resize", id, "-1"]).good();
        let shown = cloud.ready(id);
        assert_eq!(shown["hosts"].as_array().unwrap().len(), hosts - 1);
    }
    let stack = format!("/{}/", large["id"].as_str().unwrap());
    assert_eq!(cloud.stacks(&stack).len(), 1);
    for made in [small, large] {
        let id = made["id"].as_str().unwrap();
        cloud.user(&["cluster", "delete", id]).good();
    }
    cloud.gone(&stack);
    let left = cloud.user(&["--json", "cluster", "list"]).good().json();
    assert_eq!(left, json!([]));
}
