//! What sites said last: for lists of what can be had now, which anybody asks for
//! who has a certificate.

use std::time::Duration;

use rm_core::env::Timestamp;
use rm_core::{Call, Caller, Result};
use tokio::sync::Mutex;

/// For so long an answer does for others, too.
const FRESH: Duration = Duration::from_secs(1);

/// An answer of the sites. They are asked by one call at a time, and those that
/// wait for it have the same answer.
#[derive(Debug)]
pub(super) struct Fresh<T>(Mutex<Option<Said<T>>>);

#[derive(Debug)]
struct Said<T> {
    at: Timestamp,
    means: Caller,
    answer: T,
}

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone + Send> Fresh<T> {
    /// The answer by these means: the last one while it is fresh, else another.
    pub(super) async fn answer(
        &self,
        call: &Call<'_>,
        means: &Caller,
        ask: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let mut said = self.0.lock().await;
        let now = call.host.env().now();
        if let Some(said) = &*said
            && said.means == *means
            && said.at <= now
            && now.since(said.at) < FRESH
        {
            return Ok(said.answer.clone());
        }
        let answer = ask.await?;
        *said = Some(Said {
            at: call.host.env().now(),
            means: means.clone(),
            answer: answer.clone(),
        });
        Ok(answer)
    }
}
