//! Bringing an image's bytes to Glance, checked on the way.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use tokio::io::AsyncReadExt;

use super::{Glance, Image, images};
use crate::client::catalog::Service;
use crate::client::error::{Call, Effect, Error};
use crate::client::http::{HttpConfig, words};

const CHUNK: usize = 256 * 1024;

/// Told how many bytes went out, and of how many if that is known.
pub type Progress = Arc<dyn Fn(u64, Option<u64>) + Send + Sync>;

/// Where an image's bytes come from.
#[derive(Clone)]
pub enum ImageSource {
    /// A file of this machine.
    File(PathBuf),
    /// An address, which is asked without any of the cloud's credentials.
    Http(String),
}

impl fmt::Debug for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            // Addresses of images are often signed.
            Self::Http(_) => f.write_str("Http(..)"),
        }
    }
}

/// What was brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Number of bytes.
    pub size: u64,
    /// Their SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

type Bytestream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

#[derive(Default)]
struct Outcome {
    failure: Option<String>,
    done: Option<(Uploaded, String)>,
}

/// Digests what passes, and keeps the last chunk back until the whole is known to be right: an
/// image with the wrong bytes is then never complete, and Glance never makes it usable.
struct Checked {
    source: Bytestream,
    held: Option<Bytes>,
    sha256: Option<digest::Context>,
    sha512: Option<digest::Context>,
    size: u64,
    total: Option<u64>,
    expected: Option<String>,
    progress: Option<Progress>,
    outcome: Arc<Mutex<Outcome>>,
}

impl Checked {
    fn fail(&mut self, what: String) -> io::Error {
        self.held = None;
        self.sha256 = None;
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.failure.get_or_insert(what);
        io::Error::other("the image cannot be read")
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            // Gone after the end and after a failure.
            self.sha256.as_ref()?;
            match self.source.next().await {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    for context in [&mut self.sha256, &mut self.sha512].into_iter().flatten() {
                        context.update(&chunk);
                    }
                    self.size += chunk.len() as u64;
                    if let Some(ready) = self.held.replace(chunk) {
                        self.report(self.size - self.held.as_ref().map_or(0, Bytes::len) as u64);
                        return Some(Ok(ready));
                    }
                }
                Some(Err(error)) => {
                    let what = format!("its source cannot be read: {}", error.kind());
                    return Some(Err(self.fail(what)));
                }
                None => return self.end(),
            }
        }
    }

    fn end(&mut self) -> Option<io::Result<Bytes>> {
        let sha256 = hex(self.sha256.take()?.finish().as_ref());
        let sha512 = self
            .sha512
            .take()
            .map(|context| hex(context.finish().as_ref()))
            .unwrap_or_default();
        if let Some(expected) = &self.expected
            && !expected.eq_ignore_ascii_case(&sha256)
        {
            let what = format!("its SHA-256 is {sha256}, and should be {expected}");
            return Some(Err(self.fail(what)));
        }
        let uploaded = Uploaded {
            size: self.size,
            sha256,
        };
        self.outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .done = Some((uploaded, sha512));
        self.report(self.size);
        self.held.take().map(Ok)
    }

    fn report(&self, sent: u64) {
        if let Some(progress) = &self.progress {
            progress(sent, self.total);
        }
    }
}

