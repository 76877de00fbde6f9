//! How calls are read: most are short. Of those that are not there are few at once,
//! and of one client fewer, so that who sends slowly keeps nobody else out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::xml::Limits;

/// How large a call may be.
const LARGEST: usize = Limits::USUAL.bytes;
/// Up to which size there are as many at once as lines, in bytes.
const SMALL: usize = 256 * 1024;
/// How many there are at once that are larger.
const LARGE_ONES: usize = 8;
/// How many of them one client has.
const OF_ONE: usize = 2;

/// The places for calls that are large.
#[derive(Debug, Clone)]
pub(super) struct Large {
    all: Arc<Semaphore>,
    /// Of each client that has one or waits for one, by its name.
    of: Arc<Mutex<BTreeMap<String, Weak<Semaphore>>>>,
}

/// A place, until its call is answered.
#[derive(Debug)]
pub(super) struct Place(#[allow(dead_code, reason = "held")] [OwnedSemaphorePermit; 2]);

/// Why a call was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is larger than any may be.
    TooLarge,
    /// Its line broke before its end.
    Broken,
}

impl Default for Large {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(LARGE_ONES)),
            of: Arc::default(),
        }
    }
}

impl Large {
    /// A client's own places.
    fn of(&self, client: &str) -> Arc<Semaphore> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.retain(|_, places| places.strong_count() > 0);
        let own = of.entry(client.to_owned()).or_default();
        own.upgrade().unwrap_or_else(|| {
            let places = Arc::new(Semaphore::new(OF_ONE));
            *own = Arc::downgrade(&places);
            places
        })
    }

    /// A place for a call of this client. Who waits for one of its own keeps none
    /// of those that are everybody's.
    async fn place(&self, client: &str) -> Result<Place, Unread> {
        let own = self.of(client).acquire_owned().await;
        let own = own.map_err(|_| Unread::Broken)?;
        let one = Arc::clone(&self.all).acquire_owned().await;
        Ok(Place([own, one.map_err(|_| Unread::Broken)?]))
    }

    /// A call, and the place that it takes where it is large.
    pub(super) async fn read(
        &self,
        client: &str,
        mut body: Incoming,
    ) -> Result<(Option<Place>, Bytes), Unread> {
        if usize::try_from(body.size_hint().lower()).is_ok_and(|n| n > LARGEST) {
            return Err(Unread::TooLarge);
        }
        let (mut read, mut place) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Unread::Broken)?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let length = read.len() + data.len();
            if length > LARGEST {
                return Err(Unread::TooLarge);
            }
            if length > SMALL && place.is_none() {
                place = Some(self.place(client).await?);
            }
            read.extend_from_slice(&data);
        }
        Ok((place, read.freeze()))
    }
}
