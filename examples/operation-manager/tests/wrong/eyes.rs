//! What Heat lists, by a session of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rm_openstack::client::clouds::Clouds;
use rm_openstack::client::heat::StackFilter;
use rm_openstack::client::{Heat, Session};

pub(crate) struct Eyes(Heat);

impl Eyes {
    pub(crate) fn open(clouds: &Path) -> Self {
        let profile = Clouds::load(clouds).unwrap().cloud("oslab").unwrap();
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let clock = Arc::new(move || i64::try_from(now().as_millis()).unwrap());
        let session = Session::new(profile.session_config(clock).unwrap());
        Self(Heat::new(session.unwrap()))
    }

    /// Every stack with a tag that begins so.
    pub(crate) async fn stacks(&self, tag: &str) -> Vec<String> {
        let filter = StackFilter {
            tags: vec!["resource-manager".to_owned()],
            ..StackFilter::default()
        };
        let mut stacks = self.0.list(&filter).await.unwrap();
        stacks.retain(|s| !s.status.is_deleted() && s.tags.iter().any(|t| t.starts_with(tag)));
        let shown = stacks
            .iter()
            .map(|s| format!("{} {} {:?}", s.id, s.status, s.updated_time));
        shown.collect()
    }
}
