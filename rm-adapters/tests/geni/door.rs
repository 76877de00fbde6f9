//! Calls over TLS, with client certificates, on a listener.

use std::process::Command;

use rm_adapters::geni::rspec::{Kind as Document, Rspec};
use rm_adapters::geni::states::OPSTATE;
use rm_adapters::geni::xmlrpc::Value;

use super::authority::{Draft, Sign, envelope, x509};
use super::lab::{code, lab, options, request, sfa};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_version_says_what_the_acceptance_tests_want_to_hear() {
    let lab = lab("version").await;
    for version in [2_u8, 3] {
        for arguments in [vec![], vec![Value::Struct(vec![])]] {
            let answer = lab.call(&lab.alice, version, "GetVersion", arguments).await;
            assert_eq!(code(&answer), 0);
            assert_eq!(answer.get("geni_api"), Some(&Value::Int(version.into())));
            assert_eq!(answer.get("output"), Some(&Value::text("")));
            let value = answer.get("value").unwrap();
            assert_eq!(value.get("geni_api"), Some(&Value::Int(version.into())));
            for (n, path) in [("2", "/xmlrpc/am/2.0"), ("3", "/xmlrpc/am/3.0")] {
                let url = value.get("geni_api_versions").unwrap().get(n).unwrap();
                assert_eq!(url.as_text(), Some(&*format!("{}{path}", lab.base)));
            }
            for (list, schema) in [
                ("geni_request_rspec_versions", "request.xsd"),
                ("geni_ad_rspec_versions", "ad.xsd"),
            ] {
                let entry = &value.get(list).unwrap().as_array().unwrap()[0];
                let text = |name: &str| entry.get(name).and_then(Value::as_text);
                assert_eq!(text("type"), Some("GENI"));
                assert_eq!(text("version"), Some("3"));
                let namespace = "http://www.geni.net/resources/rspec/3";
                assert_eq!(text("namespace"), Some(namespace));
                let schema = format!("{namespace}/{schema}");
                assert_eq!(text("schema"), Some(&*schema));
                assert!(entry.get("extensions").unwrap().as_array().is_some());
            }
            let types = value.get("geni_credential_types").unwrap();
            let types = types.as_array().unwrap().iter().map(|kind| {
                let text = |name: &str| kind.get(name).and_then(Value::as_text).unwrap();
                (text("geni_type"), text("geni_version"))
            });
            let types: Vec<_> = types.collect();
            assert_eq!(
                types,
                [("geni_sfa", "2"), ("geni_sfa", "3"), ("geni_abac", "1")]
            );
            if version == 3 {
                assert_eq!(value.get("geni_single_allocation"), Some(&Value::Int(0)));
                assert_eq!(
                    value.get("geni_allocate").unwrap().as_text(),
                    Some("geni_disjoint")
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_clients_with_a_trusted_certificate_are_let_in_and_authorities_are() {
    use reqwest::tls::Version;
    let lab = lab("clients").await;
    let over = lab
        .sa
        .makes("urn:publicid:IDN+lab:one+user+over", false, 2020);
    for newest in [Version::TLS_1_2, Version::TLS_1_3] {
        for (party, let_in) in [
            (Some(&lab.alice), true),
            (Some(&lab.sa), true),
            (Some(&lab.stranger), false),
            (Some(&over), false),
            (None, false),
        ] {
            let client = lab.client(party, newest);
            let asked = client
                .post(format!("{}/xmlrpc/am/3.0", lab.base))
                .body(request("GetVersion", vec![]))
                .send()
                .await;
            // With 1.3 the refusal may come with the first answer.
            let answered = match asked {
                Ok(answer) => answer.text().await.is_ok(),
                Err(_) => false,
            };
            assert_eq!(answered, let_in, "{:?} {newest:?}", party.map(|p| &p.urn));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_resources_shows_what_there_is_to_who_may_see_it() {
    let lab = lab("list").await;
    let mine = lab.user_credential(&lab.alice);
    let brought = Value::Array(vec![sfa(&mine)]);
    for (version, credentials) in [
        (2, Value::Array(vec![Value::text(&mine)])),
        (3, brought.clone()),
    ] {
        let answer = lab
            .call(
                &lab.alice,
                version,
                "ListResources",
                vec![credentials, options(vec![])],
            )
            .await;
        assert_eq!(code(&answer), 0, "{answer:?}");
        let there = Rspec::parse(answer.get("value").unwrap().as_text().unwrap()).unwrap();
        assert_eq!(there.kind(), Some(Document::Advertisement));
        let [node] = &there.nodes[..] else {
            panic!("{there:?}")
        };
        assert_eq!(
            node.component_id.as_deref(),
            Some("urn:publicid:IDN+lab:one+node+rack")
        );
        assert_eq!(node.sliver_types[0].name.as_deref(), Some("lxc"));
        assert_eq!(
            node.sliver_types[0].disk_images[0].name.as_deref(),
            Some("urn:publicid:IDN+lab:one+image+debian")
        );
        assert_eq!(rm_adapters::geni::rspec::faults(&there, None), []);
        let told = there.extra.element(OPSTATE, "rspec_opstate").unwrap();
        assert_eq!(
            told.elements().next().unwrap().attribute("name"),
            Some("lxc")
        );
    }
    let flag = vec![
        ("geni_compressed", Value::Bool(true)),
        ("geni_available", Value::Int(1)),
    ];
    let answer = lab
        .call(&lab.alice, 3, "ListResources", vec![brought, options(flag)])
        .await;
    assert_eq!(code(&answer), 0);
    // RFC 1950, in base64.
    assert!(
        answer
            .get("value")
            .unwrap()
            .as_text()
            .unwrap()
            .starts_with("eJ")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_whatever_is_wrong_with_list_resources_is_told_by_the_struct_and_its_code() {
    let lab = lab("refusals").await;
    let mine = lab.user_credential(&lab.alice);
    let bobs = lab.user_credential(&lab.bob);
    let of_slice = lab.slice_credential(&lab.alice, &lab.slice("s"), "2026-11-28T07:42:26Z");
    let tampered = mine.replace("user+alice</owner_urn>", "user+bob</owner_urn>");
    let statement = Draft {
        id: "ref0",
        owner: &lab.alice,
        target: &lab.alice,
        expires: "2026-11-28T07:42:26Z",
        privileges: &[],
        parent: None,
    }
    .write();
    let strange = envelope(
        &statement,
        &Sign {
            key_info: x509(&lab.stranger.pem()),
            ..Sign::usual(&lab.stranger, "ref0")
        }
        .over(&statement),
    );
    let list = |texts: &[&str]| Value::Array(texts.iter().map(|t| sfa(t)).collect());
    let version = |kind: Value, version: Value| {
        Value::of([(
            "geni_rspec_version",
            Value::of([("type", kind), ("version", version)]),
        )])
    };
    let fine = || options(vec![]);
    let slice = |urn: &str| options(vec![("geni_slice_urn", Value::text(urn))]);
    for (row, credentials, options, v2, v3) in [
        ("no credential", list(&[]), fine(), 0, 3),
        ("unreadable credential", list(&["not XML"]), fine(), 0, 3),
        (
            "credential of an unknown type only",
            Value::Array(vec![Value::of([
                ("geni_type", Value::text("other")),
                ("geni_value", Value::text("x")),
            ])]),
            fine(),
            0,
            3,
        ),
        ("tampered credential", list(&[&tampered]), fine(), 20, 20),
        ("other user's credential", list(&[&bobs]), fine(), 22, 22),
        (
            "credential of an untrusted signer",
            list(&[&strange]),
            fine(),
            23,
            23,
        ),
        (
            "a good one among bad ones",
            list(&["not XML", &bobs, &mine, &tampered]),
            fine(),
            0,
            0,
        ),
        (
            "without geni_rspec_version",
            list(&[&mine]),
            Value::Struct(vec![]),
            1,
            1,
        ),
        (
            "without its type",
            list(&[&mine]),
            Value::of([(
                "geni_rspec_version",
                Value::of([("version", Value::text("3"))]),
            )]),
            1,
            1,
        ),
        (
            "version 99",
            list(&[&mine]),
            version(Value::text("GENI"), Value::text("99")),
            4,
            4,
        ),
        (
            "version as a number",
            list(&[&mine]),
            version(Value::text("GENI"), Value::Int(3)),
            4,
            4,
        ),
        (
            "type of others",
            list(&[&mine]),
            version(Value::text("ProtoGENI"), Value::text("3")),
            4,
            4,
        ),
        (
            "a credential of an unknown type and form beside a good one",
            Value::Array(vec![
                Value::of([
                    ("geni_type", Value::text("oauth")),
                    ("geni_value", Value::of([("token", Value::text("x"))])),
                ]),
                Value::of([("geni_type", Value::text("macaroon"))]),
                sfa(&mine),
            ]),
            fine(),
            0,
            0,
        ),
        (
            "credentials that are no array",
            Value::text(&mine),
            fine(),
            1,
            1,
        ),
        (
            "options that are no struct",
            list(&[&mine]),
            Value::Array(vec![]),
            1,
            1,
        ),
        (
            "a flag that is none",
            list(&[&mine]),
            self::options(vec![("geni_available", Value::text("perhaps"))]),
            1,
            1,
        ),
        (
            "unknown slice",
            list(&[&mine, &of_slice]),
            slice("urn:publicid:IDN+lab:one+slice+s"),
            12,
            1,
        ),
        ("too many credentials", list(&[&*mine; 17]), fine(), 1, 1),
        ("bad URN", list(&[&mine]), slice("s"), 1, 1),
        (
            "speaking for somebody without a word of it",
            list(&[&mine]),
            self::options(vec![(
                "geni_speaking_for",
                Value::text(lab.bob.urn.as_str()),
            )]),
            3,
            3,
        ),
    ] {
        for (version, want) in [(2, v2), (3, v3)] {
            let answer = lab
                .call(
                    &lab.alice,
                    version,
                    "ListResources",
                    vec![credentials.clone(), options.clone()],
                )
                .await;
            assert_eq!(code(&answer), want, "{row}, version {version}: {answer:?}");
            if want != 0 {
                assert_eq!(answer.get("value"), Some(&Value::text("")), "{row}");
                let output = answer.get("output").unwrap().as_text().unwrap();
                assert!(output.contains("(request "), "{row}: {output}");
                let log = answer
                    .get("code")
                    .unwrap()
                    .get("protogeni_error_log")
                    .unwrap();
                assert!(
                    log.as_text()
                        .unwrap()
                        .starts_with("urn:publicid:IDN+lab:one+log+")
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_tell_only_of_the_call_itself() {
    let lab = lab("faults").await;
    for (body, fault) in [
        (request("NoSuchMethod", vec![]), "-32601"),
        (request("_dispatch", vec![]), "-32601"),
        (request("ListResources", vec![]), "-32602"),
        (
            request("GetVersion", vec![Value::Int(1), Value::Int(2)]),
            "-32602",
        ),
        ("not XML".to_owned(), "-32700"),
        (
            "<!DOCTYPE x><methodCall><methodName>GetVersion</methodName></methodCall>".to_owned(),
            "-32700",
        ),
    ] {
        let text = lab.post(&lab.alice, "/xmlrpc/am/3.0", body.clone()).await;
        assert!(
            text.contains(&format!("<int>{fault}</int>")),
            "{body}: {text}"
        );
        assert!(text.contains("(request "), "{body}: {text}");
    }
}

/// A client as the field writes them: nothing but Python's own library.
const PYTHON: &str = r#"
import ssl, sys, xmlrpc.client
base, pem = sys.argv[1:]
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
tls.load_cert_chain(pem)
for version in (2, 3):
    am = xmlrpc.client.ServerProxy("%s/xmlrpc/am/%d.0" % (base, version), context=tls)
    said = am.GetVersion()
    assert said["code"]["geni_code"] == 0 and said["value"]["geni_api"] == version, said
    wrong = am.ListResources([], {})
    assert wrong["code"]["geni_code"] == 1 and wrong["output"], wrong
    try:
        am.NoSuchMethod()
        raise SystemExit("no fault")
    except xmlrpc.client.Fault as fault:
        assert fault.faultCode == -32601, fault
print("fine")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pythons_own_client_understands_us() {
    if !needs::program("pythons_own_client_understands_us", "python3") {
        return;
    }
    let lab = lab("python").await;
    let pem = lab.folder.join("alice.key-and-certificates");
    std::fs::write(
        &pem,
        format!("{}{}", lab.alice.key_pem(), lab.alice.chain()),
    )
    .unwrap();
    let (base, program) = (lab.base.clone(), lab.folder.join("client.py"));
    std::fs::write(&program, PYTHON).unwrap();
    let ran = tokio::task::spawn_blocking(move || {
        Command::new("python3")
            .arg(program)
            .arg(base)
            .arg(pem)
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert_eq!(out.trim(), "fine", "{err}");
}

/// geni-lib's type `pg` reads where ProtoGENI's log is of what went well, too, and
/// others count what is in the code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_the_same_code_for_clients_of_protogeni() {
    let lab = lab("pg").await;
    let slice = super::slice::Slice::of(&lab, "s");
    let nodes = super::slice::nodes(&["a"]);
    let mine = Value::Array(vec![sfa(&lab.user_credential(&lab.alice))]);
    let mut answers = vec![
        slice.create(&nodes).await,
        slice.create(&nodes).await,
        slice.all("Status").await,
        slice.act("geni_bogus").await,
    ];
    for version in [2, 3] {
        answers.push(lab.call(&lab.alice, version, "GetVersion", vec![]).await);
        let arguments = vec![mine.clone(), options(vec![])];
        answers.push(
            lab.call(&lab.alice, version, "ListResources", arguments)
                .await,
        );
    }
    let mut codes = Vec::new();
    for answer in answers {
        codes.push(code(&answer));
        let told = answer.get("code").unwrap();
        let text = |name: &str| told.get(name).and_then(Value::as_text);
        assert_eq!(text("protogeni_error_url"), Some(""), "{answer:?}");
        assert_eq!(text("am_type"), Some("resource-manager"));
        assert_eq!(told.get("am_code"), told.get("geni_code"));
        let log = text("protogeni_error_log").unwrap();
        // There is something to look for where something was refused.
        assert_eq!(log.is_empty(), code(&answer) == 0, "{answer:?}");
        assert_eq!(text("reason").is_none(), code(&answer) == 0, "{answer:?}");
        assert!(answer.get("output").unwrap().as_text().is_some());
    }
    assert_eq!(codes, [0, 17, 0, 13, 0, 0, 0, 0]);
}
