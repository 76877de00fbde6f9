//! Brings events to the callbacks of tenants: one POST each, in commit order,
//! tried again by core until the receiver has it.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use rm_core::event::Event;
use rm_core::signal::{Deliver, not_delivered};
use rm_core::{Error, ErrorKind, Result};

/// POST of an event as JSON. What a receiver answers beside its status is not
/// read.
#[derive(Default)]
pub(super) struct Post(OnceLock<reqwest::Client>);

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Post")
    }
}

impl Post {
    // Made with the first delivery: most hosts have no callbacks, and a client
    // with its certificates is megabytes.
    fn client(&self) -> Result<&reqwest::Client> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(1)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| Error::new(ErrorKind::Internal, "no HTTP client can be made"))?;
        Ok(self.0.get_or_init(|| client))
    }
}

#[async_trait]
impl Deliver for Post {
    async fn deliver(&self, url: &str, event: &Event) -> Result<()> {
        // The address may hold a secret of the receiver's: reqwest's own
        // message, which repeats it, is not told.
        let silent = |_| Error::new(ErrorKind::Unavailable, "the receiver does not answer");
        let answer = self
            .client()?
            .post(url)
            .json(event)
            .send()
            .await
            .map_err(silent)?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(not_delivered(answer.status().as_u16()))
        }
    }
}
