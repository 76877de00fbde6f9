//! What a stack was made to be, from the stack itself: asked only when a store
//! is lost.

use std::collections::BTreeMap;

use rm_core::backend::Cx;
use rm_core::model::ClusterSpec;
use rm_core::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::client::heat::StackRef;
use crate::client::{Heat, Session};
use crate::failure::failure;
use crate::made_of;
use crate::media::HEAT_TEMPLATE;
use crate::template::TemplateInfo;

/// The spec, where the catalog has an implementation with the stack's
/// template.
pub(crate) async fn spec(
    cx: &Cx<'_>,
    session: &Session,
    stack: &StackRef,
) -> Result<Option<ClusterSpec>> {
    let heat = Heat::new(session.clone());
    let failed = |e| failure(&cx.site.name, "show stack", e);
    let body = heat.template(stack).await.map_err(failed)?;
    let template = made_of::anything(body.clone());
    let by = cx.catalog.made_by(cx.site, |implementation| {
        implementation.media_type == HEAT_TEMPLATE
            && TemplateInfo::read(&implementation.body)
                .is_ok_and(|info| made_of::anything(info.body) == template)
    });
    let Some((appliance, implementation)) = by.await? else {
        return Ok(None);
    };
    let info = TemplateInfo::read(&implementation.body)
        .map_err(|e| Error::new(ErrorKind::Corrupt, e.to_string()))?;
    let mut given = heat.show(stack).await.map_err(failed)?.parameters;
    let images = made_of::used(cx, session, &appliance.images, &body, &given).await?;
    let mut number = |name: &str| match given.remove(name)? {
        Value::String(text) => text.parse::<u32>().ok(),
        value => u32::try_from(value.as_u64()?).ok(),
    };
    let slaves = match (number("slaves"), number("cluster_size")) {
        (Some(slaves), _) => slaves,
        (None, size) => size.map_or(0, |size| size.saturating_sub(1)),
    };
    Ok(Some(ClusterSpec {
        appliance: appliance.name,
        implementation: implementation.id,
        revision: implementation.revision,
        slaves,
        others: 0,
        users: Vec::new(),
        parameters: asked(&info, given),
        ready_port: appliance.ready_port,
        images,
    }))
}

/// What was given beside the defaults. Hidden values are asterisks here; where
/// they are not given again, the stack keeps them.
fn asked(info: &TemplateInfo, given: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    given
        .into_iter()
        .filter(|(name, value)| {
            info.parameters.get(name).is_some_and(|declared| {
                !declared.hidden && declared.default.as_ref().map(text) != Some(text(value))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_and_can_be_read_is_asked_for_again() {
        let info = TemplateInfo::read(
            "
heat_template_version: 2018-08-31
parameters:
  network: {type: string}
  count: {type: number, default: 3}
  password: {type: string, hidden: true}
resources: {}
outputs:
  master_ip: {value: here}
",
        )
        .unwrap();
        let given = BTreeMap::from([
            ("OS::stack_name".to_owned(), Value::from("rm-1")),
            ("network".to_owned(), Value::from("lan")),
            ("count".to_owned(), Value::from("3")),
            ("password".to_owned(), Value::from("******")),
        ]);
        let asked = asked(&info, given);
        assert_eq!(
            asked,
            BTreeMap::from([("network".to_owned(), Value::from("lan"))])
        );
    }
}