impl Glance {
    /// Fills an image that was just created. `sha256` is what the bytes should be; if they are
    /// not, the image stays without bytes. It is then for the caller to delete.
    ///
    /// # Errors
    /// [`Error::Image`] if the source cannot be read or is not what it should be, or if Glance
    /// has other bytes afterwards than were sent.
    pub async fn upload(
        &self,
        image_id: &str,
        source: &ImageSource,
        sha256: Option<&str>,
        progress: Option<Progress>,
        timeout: Duration,
    ) -> Result<Uploaded, Error> {
        let (stream, total) = open(source, timeout).await?;
        let outcome = Arc::new(Mutex::new(Outcome::default()));
        let checked = Checked {
            source: stream,
            held: None,
            sha256: Some(digest::Context::new(&digest::SHA256)),
            sha512: Some(digest::Context::new(&digest::SHA512)),
            size: 0,
            total,
            expected: sha256.map(str::to_owned),
            progress,
            outcome: Arc::clone(&outcome),
        };
        let body = reqwest::Body::wrap_stream(stream::unfold(checked, async |mut checked| {
            let item = checked.next().await?;
            Some((item, checked))
        }));
        let mut ask = images(&[image_id, "file"]);
        ask.method = Method::PUT;
        ask.headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        // Some ways of serving Glance do not take a body of unknown length.
        if let Some(total) = total {
            ask.headers.insert(CONTENT_LENGTH, HeaderValue::from(total));
        }
        let call = Call::write(Service::Image, "upload image");
        let sent = self
            .session
            .with_timeout(timeout)
            .send_stream(call, &ask, body)
            .await;
        let (failure, done) = {
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            (outcome.failure.take(), outcome.done.take())
        };
        if let Some(what) = failure {
            // The last of it was held back: the image is still without bytes.
            return Err(unread(what));
        }
        sent?;
        let (uploaded, sha512) =
            done.ok_or_else(|| wrong("Glance answered before it had all of it"))?;
        same(&self.show(image_id).await?, &uploaded, &sha512)?;
        Ok(uploaded)
    }
}

fn wrong(what: impl Into<String>) -> Error {
    Error::Image {
        effect: Effect::Unknown,
        what: what.into(),
    }
}

fn unread(what: String) -> Error {
    Error::Image {
        effect: Effect::None,
        what,
    }
}

/// Whether Glance has what was sent, by the digest it made or else by the size.
fn same(image: &Image, uploaded: &Uploaded, sha512: &str) -> Result<(), Error> {
    if let Some(size) = image.size
        && size != uploaded.size
    {
        return Err(wrong(format!(
            "Glance has {size} bytes of {}",
            uploaded.size
        )));
    }
    let ours = match image.os_hash_algo.as_deref() {
        Some("sha256") => uploaded.sha256.as_str(),
        Some("sha512") => sha512,
        _ => return Ok(()),
    };
    match image.os_hash_value.as_deref() {
        Some(theirs) if !theirs.eq_ignore_ascii_case(ours) => {
            Err(wrong("Glance has other bytes than were sent"))
        }
        _ => Ok(()),
    }
}

async fn open(source: &ImageSource, timeout: Duration) -> Result<(Bytestream, Option<u64>), Error> {
    match source {
        ImageSource::File(path) => {
            let failed =
                |error: io::Error| unread(format!("its file cannot be read: {}", error.kind()));
            let file = tokio::fs::File::open(path).await.map_err(failed)?;
            let total = file.metadata().await.map_err(failed)?.len();
            // No more than was announced, should the file grow meanwhile.
            let file = file.take(total);
            let stream = stream::unfold(file, async |mut file| {
                let mut buffer = Vec::with_capacity(CHUNK);
                match (&mut file)
                    .take(CHUNK as u64)
                    .read_to_end(&mut buffer)
                    .await
                {
                    Ok(0) => None,
                    Ok(_) => Some((Ok(Bytes::from(buffer)), file)),
                    Err(error) => Some((Err(error), file)),
                }
            });
            Ok((Box::pin(stream), Some(total)))
        }
        ImageSource::Http(address) => {
            let failed = |error| unread(format!("its source does not answer: {}", words(error)));
            let url = Url::parse(address)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https"))
                .ok_or_else(|| unread("its source is no http or https address".to_owned()))?;
            let response = HttpConfig::default()
                .client(reqwest::redirect::Policy::limited(5))?
                .get(url)
                .timeout(timeout)
                .send()
                .await
                .map_err(failed)?;
            let status = response.status();
            if !status.is_success() {
                return Err(unread(format!("its source answers {}", status.as_u16())));
            }
            let total = response.content_length();
            let stream = response
                .bytes_stream()
                .map(|chunk| chunk.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe)));
            Ok((Box::pin(stream), total))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}
