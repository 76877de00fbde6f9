//! What the log says of calls that change something.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use tracing_subscriber::fmt::MakeWriter;

use super::lab::lab;
use super::slice::{Slice, nodes, none, value};

/// What was logged on the thread that began it.
#[derive(Clone)]
struct Log(ThreadId, Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if thread::current().id() == self.0 {
            self.1.lock().unwrap().extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_of_a_usual_daemon_tells_which_member_changed_what() {
    let log = Log(thread::current().id(), Arc::default());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // Of the whole program: where tests share one, what another thread meets
    // first without a log would be switched off for all.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let lab = lab("told").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a", "b"])).await);
    value(&slice.all("Provision").await);
    value(&slice.act("geni_start").await);
    value(&slice.all("Status").await);
    value(&slice.all("Delete").await);
    let arguments = vec![slice.urn(), slice.proof(), none()];
    value(&slice.call(3, "Shutdown", arguments).await);
    // What is refused is found by the number that the client was told.
    let answer = slice.allocate(&nodes(&["c"])).await;
    let output = answer.get("output").unwrap().as_text().unwrap();
    let path = "/xmlrpc/am/3.0";
    let fault = lab.post(&lab.alice, path, "no call".to_owned()).await;

    let said = String::from_utf8(log.1.lock().unwrap().clone()).unwrap();
    let told: Vec<&str> = said.lines().filter(|l| l.contains(": changed ")).collect();
    let methods = [
        ("Allocate", 2),
        ("Provision", 2),
        ("PerformOperationalAction", 2),
        ("Delete", 2),
        ("Shutdown", 0),
    ];
    assert_eq!(told.len(), methods.len(), "{said}");
    for (line, (method, slivers)) in told.iter().zip(methods) {
        for part in [
            "request=".to_owned(),
            format!("method=\"{method}\""),
            format!("slivers={slivers}"),
            format!("member={:?}", lab.alice.urn.as_str()),
            format!("slice={:?}", slice.party.urn.as_str()),
        ] {
            assert!(line.contains(&part), "{part} in {line}");
        }
    }
    assert!(said.contains("a slice was shut down"), "{said}");
    for told in [output, &fault] {
        let (_, rest) = told.rsplit_once("(request ").unwrap();
        let (number, _) = rest.split_once(')').unwrap();
        let mut lines = said.lines().filter(|l| l.contains(": refused "));
        assert!(lines.any(|l| l.contains(number)), "{number} in {said}");
    }
}
