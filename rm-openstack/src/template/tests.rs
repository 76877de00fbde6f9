use super::*;
use serde_json::json;

const CLUSTER: &str = "
heat_template_version: 2018-08-31
description: a cluster
parameters:
  slaves: {type: number, default: 1, constraints: [{range: {min: 0, max: 9}}]}
  pass: {type: string, hidden: true, label: Password}
resources:
  group:
    type: OS::Heat::ResourceGroup
    properties:
      count: {get_param: slaves}
      resource_def: {type: slave.yaml, properties: {a: {type: not a resource}}}
  master: {type: OS::Nova::Server}
outputs:
  master_ip: {value: {get_attr: [master, first_address]}, description: address}
  hosts: {value: []}
";

#[test]
fn what_it_declares() {
    let info = TemplateInfo::read(CLUSTER).unwrap();
    assert_eq!(info.language, Language::Hot);
    assert_eq!(info.version, "2018-08-31");
    assert_eq!(info.parameters["slaves"].default, Some(json!(1)));
    assert_eq!(info.parameters["slaves"].constraints.len(), 1);
    assert!(info.parameters["pass"].is_required() && info.parameters["pass"].hidden);
    assert_eq!(info.outputs["master_ip"].description, "address");
    let types: Vec<_> = info.resource_types.iter().map(String::as_str).collect();
    assert_eq!(
        types,
        ["OS::Heat::ResourceGroup", "OS::Nova::Server", "slave.yaml"]
    );
    assert!(info.has_servers() && info.may_hide_servers() && info.lists_hosts());
}

#[test]
fn no_address_no_cluster() {
    let without = CLUSTER.replace("master_ip", "slave_ip");
    assert_eq!(
        TemplateInfo::read(&without),
        Err(TemplateError::NoMasterIp {
            outputs: vec!["hosts".into(), "slave_ip".into()]
        })
    );
    let error = TemplateInfo::read("heat_template_version: rocky").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the template has no output master_ip, and no other"
    );
}

#[test]
fn cloudformation_too() {
    let info = TemplateInfo::read(
        r#"{"AWSTemplateFormatVersion": "2010-09-09",
            "Parameters": {"Key": {"Type": "String", "NoEcho": "true"}},
            "Resources": {"M": {"Type": "AWS::EC2::Instance"}},
            "Outputs": {"master_ip": {"Value": "x"}}}"#,
    )
    .unwrap();
    assert_eq!(info.language, Language::Cfn);
    assert!(info.parameters["Key"].hidden && info.has_servers() && !info.may_hide_servers());
}

#[test]
fn refused_in_words() {
    let read = |text: &str| TemplateInfo::read(text).unwrap_err();
    assert!(matches!(read("a: ["), TemplateError::NotYaml { .. }));
    assert!(matches!(read(""), TemplateError::Form { .. }));
    assert!(matches!(read("[1]"), TemplateError::Form { .. }));
    assert_eq!(read("resources: {}"), TemplateError::NoVersion);
    let head = "heat_template_version: 2018-08-31\n";
    for (bad, part) in [
        ("parameters: [a]", "parameters"),
        ("parameters: {a: 1}", "parameters.a"),
        ("parameters: {a: {default: 1}}", "parameters.a"),
        ("resources: {m: {properties: {}}}", "resources.m"),
        ("outputs: {master_ip: 1}", "outputs.master_ip"),
    ] {
        let TemplateError::Form { part: named, .. } = read(&format!("{head}{bad}")) else {
            panic!("{bad}");
        };
        assert_eq!(named, part);
    }
}

#[test]
fn templates_of_templates_are_refused() {
    for text in [
        "heat_template_version: {{ version }}\noutputs: {master_ip: {value: 1}}\n",
        "{% set n = 3 %}\nheat_template_version: 2018-08-31\n",
        "heat_template_version: 2018-08-31\nresources:\n  {% for i in range(3) %}\n  r{{ i }}: {type: OS::Heat::None}\n  {% endfor %}\n",
    ] {
        assert!(TemplateInfo::read_any(text).is_err(), "{text}");
    }
}

#[test]
fn hostile_texts_end_soon() {
    let large = "#".repeat(MAX_TEMPLATE + 1);
    assert_eq!(
        TemplateInfo::read(&large),
        Err(TemplateError::TooLarge { bytes: large.len() })
    );
    let deep = format!("heat_template_version: 1\na: {}", "[".repeat(100_000));
    assert!(TemplateInfo::read(&deep).is_err());
    let mut bomb = "heat_template_version: 2018-08-31\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 10].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{list}]\n"));
    }
    assert!(matches!(
        TemplateInfo::read(&bomb),
        Err(TemplateError::NotYaml { .. })
    ));
}

#[test]
fn keys_that_are_not_text() {
    let text = format!("{CLUSTER}\nparameter_groups:\n- {{80: http, true: yes, 1.5: x}}\n");
    assert!(TemplateInfo::read(&text).is_ok());
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(heat_template_version: 1\n)?[a-z:{}\\[\\],&*!|>'\"%@`#~0-9 \n-]{0,120}") {
        let _ = TemplateInfo::read(&text);
    }
}
