//! What a slice goes through, by one version of the API or the other.

use std::time::Duration;

use rm_adapters::TokioEnv;
use rm_adapters::geni::xmlrpc::Value;
use rm_core::env::{Env as _, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::aggregate::{Slice, Told, rspec_version};

/// How long a step may take where the machine does other things, and where an
/// unknown outcome is waited for.
const TENTHS: u32 = 3000;

/// Something that is done with a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    CreateSliver,
    Allocate,
    Provision,
    Renew,
    Start,
    Delete,
}

impl Step {
    /// The steps of a whole life.
    fn all(version: u8) -> &'static [Self] {
        match version {
            2 => &[Self::CreateSliver, Self::Renew, Self::Delete],
            _ => &[
                Self::Allocate,
                Self::Provision,
                Self::Renew,
                Self::Start,
                Self::Delete,
            ],
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CreateSliver => "CreateSliver",
            Self::Allocate => "Allocate",
            Self::Provision => "Provision",
            Self::Renew => "Renew",
            Self::Start => "geni_start",
            Self::Delete => "Delete",
        }
    }

    /// GENI's code where it is asked for and was done already.
    fn done_before(self) -> i64 {
        match self {
            Self::CreateSliver | Self::Allocate => 17,
            Self::Provision | Self::Renew => 0,
            Self::Start => 13,
            Self::Delete => 12,
        }
    }
}

/// A slice that has two nodes again and again.
#[derive(Debug)]
pub(crate) struct Life {
    slice: Slice,
    version: u8,
    /// Which step is next, or under way.
    at: usize,
    /// How often it has gone through all of them.
    pub(crate) whole: u32,
    /// Under which its nodes are known wherever they are.
    label: String,
    /// When its slivers end, where that was asked for.
    end: Option<Timestamp>,
}

impl Life {
    /// One at its beginning. What all nodes of all slices are called begins
    /// with `label`.
    pub(crate) fn new(slice: Slice, version: u8, label: String) -> Self {
        Self {
            slice,
            version,
            at: 0,
            whole: 0,
            label,
            end: None,
        }
    }

    pub(crate) fn step(&self) -> Step {
        Step::all(self.version)[self.at]
    }

    /// Begins the step; it ends when it was answered.
    pub(crate) fn begin(&mut self) -> JoinHandle<()> {
        if self.step() == Step::Renew {
            self.end = Some(TokioEnv::new().now().plus(Duration::from_secs(24 * 3600)));
        }
        tokio::spawn(perform(
            self.slice.clone(),
            self.version,
            self.step(),
            self.nodes(),
            self.end,
        ))
    }

    /// Waits until the aggregate tells what the step should lead to, with the
    /// end that was given to it; answers what it tells.
    pub(crate) async fn settled(&self) -> Vec<Told> {
        let (allocation, operational) = match (self.step(), self.version) {
            (Step::Delete, _) => ("", ""),
            (Step::Allocate, _) => ("geni_allocated", "geni_pending_allocation"),
            (Step::Provision, _) | (Step::Renew, 3) => ("geni_provisioned", "geni_notready"),
            (Step::CreateSliver | Step::Renew | Step::Start, _) => {
                ("geni_provisioned", "geni_ready")
            }
        };
        let nodes = self.nodes();
        let should: &[String] = match self.step() {
            Step::Delete => &[],
            _ => &nodes,
        };
        let mut told = Vec::new();
        for _ in 0..TENTHS {
            // What was cut off may tell of it for a moment, until it is tried again.
            told = self.slice.told().await;
            let names = told.iter().map(|one| &one.node);
            let is_there =
                |one: &Told| one.allocation == allocation && one.operational == operational;
            let is_there = |one: &Told| is_there(one) && one.error.is_empty();
            if names.eq(should) && told.iter().all(is_there) {
                if let Some(end) = self.end {
                    let end = end.to_string();
                    let kept = told.iter().all(|one| one.expires == end);
                    assert!(kept, "renewed until {end}: {told:?}");
                }
                return told;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("{:?} does not come to its end: {told:?}", self.step());
    }

    /// Goes on to the next step.
    pub(crate) fn go_on(&mut self) {
        self.at += 1;
        if self.at == Step::all(self.version).len() {
            self.at = 0;
            self.whole += 1;
            self.end = None;
        }
    }

    /// Goes on to the last step, whatever it has gone through.
    pub(crate) fn skip_to_the_end(&mut self) {
        self.at = Step::all(self.version).len() - 1;
    }

    /// Whether nothing was made yet in this life.
    pub(crate) fn is_new(&self) -> bool {
        self.at == 0
    }

    /// What its nodes are called: no two lives have the same.
    fn nodes(&self) -> [String; 2] {
        ["a", "b"].map(|node| format!("{}-{}-{node}", self.label, self.whole))
    }
}

/// Does it, whatever becomes of the aggregate meanwhile.
async fn perform(
    slice: Slice,
    version: u8,
    step: Step,
    nodes: [String; 2],
    end: Option<Timestamp>,
) {
    let none = || Value::Struct(Vec::new());
    let until = || Value::text(end.map(|end| end.to_string()).unwrap_or_default());
    let (method, more) = match (step, version) {
        (Step::CreateSliver, _) => {
            let users = Value::Array(Vec::new());
            ("CreateSliver", vec![request(&nodes), users, none()])
        }
        (Step::Allocate, _) => ("Allocate", vec![request(&nodes), none()]),
        (Step::Provision, _) => ("Provision", vec![rspec_version()]),
        (Step::Renew, 2) => ("RenewSliver", vec![until(), none()]),
        (Step::Renew, _) => ("Renew", vec![until(), none()]),
        (Step::Start, _) => (
            "PerformOperationalAction",
            vec![Value::text("geni_start"), none()],
        ),
        (Step::Delete, 2) => ("DeleteSliver", vec![none()]),
        (Step::Delete, _) => ("Delete", vec![none()]),
    };
    let about = match (version, step) {
        (2, _) | (_, Step::Allocate) => slice.urn(),
        _ => Value::Array(vec![slice.urn()]),
    };
    let arguments = [vec![about, slice.proof()], more].concat();
    let answered = slice.call(version, method, &arguments).await;
    let is_done = answered.repeated && answered.code == step.done_before();
    assert!(answered.code == 0 || is_done, "{method}: {answered:?}");
}

fn request(nodes: &[String; 2]) -> Value {
    let node = |name: &String| {
        format!("<node client_id=\"{name}\" exclusive=\"false\"><sliver_type name=\"lxc\"/></node>")
    };
    let nodes: String = nodes.iter().map(node).collect();
    Value::text(format!(
        "<rspec type=\"request\" xmlns=\"http://www.geni.net/resources/rspec/3\">{nodes}</rspec>"
    ))
}
