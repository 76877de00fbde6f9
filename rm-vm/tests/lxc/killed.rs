//! The program is killed while it is at the disk of a container.
//!
//! The test is both: started with [`STORE`] in its environment it is the program,
//! which does what it reads and says how far it is.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rm_core::ResourceId;
use rm_core::model::{Action, NodeSpec};
use rm_core::store::By;

use crate::house::Program;
use crate::lab::Lab;

/// Where the program that is killed keeps its store.
const STORE: &str = "RM_TEST_KILLED_STORE";
const TEST: &str = "killed_while_it_is_at_a_disk_it_ends_that_and_leaves_nothing";
/// What it says is told from what is said of it.
const SAYS: &str = "program: ";
/// Kills of each action.
const KILLS: u32 = 4;

/// The program, until it is killed.
async fn live(lab: &Lab, store: &Path) {
    let place = lab.place().with_last([236, 239]);
    let p = Program::kept(place, "tkilled", store).await;
    let all = p.host.store().resources(&By::All, None, 1).await.unwrap();
    let mut node = all.items.first().map(|row| row.record.id);
    if let Some(id) = node {
        tell(&p, id).await;
    }
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (what, name) = line.split_once(' ').unwrap_or((&line, ""));
        let action = match (what, node) {
            ("make", _) => {
                let (id, _) = p.node(lab.spec()).await;
                node = Some(id);
                tell(&p, id).await;
                continue;
            }
            ("end", Some(id)) => {
                p.end(id).await;
                eprintln!("{SAYS}gone");
                continue;
            }
            ("snapshot", _) => Action::Snapshot(name.to_owned()),
            ("restore", _) => Action::Restore(name.to_owned()),
            _ => Action::Reimage,
        };
        let id = node.unwrap();
        let node = p.get(id).await;
        let done = node.view().unwrap().done;
        let ask = |spec: &mut NodeSpec| spec.ask(action.clone(), done).map(|_| ());
        node.change(&p.user, ask).await.unwrap();
        eprintln!("{SAYS}asked");
        tell(&p, id).await;
    }
}

/// What a node is called, what was done with it, and its snapshots.
async fn tell(p: &Program, id: ResourceId) {
    let node = p.ready(id).await;
    assert_eq!(node.record().reason, "", "{:#?}", node.record());
    let view = node.view().unwrap();
    let snapshots = view.snapshots.join(" ");
    eprintln!("{SAYS}{} {} {snapshots}", view.name, view.done);
}

struct Life {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStderr>,
}

impl Life {
    fn begin(store: &Path) -> Self {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", &format!("killed::{TEST}"), "--nocapture"]);
        program.env(STORE, store).stdout(Stdio::null());
        program.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        Self {
            to: child.stdin.take(),
            from: BufReader::new(child.stderr.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, what: &str) -> String {
        writeln!(self.to.as_ref().unwrap(), "{what}").unwrap();
        self.hear()
    }

    /// Nobody asks it for anything any more, and it ends by itself.
    fn end(mut self) {
        self.to = None;
        assert!(self.child.wait().unwrap().success());
    }

    fn hear(&mut self) -> String {
        let mut heard = String::new();
        loop {
            let mut line = String::new();
            let some = self.from.read_line(&mut line).unwrap();
            assert_ne!(some, 0, "it ended: {heard}");
            if let Some(says) = line.strip_prefix(SAYS) {
                return says.trim().to_owned();
            }
            heard += &line;
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string());
    names.map(Result::unwrap).collect()
}

/// Whether a tool listens to the containers of a path.
fn listens(path: &Path) -> bool {
    let (tool, path) = ("lxc-monitor\0", path.to_str().unwrap());
    names(Path::new("/proc")).iter().any(|process| {
        let words = std::fs::read_to_string(format!("/proc/{process}/cmdline"));
        words.is_ok_and(|words| words.starts_with(tool) && words.contains(path))
    })
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_is_at_a_disk_it_ends_that_and_leaves_nothing() {
    let Some(lab) = Lab::find(TEST) else {
        return;
    };
    let lab = lab.apart("rm-killed");
    if let Some(store) = std::env::var_os(STORE) {
        return live(&lab, store.as_ref()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    let mut life = Life::begin(&store);
    let mut killed = Vec::new();
    for what in ["snapshot", "restore", "reimage"] {
        // Undisturbed first: how long it takes.
        let mut whole = Duration::ZERO;
        for kill in 0..=KILLS {
            let said = life.ask("make");
            let name = said.split(' ').next().unwrap().to_owned();
            // Large enough that a copy of it can be cut off.
            let fill = "head -c 40000000 /dev/zero > /large; echo kept > /word; sync";
            lab.inside(&name, fill);
            let (word, done) = match what {
                "snapshot" => ("kept\n", format!("{name} 1 kept")),
                "restore" => ("kept\n", format!("{name} 2 kept")),
                _ => ("", format!("{name} 1")),
            };
            if what == "restore" {
                assert_eq!(life.ask("snapshot kept"), "asked");
                assert_eq!(life.hear(), format!("{name} 1 kept"));
                lab.inside(&name, "echo other > /word");
            }
            let mut links = BTreeSet::from([lab.host_link(&name)]);
            let mut parts = names(&lab.path.join(&name));
            let began = Instant::now();
            assert_eq!(life.ask(&format!("{what} kept")), "asked");
            if kill > 0 {
                // Spread evenly over the whole.
                let after = whole * (2 * kill - 1) / (2 * KILLS);
                tokio::time::sleep(after).await;
                drop(life);
                life = Life::begin(&store);
                killed.push(format!("{what}+{after:.0?}"));
            }
            let when = killed.last();
            assert_eq!(life.hear(), done, "{when:?}");
            whole = whole.max(began.elapsed() * u32::from(kill == 0));

            // It runs, with the disk that it is to have, and can be worked with.
            assert_eq!(lab.state(&name), "RUNNING", "{when:?}");
            let read = "cat /word 2>/dev/null; echo fine > /tried && cat /tried";
            assert_eq!(lab.inside(&name, read), format!("{word}fine"), "{when:?}");
            // And nothing is there that was begun.
            let own = lab.path.join(&name);
            let mut kept = BTreeSet::new();
            if what != "reimage" {
                kept.insert("kept".to_owned());
                parts.insert("snapshots".to_owned());
            }
            assert_eq!(names(&own), parts, "{when:?}");
            assert_eq!(names(&own.join("snapshots")), kept, "{when:?}");
            let disk = names(&own.join("overlay"));
            assert_eq!(disk, set(["delta", "work"]), "{when:?}");
            assert_eq!(names(&lab.path), set([".images", &name]), "{when:?}");
            links.insert(lab.host_link(&name));

            assert_eq!(life.ask("end"), "gone");
            assert_eq!(names(&lab.path), set([".images"]), "{when:?}");
            assert_eq!(lab.cgroups(&name), [""; 0], "{when:?}");
            let there = names(Path::new("/sys/class/net"));
            assert!(links.is_disjoint(&there), "{when:?}");
        }
    }
    println!("killed at: {}", killed.join(", "));
    life.end();
    // What those listened with who were killed has heard of others since.
    let gone = async {
        while listens(&lab.path) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let soon = Duration::from_secs(20);
    tokio::time::timeout(soon, gone).await.unwrap();
}
