//! Templates that people have published.

mod support;

use rm_openstack::template::{TemplateError, TemplateInfo};

#[test]
fn published_templates_are_read() {
    let Some(reference) = needs::reference("published_templates_are_read") else {
        return;
    };
    let (mut good, mut refused) = (0, Vec::new());
    for entry in std::fs::read_dir(reference.join("data/hot")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        match TemplateInfo::read_any(&text) {
            Ok(info) => {
                good += 1;
                assert!(!info.version.is_empty(), "{name}");
                assert!(!info.resource_types.is_empty(), "{name}");
                let strict = TemplateInfo::read(&text);
                let has = info.outputs.contains_key("master_ip");
                assert_eq!(strict.is_ok(), has, "{name}");
                if !has {
                    assert!(
                        matches!(strict, Err(TemplateError::NoMasterIp { .. })),
                        "{name}"
                    );
                }
            }
            Err(error) => refused.push(format!("{name}: {error}")),
        }
    }
    println!("{good} read; refused: {refused:#?}");
    assert!(good >= 30, "only {good}: {refused:#?}");
}
