//! Time, randomness and reach on tokio.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rm_core::env::{Env, Timestamp};

/// How long a port has to accept a connection.
const REACH: Duration = Duration::from_secs(3);

/// The machine's clock, the system's randomness, the network as it is.
#[derive(Debug, Default)]
pub struct TokioEnv {
    latest: AtomicI64,
}

impl TokioEnv {
    /// Ready for use.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Env for TokioEnv {
    /// The time of day; where the machine's clock is set back, time stands
    /// still until the clock has caught up.
    fn now(&self) -> Timestamp {
        let clock = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|d| i64::try_from(d.as_millis()).ok())
            .unwrap_or(0);
        let before = self.latest.fetch_max(clock, Ordering::Relaxed);
        Timestamp::from_millis(clock.max(before))
    }

    fn sleep(&self, d: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(d))
    }

    fn random(&self) -> u64 {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        // Six bits of a random UUID are fixed, two of them in the low half.
        low ^ high.rotate_left(32)
    }

    async fn reaches(&self, address: &str, port: u16) -> bool {
        let connect = tokio::net::TcpStream::connect((address, port));
        matches!(tokio::time::timeout(REACH, connect).await, Ok(Ok(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back() {
        let env = TokioEnv::new();
        let ahead = env.now().plus(Duration::from_secs(3600));
        env.latest.store(ahead.millis(), Ordering::Relaxed);
        assert_eq!(env.now(), ahead);
    }

    #[test]
    fn dice_differ() {
        let env = TokioEnv::new();
        let rolled: std::collections::BTreeSet<u64> = (0..1000).map(|_| env.random()).collect();
        assert_eq!(rolled.len(), 1000);
    }

    #[tokio::test]
    async fn a_port_that_listens_is_reached_and_another_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let env = TokioEnv::new();
        assert!(env.reaches("127.0.0.1", port).await);
        drop(listener);
        assert!(!env.reaches("127.0.0.1", port).await);
        assert!(!env.reaches("no such host", 1).await);
    }
}
