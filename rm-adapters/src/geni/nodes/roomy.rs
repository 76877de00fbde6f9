//! Which sites say that they have room for a node.

use std::collections::BTreeSet;

use rm_core::catalog::Image;
use rm_core::manager::{Candidate, Want, ask};
use rm_core::model;
use rm_core::{Call, CatalogId, Result};

use super::place::places;
use super::{Manager, fit};
use crate::geni::component::Components;
use crate::geni::rspec::{DiskImage, Node, SliverType};

/// The sites that say that there is room for a node; one that does not answer
/// within the time that all are waited for has none. Those that are not asked,
/// for there is no image to ask for, have none either.
pub(super) async fn roomy(
    managers: &[(&'static str, Manager)],
    call: &Call<'_>,
    there: &Components,
    images: &[Image],
) -> Result<BTreeSet<CatalogId>> {
    let Some(image) = images.first() else {
        return Ok(BTreeSet::new());
    };
    let any = Node {
        sliver_types: vec![SliverType {
            disk_images: vec![DiskImage {
                name: Some(image.name.as_str().into()),
                ..DiskImage::default()
            }],
            ..SliverType::default()
        }],
        ..Node::default()
    };
    let spec = fit::spec(&any, images, &there.aggregate)?;
    let candidates: Vec<Candidate<model::Node>> = places(managers, &there.sites, &there.usable)
        .into_iter()
        .map(|place| Candidate {
            manager: place.manager,
            want: Want {
                site: place.site,
                credential: place.credential.id,
                spec: spec.clone(),
                key: None,
                asking: None,
            },
        })
        .collect();
    let answers = ask(&**call.host.env(), call.who, &candidates, |_| 1).await;
    let all = candidates.iter().zip(&answers);
    Ok(all
        .filter(|(_, answer)| answer.room() > 0)
        .map(|(candidate, _)| candidate.want.site.id)
        .collect())
}
