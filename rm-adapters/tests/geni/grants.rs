//! Who may do what with a slice, call by call, and why nobody else may.

use rm_adapters::geni::credentials::{Operation, Privilege};
use rm_adapters::geni::xmlrpc::Value;

use super::authority::{Draft, Sign, envelope, x509};
use super::lab::{Lab, code, lab, options, sfa};
use super::slice::{Slice, WEEK, nodes, none, slivers, value};
use super::table::refused;

/// Every call on a slice that has something, with these credentials.
async fn every_call(slice: &Slice<'_>, brought: &Value) -> Vec<(&'static str, Value)> {
    let (later, start) = (
        Value::text("2026-11-22T20:00:00Z"),
        Value::text("geni_start"),
    );
    let rspec = Value::text(nodes(&["more"]));
    let listing = options(vec![("geni_slice_urn", slice.urn())]);
    let mut answers = Vec::new();
    for (version, method, more) in [
        (
            2,
            "CreateSliver",
            vec![rspec.clone(), Value::Array(vec![]), none()],
        ),
        (2, "SliverStatus", vec![none()]),
        (2, "RenewSliver", vec![later.clone(), none()]),
        (2, "DeleteSliver", vec![none()]),
        (2, "Shutdown", vec![none()]),
        (2, "ListResources", vec![listing]),
        (3, "Allocate", vec![rspec, none()]),
        (3, "Provision", vec![options(vec![])]),
        (3, "Status", vec![none()]),
        (3, "Describe", vec![options(vec![])]),
        (3, "Renew", vec![later, none()]),
        (3, "PerformOperationalAction", vec![start, none()]),
        (3, "Delete", vec![none()]),
        (3, "Shutdown", vec![none()]),
    ] {
        let mut arguments = match (version, method) {
            (2, "ListResources") => vec![],
            (3, "Allocate" | "Shutdown") | (2, _) => vec![slice.urn()],
            _ => vec![slice.urns()],
        };
        arguments.push(brought.clone());
        arguments.extend(more);
        answers.push((method, slice.call(version, method, arguments).await));
    }
    answers
}

