//! A daemon whose site is the lab's Heat, and eyes and hands of its own there.

use std::fs::Permissions;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rm_openstack::client::clouds::Clouds;
use rm_openstack::client::heat::{CreateStack, Stack, StackFilter, Template};
use rm_openstack::client::{Heat, Session};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::support::{Daemon, Home, Ran, program, run};

pub(crate) const TEMPLATE: &str = "minimal.yaml";
const SECRET: &str = r#"{"username": "demo", "password": "oslab-user", "project_name": "demo"}"#;

/// The cloud to be used; none, said aloud, where there is none.
fn clouds(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("RM_LAB_CLOUDS").map(PathBuf::from);
    if path.is_none() {
        assert!(std::env::var_os("RM_LAB_REQUIRED").is_none(), "no cloud");
        println!("SKIPPED lab: {test}: RM_LAB_CLOUDS is not set");
        if let Some(log) = std::env::var_os("RM_SKIP_LOG") {
            use std::io::Write;
            let mut options = std::fs::OpenOptions::new();
            let mut log = options.append(true).create(true).open(log).unwrap();
            writeln!(log, "{test}: RM_LAB_CLOUDS is not set").unwrap();
        }
    }
    path
}

pub(crate) fn template(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../lab/openstack/templates")
        .join(name)
}

pub(crate) struct Cloud {
    pub(crate) home: Home,
    daemon: Option<Daemon>,
    /// No other run on the same cloud has it.
    pub(crate) installation: String,
    url: String,
    heat: Heat,
    waits: Runtime,
}

impl Cloud {
    /// A daemon with a new store and nothing in its catalog.
    pub(crate) fn open(test: &str) -> Option<Self> {
        let profile = Clouds::load(&clouds(test)?)
            .unwrap()
            .cloud("oslab")
            .unwrap();
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let clock = Arc::new(move || i64::try_from(now().as_millis()).unwrap());
        let session = Session::new(profile.session_config(clock).unwrap()).unwrap();
        let mut cloud = Self {
            home: Home::new(),
            daemon: None,
            installation: format!("t{}", now().as_nanos() % 1_000_000_000_000),
            url: profile.auth_url.clone(),
            heat: Heat::new(session),
            waits: Builder::new_current_thread().enable_all().build().unwrap(),
        };
        cloud.start();
        Some(cloud)
    }

    pub(crate) fn start(&mut self) {
        let mut command = self.home.daemon("daemon");
        command.env("RM_INSTALLATION__NAME", &self.installation);
        let _ = std::fs::remove_file(self.home.path("daemon.address"));
        self.daemon = Some(self.home.start("daemon", &mut command));
    }

    pub(crate) fn stop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            assert_eq!(daemon.stop().0, 0);
        }
    }

    fn client(&self, who: &str) -> Command {
        self.daemon.as_ref().unwrap().client(&self.home, who)
    }

    pub(crate) fn operator(&self, words: &[&str]) -> Ran {
        run(self.client("operator").args(words))
    }

    pub(crate) fn user(&self, words: &[&str]) -> Ran {
        run(self.client("user").args(words))
    }

    /// A command on the store itself, which no daemon serves just now.
    pub(crate) fn rebuild(&self, words: &[&str]) -> Ran {
        run(program()
            .args(["store", "rebuild", "--config"])
            .arg(self.home.config())
            .args(words)
            .env("RM_INSTALLATION__NAME", &self.installation)
            .stdin(Stdio::null()))
    }

    /// The site `lab` and the user's credential for it.
    pub(crate) fn load_site(&self) {
        let site = [
            "site",
            "add",
            "lab",
            "--api",
            "openstack",
            "--region",
            "RegionOne",
        ];
        self.operator(&[&site[..], &["--url", &self.url]].concat())
            .good();
        let secret = self.home.write("secret.json", SECRET);
        std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        self.operator(&[
            "credential",
            "add",
            "mine",
            "--site",
            "lab",
            "--user",
            "user",
            "--tenant",
            "user",
            "--secret-file",
            secret.to_str().unwrap(),
        ])
        .good();
    }

    /// An appliance that this template makes.
    pub(crate) fn load_appliance(&self, name: &str, body: &Path) {
        self.operator(&["appliance", "add", name]).good();
        self.operator(&[
            "implementation",
            "add",
            name,
            body.to_str().unwrap(),
            "--site-type",
            "openstack",
            "--media-type",
            "application/vnd.openstack.heat+yaml",
        ])
        .good();
    }

    /// A cluster of the user's, ready: its id.
    pub(crate) fn cluster(&self, appliance: &str) -> String {
        let new = ["--slaves", "1", "--reuse", "never"];
        let words = [&["--json", "cluster", "create", appliance][..], &new].concat();
        let made = self.user(&words).good().json();
        made["id"].as_str().unwrap().to_owned()
    }

    /// Waits until the cluster is ready: what is shown of it.
    pub(crate) fn ready(&self, id: &str) -> Value {
        let mut shown = Value::Null;
        for _ in 0..1200 {
            shown = self.user(&["--json", "cluster", "show", id]).good().json();
            if shown["state"] == "ready" {
                return shown;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("it does not get ready: {shown:#}");
    }

    fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.waits.block_on(what)
    }

    /// Somebody makes a stack by hand, with this mark: how the host names it.
    pub(crate) fn plant(&self, name: &str, mark: &str) -> String {
        let body = std::fs::read_to_string(template(TEMPLATE)).unwrap();
        let mut stack = CreateStack::new(name, Template::Text(body));
        stack.tags = vec!["resource-manager".to_owned(), format!("rm={mark}")];
        stack.parameters = [("slaves".to_owned(), 0.into())].into();
        let made = self.wait(self.heat.create(&stack)).unwrap();
        for _ in 0..600 {
            let stack = self.wait(self.heat.show(&made)).unwrap();
            if stack.status.to_string().contains("CREATE_COMPLETE") {
                return format!("{}/{}", made.name, made.id);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the stack {name} is not made");
    }

    /// The living stacks whose tags have this in them, by their names.
    pub(crate) fn stacks(&self, tagged: &str) -> Vec<Stack> {
        let filter = StackFilter {
            tags: vec!["resource-manager".to_owned()],
            ..StackFilter::default()
        };
        let mut all = self.wait(self.heat.list(&filter)).unwrap();
        let has = |tag: &String| tag.contains(tagged);
        all.retain(|s| !s.status.is_deleted() && s.tags.iter().any(has));
        all
    }

    /// Waits until Heat has no such stack any more.
    pub(crate) fn gone(&self, tagged: &str) {
        for _ in 0..1200 {
            if self.stacks(tagged).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{:?} does not go", self.stacks(tagged));
    }

    /// Somebody removes by hand what is left.
    pub(crate) fn remove(&self, tagged: &str) {
        for stack in self.stacks(tagged) {
            self.wait(self.heat.delete(&stack.reference())).unwrap();
        }
        self.gone(tagged);
    }
}
