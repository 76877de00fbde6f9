//! Calls and answers: the recorded ones, those of other clients, hostile ones.

use proptest::prelude::*;
use rm_adapters::geni::xmlrpc::{Call, Fault, Value, answer};

use needs::reference;

fn call(value: &str) -> Value {
    let text = format!(
        "<?xml version='1.0'?><methodCall><methodName> m </methodName><params><param><value>{value}</value></param></params></methodCall>"
    );
    let call = Call::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{value}: {e}"));
    assert_eq!(call.method, "m");
    call.arguments.into_iter().next().unwrap()
}

#[test]
fn every_recorded_call_is_read() {
    let Some(reference) = reference("every_recorded_call_is_read") else {
        return;
    };
    let mut seen = 0;
    for version in ["v2", "v3"] {
        for entry in std::fs::read_dir(reference.join("data/geni/wire").join(version)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let Some((_, method)) = name
                .strip_suffix(".request.xml")
                .and_then(|n| n.split_once('-'))
            else {
                continue;
            };
            seen += 1;
            let call = Call::parse(&std::fs::read(&path).unwrap()).unwrap();
            assert_eq!(call.method, method, "{name}");
            match method {
                "GetVersion" => assert_eq!(call.arguments, []),
                "CreateSliver" => assert_eq!(call.arguments.len(), 5),
                "PerformOperationalAction" => assert_eq!(
                    call.arguments[2].as_text().map(|t| t.starts_with("geni_")),
                    Some(true)
                ),
                "ListResources" => {
                    let version = call.arguments[1].get("geni_rspec_version").unwrap();
                    assert_eq!(version.get("version").unwrap().as_text(), Some("3"));
                }
                _ => assert!(call.arguments.len() >= 3, "{name}"),
            }
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn what_clients_write_is_read_whatever_its_type() {
    for (written, read) in [
        ("x &lt; y", Value::text("x < y")),
        ("", Value::text("")),
        ("<string/>", Value::text("")),
        (
            "<string> a <![CDATA[<b>]]> </string>",
            Value::text(" a <b> "),
        ),
        ("<i4>-7</i4>", Value::Int(-7)),
        (" <int> 7 </int> ", Value::Int(7)),
        ("<i8>5000000000</i8>", Value::Int(5_000_000_000)),
        ("<boolean>1</boolean>", Value::Bool(true)),
        ("<double>1.5</double>", Value::Double(1.5)),
        ("<base64>PGE+\n</base64>", Value::text("<a>")),
        ("<nil/>", Value::text("")),
        (
            "<dateTime.iso8601>20261123T19:11:50</dateTime.iso8601>",
            Value::text("20261123T19:11:50"),
        ),
        ("<array><data/></array>", Value::Array(vec![])),
        (
            "<array><data><value>a</value><value><int>1</int></value></data></array>",
            Value::Array(vec![Value::text("a"), Value::Int(1)]),
        ),
        (
            "<struct><member><name>a</name><value>b</value></member></struct>",
            Value::of([("a", Value::text("b"))]),
        ),
    ] {
        assert_eq!(call(written), read, "{written}");
    }
    for (written, flag) in [
        ("<int>1</int>", Some(true)),
        ("False", Some(false)),
        ("<boolean>0</boolean>", Some(false)),
        ("<int>2</int>", None),
    ] {
        assert_eq!(call(written).as_flag(), flag, "{written}");
    }
}

#[test]
fn what_is_no_call_is_refused_with_its_line() {
    let deep = format!(
        "<methodCall><methodName>m</methodName><params><param>{}",
        "<value><array><data>".repeat(1000)
    );
    for text in [
        "",
        "GetVersion",
        "<methodCall/>",
        "<methodCall><params/></methodCall>",
        "<methodResponse/>",
        "<methodCall xmlns='u'><methodName>m</methodName></methodCall>",
        "<!DOCTYPE methodCall><methodCall><methodName>m</methodName></methodCall>",
        "<methodCall><methodName>m</methodName><methodName>n</methodName></methodCall>",
        "<methodCall><methodName>m<b/></methodName></methodCall>",
        "<methodCall><methodName>m</methodName><params><param/></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param><value><int>x</int></value></param></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param><value><int>1</int>x</value></param></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param><value><boolean>2</boolean></value></param></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param><value><base64>?</base64></value></param></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param><value><double>NaN</double></value></param></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param><value><double>1e999</double></value></param></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param><value><ex:x/></value></param></params></methodCall>",
        "<methodCall><methodName>m</methodName>",
        &deep,
    ] {
        let error = Call::parse(text.as_bytes())
            .expect_err(&text[..text.len().min(200)])
            .to_string();
        assert!(error.contains("line "), "{error}");
    }
    assert!(Call::parse(b"\xff\xfe").is_err());
}

#[test]
fn answers_are_ascii_and_of_the_types_that_old_clients_know() {
    let text = answer(&Value::of([
        ("value", Value::text("\u{e9}\u{0}<&>")),
        ("code", Value::of([("geni_code", Value::Int(0))])),
        ("large", Value::Int(5_000_000_000)),
        ("flag", Value::Bool(true)),
        ("empty", Value::Array(vec![])),
    ]));
    assert!(text.is_ascii());
    for part in [
        "<value><string>&#233;&#65533;&lt;&amp;&gt;</string></value>",
        "<name>geni_code</name>\n<value><int>0</int></value>",
        "<value><string>5000000000</string></value>",
        "<value><boolean>1</boolean></value>",
        "<value><array><data>\n</data></array></value>",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let fault = Fault::no_such_method("_dispatch", &["GetVersion"]).print();
    assert!(
        fault.contains("<name>faultCode</name>\n<value><int>-32601</int></value>"),
        "{fault}"
    );
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(|n| Value::Int(n.into())),
        any::<bool>().prop_map(Value::Bool),
        "[ -~\u{e9}\u{4e16}\n\t]{0,12}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec(("[a-z_ <&]{1,6}", inner), 0..4).prop_map(Value::Struct),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(given in value()) {
        let answer = answer(&given);
        let as_call = answer
            .replace("<methodResponse>", "<methodCall><methodName>m</methodName>")
            .replace("</methodResponse>", "</methodCall>");
        prop_assert_eq!(&Call::parse(as_call.as_bytes()).unwrap().arguments, &[given]);
    }

    #[test]
    fn no_bytes_make_the_reader_fall(body in proptest::collection::vec(any::<u8>(), 0..64), text in "(</?(methodCall|params?|value|int|array|data|struct|member|name|string)>|[0-9a-z]{0,3}){0,30}") {
        let _ = Call::parse(&body);
        let _ = Call::parse(text.as_bytes());
    }
}
