//! What the log says of calls that change something.

use tracing::Level;

use super::lab::lab;
use super::log::Log;
use super::slice::{Slice, nodes, none, value};

#[tokio::test]
async fn the_log_of_a_usual_daemon_tells_which_member_changed_what() {
    let log = Log::begin(Level::INFO);
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
    let nowhere = lab.post(&lab.alice, "/nowhere", String::new()).await;

    let said = log.said();
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
    for told in [output, &fault, &nowhere] {
        let (_, rest) = told.rsplit_once("(request ").unwrap();
        let (number, _) = rest.split_once(')').unwrap();
        let mut lines = said.lines().filter(|l| l.contains(": refused "));
        assert!(lines.any(|l| l.contains(number)), "{number} in {said}");
    }
}
