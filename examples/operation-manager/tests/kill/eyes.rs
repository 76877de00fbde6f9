//! What Heat says, by other credentials than the daemon's.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rm_openstack::client::clouds::Clouds;
use rm_openstack::client::heat::{ResourceQuery, StackFilter};
use rm_openstack::client::{Heat, Session};

pub(crate) struct Eyes(Heat);

impl Eyes {
    pub(crate) fn open(clouds: &Path) -> Self {
        let profile = Clouds::load(clouds).unwrap().cloud("oslab").unwrap();
        let now = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_millis()
        };
        let clock = Arc::new(move || i64::try_from(now()).unwrap());
        Self(Heat::new(
            Session::new(profile.session_config(clock).unwrap()).unwrap(),
        ))
    }

    /// How many slaves each living stack of the cluster has, in Heat's own
    /// nested list.
    pub(crate) async fn sizes(&self, id: &str) -> Vec<usize> {
        let filter = StackFilter {
            tags: vec!["resource-manager".to_owned()],
            ..StackFilter::default()
        };
        let mut sizes = Vec::new();
        for stack in self.0.list(&filter).await.unwrap() {
            let of_it = |tag: &String| tag.contains(&format!("/{id}/"));
            if stack.status.is_deleted() || !stack.tags.iter().any(of_it) {
                continue;
            }
            let query = ResourceQuery {
                nested_depth: 2,
                ..ResourceQuery::default()
            };
            let inside = self.0.resources(&stack.reference(), &query).await.unwrap();
            let slaves = inside
                .iter()
                .filter(|r| r.parent_resource.as_deref() == Some("slave_group"));
            sizes.push(slaves.count());
        }
        sizes
    }
}