/// What lets alice do everything, signed by somebody whom nobody here trusts.
fn strange(lab: &Lab, slice: &Slice<'_>) -> String {
    let statement = Draft {
        id: "ref0",
        owner: &lab.alice,
        target: &slice.party,
        expires: WEEK,
        privileges: &[("*", "true")],
        parent: None,
    }
    .write();
    let sign = Sign {
        key_info: x509(&lab.stranger.pem()),
        ..Sign::usual(&lab.stranger, "ref0")
    };
    envelope(&statement, &sign.over(&statement))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_on_a_slice_is_granted_by_what_does_not_grant_it() {
    let lab = lab("grants").await;
    let slice = Slice::of(&lab, "s");
    value(&slice.allocate(&nodes(&["a"])).await);
    let before = slivers(&value(&slice.all("Status").await));
    let bobs = lab.slice_credential(&lab.bob, &slice.party, WEEK);
    let expired = lab.slice_credential(&lab.alice, &slice.party, "2026-11-21T19:59:59Z");
    for (row, brought, wanted) in [
        ("no credential", vec![], 3),
        ("another's", vec![&bobs], 22),
        ("an untrusted signer's", vec![&strange(&lab, &slice)], 23),
        ("one that has expired", vec![&expired], 21),
    ] {
        let brought = Value::Array(brought.into_iter().map(|xml| sfa(xml)).collect());
        for (method, answer) in every_call(&slice, &brought).await {
            refused(&format!("{method}, {row}"), &answer, wanted);
        }
    }
    assert_eq!(slivers(&value(&slice.all("Status").await)), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_privilege_grants_what_the_table_says_and_nothing_else() {
    let lab = lab("privileges").await;
    let slice = Slice::of(&lab, "s");
    for (name, all, shutdown) in [
        ("*", true, true),
        ("embed", true, true),
        ("sa", true, true),
        ("authority", true, true),
        ("control", true, false),
        ("bind", false, false),
        ("info", false, false),
        ("refresh", false, false),
        ("resolve", false, false),
        ("Embed", false, false),
    ] {
        use Operation as O;
        let privilege = Privilege {
            name: name.to_owned(),
            can_delegate: true,
        };
        for operation in [O::Create, O::Renew, O::Delete, O::Look] {
            assert_eq!(privilege.grants(operation), all, "{name} {operation:?}");
        }
        assert_eq!(privilege.grants(O::Shutdown), shutdown, "{name}");
        let credential = lab.credential(&lab.alice, &slice.party, WEEK, &[(name, "false")]);
        let proof = Value::Array(vec![sfa(&credential)]);
        // Of a slice with nothing here: who may look is told that.
        let arguments = vec![slice.urns(), proof, none()];
        let wanted = if all { 12 } else { 3 };
        let answer = slice.call(3, "Status", arguments).await;
        refused(name, &answer, wanted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_credentials_the_refusal_is_that_of_the_one_that_is_for_the_slice() {
    let lab = lab("nearest").await;
    let slice = Slice::of(&lab, "s");
    let user = lab.user_credential(&lab.alice);
    let other = Slice::of(&lab, "t").credential;
    let own = |expires: &str, may: &'static str| {
        lab.credential(&lab.alice, &slice.party, expires, &[(may, "true")])
    };
    let tampered = slice
        .credential
        .replace("<name>*</name>", "<name>sa</name>");
    assert_ne!(tampered, slice.credential);
    for (row, near, wanted) in [
        ("expired", own("2026-11-21T19:59:59Z", "*"), 21),
        ("tampered", tampered, 20),
        ("untrusted", strange(&lab, &slice), 23),
        ("grants nothing of it", own(WEEK, "info"), 3),
        (
            "another's",
            lab.slice_credential(&lab.bob, &slice.party, WEEK),
            22,
        ),
    ] {
        // As geni-lib brings them, and the other way round.
        let all = [&near, &user, &other, &"not XML".to_owned()].map(|xml| sfa(xml));
        let turned: Vec<Value> = all.iter().rev().cloned().collect();
        for brought in [all.to_vec(), turned] {
            let arguments = vec![slice.urns(), Value::Array(brought), none()];
            let answer = slice.call(3, "Status", arguments).await;
            refused(row, &answer, wanted);
            let output = answer.get("output").unwrap().as_text().unwrap();
            assert!(!output.contains("it is for"), "{row}: {output}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_speaks_for_a_user_by_version_2_where_credentials_are_texts() {
    let lab = lab("speaks-two").await;
    let slice = Slice::of(&lab, "s");
    let tool = lab
        .sa
        .makes("urn:publicid:IDN+lab:one+tool+portal", false, 2040);
    let (alice, portal) = (lab.alice.key_id(), tool.key_id());
    let said = format!(
        "<credential xml:id=\"ref0\"><type>abac</type><serial></serial><owner_gid></owner_gid>\
         <target_gid></target_gid><uuid></uuid><expires>2026-11-21T21:00:00Z</expires><abac><rt0>\
         <version>1.1</version><head><ABACprincipal><keyid>{alice}</keyid></ABACprincipal>\
         <role>speaks_for_{alice}</role></head><tail><ABACprincipal><keyid>{portal}</keyid>\
         </ABACprincipal></tail></rt0></abac></credential>"
    );
    let said = envelope(&said, &Sign::usual(&lab.alice, "ref0").over(&said));
    let create = async |texts: &[&str]| {
        let brought = texts.iter().map(|text| Value::text(*text)).collect();
        let speaking = Value::of([("geni_speaking_for", Value::text(lab.alice.urn.as_str()))]);
        let (rspec, users) = (Value::text(nodes(&["a"])), Value::Array(vec![]));
        let arguments = vec![slice.urn(), Value::Array(brought), rspec, users, speaking];
        lab.call(&tool, 2, "CreateSliver", arguments).await
    };
    refused("no statement", &create(&[&slice.credential]).await, 3);
    value(&create(&[&slice.credential, &said]).await);
    // The same of texts in version 3.
    let texts = [&said, &slice.credential].map(|text| Value::text(text.as_str()));
    let speaking = options(vec![(
        "geni_speaking_for",
        Value::text(lab.alice.urn.as_str()),
    )]);
    let arguments = vec![slice.urns(), Value::Array(texts.to_vec()), speaking];
    let told = slivers(&value(&lab.call(&tool, 3, "Status", arguments).await));
    assert_eq!(told[0].expires, "2026-11-21T21:00:00.000Z");
    assert_eq!(code(&slice.all("Status").await), 0);
}
