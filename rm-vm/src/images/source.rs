//! Where an image's bytes are: in a file of this machine, or at an HTTP
//! address, from which they are fetched into a file first. Their checksum is
//! taken when that is read, as of any other.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Url;
use reqwest::redirect::Policy;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::{blocking, wrong};
use crate::driver::{Error, Image, Result};
use crate::files::{Aside, told};

/// How long a server may take to let us in, and then be silent.
const CONNECT: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(60);
const REDIRECTS: usize = 5;

/// How fast a server must be. Whoever wants the same image waits meanwhile.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// After so long it is over, however fast it was.
    whole: Duration,
    /// So long it may be as slow as it likes.
    grace: Duration,
    /// So many bytes a second have come by then, and at any time after.
    least: u64,
}

const PACE: Pace = Pace {
    whole: Duration::from_secs(6 * 3600),
    grace: Duration::from_secs(60),
    least: 64 << 10,
};

impl Pace {
    /// Whether a server keeps to it that has sent so much in this time.
    fn is_kept(&self, took: Duration, bytes: u64) -> bool {
        let due = took.as_secs().saturating_mul(self.least);
        took < self.whole && (took < self.grace || bytes >= due)
    }
}

/// An image in a file of this machine. What was fetched goes with this.
#[derive(Debug)]
pub(crate) struct Here {
    pub(crate) image: Image,
    _aside: Option<Aside>,
}

/// Whether an image has to be fetched.
pub(crate) fn is_far(image: &Image) -> bool {
    address(image).is_some()
}

fn address(image: &Image) -> Option<Url> {
    let url = Url::parse(&image.source).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// Fetches an image of at most so many MiB, where it is not here, into a new
/// folder below this one whose name begins like this.
///
/// # Errors
///
/// [`Error::Image`] where it is too large or its source refuses it,
/// [`Error::Unavailable`] where that does not answer, stops in the middle or
/// is too slow. Then nothing of it stays.
pub(crate) async fn here(image: &Image, below: &Path, prefix: &str, mib: u64) -> Result<Here> {
    let Some(url) = address(image) else {
        return Ok(Here {
            image: image.clone(),
            _aside: None,
        });
    };
    let (parent, name) = (below.to_owned(), prefix.to_owned());
    let aside = blocking(move || Aside::private(&parent, &name)).await?;
    let path = aside.path().join("image");
    fetch(image, url, &path, mib.saturating_mul(1 << 20), PACE).await?;
    Ok(Here {
        image: Image {
            source: format!("file:{}", path.display()),
            ..image.clone()
        },
        _aside: Some(aside),
    })
}

async fn fetch(image: &Image, url: Url, into: &Path, most: u64, pace: Pace) -> Result<()> {
    let too_large = || wrong(image, &format!("has more than {} MiB", most >> 20));
    let client = reqwest::Client::builder()
        .redirect(Policy::limited(REDIRECTS))
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .build()
        .map_err(|e| silent(image, e))?;
    let begun = Instant::now();
    let answer = tokio::time::timeout(pace.grace, client.get(url).send()).await;
    let answer = answer.map_err(|_| slow(image, 0, begun.elapsed()))?;
    let answer = answer.map_err(|e| silent(image, e))?;
    let status = answer.status();
    // Those who are told to wait, or come too early, are not told that it will
    // never be.
    if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
        return Err(Error::Unavailable(format!(
            "the source of the image {:?} answers {}",
            image.name,
            status.as_u16()
        )));
    }
    if !status.is_success() {
        return Err(wrong(
            image,
            &format!("is refused by its source: {}", status.as_u16()),
        ));
    }
    if answer.content_length().is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let unwritten = |e: std::io::Error| told(into, &e);
    let mut file = File::create_new(into).await.map_err(unwritten)?;
    let mut left = most;
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|e| silent(image, e))?;
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        left = left.checked_sub(length).ok_or_else(too_large)?;
        file.write_all(&piece).await.map_err(unwritten)?;
        let (took, bytes) = (begun.elapsed(), most - left);
        if !pace.is_kept(took, bytes) {
            return Err(slow(image, bytes, took));
        }
    }
    file.flush().await.map_err(unwritten)
}

/// A server that does not keep to its pace.
fn slow(image: &Image, bytes: u64, took: Duration) -> Error {
    // Whoever asked for it may have been told long ago to try again.
    let (image, seconds) = (&image.name, took.as_secs());
    tracing::warn!(image, bytes, seconds, "an image comes too slowly");
    Error::Unavailable(format!(
        "the source of the image {image:?} is too slow: {bytes} bytes in {seconds} s"
    ))
}

/// What came of asking, without the address, which may hold a secret.
fn silent(image: &Image, e: reqwest::Error) -> Error {
    let e = e.without_url();
    let mut why = e.to_string();
    let mut cause = e.source();
    while let Some(inner) = cause {
        why = inner.to_string();
        cause = inner.source();
    }
    Error::Unavailable(format!(
        "the source of the image {:?} does not answer: {why}",
        image.name
    ))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers every request with these bytes, and an image that
    /// is there.
    async fn at(answer: &'static str) -> Image {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut line, _) = server.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(line.read_u8().await.unwrap());
                }
                line.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Image {
            name: "far".to_owned(),
            source: format!("http://user:secret@127.0.0.1:{port}/image"),
            sha256: "0".repeat(64),
            format: "raw".to_owned(),
        }
    }

    async fn fetched(image: &Image, below: &Path) -> Result<Here> {
        here(image, below, ".new-", 1).await
    }

    fn is_empty(folder: &Path) -> bool {
        std::fs::read_dir(folder).unwrap().next().is_none()
    }

    #[tokio::test]
    async fn what_is_far_is_fetched_and_goes_when_it_is_not_needed_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let image =
            at("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nbytes").await;
        assert!(is_far(&image));
        let here = fetched(&image, folder.path()).await.unwrap();
        let path = here.image.source.strip_prefix("file:").unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"bytes");
        assert_eq!(here.image.sha256, image.sha256);
        drop(here);
        assert!(is_empty(folder.path()));
    }

    #[tokio::test]
    async fn what_is_refused_cut_or_too_large_leaves_nothing_and_tells_no_address() {
        let folder = tempfile::tempdir().unwrap();
        for (answer, is_final, words) in [
            ("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", true, "404"),
            ("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", false, "503"),
            ("HTTP/1.1 408 No\r\ncontent-length: 0\r\n\r\n", false, "408"),
            ("HTTP/1.1 425 No\r\ncontent-length: 0\r\n\r\n", false, "425"),
            ("HTTP/1.1 429 No\r\ncontent-length: 0\r\n\r\n", false, "429"),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n",
                true,
                "more than 1 MiB",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nbyt",
                false,
                "does not answer",
            ),
            ("HTTP/1.1 200", false, "does not answer"),
        ] {
            let image = at(answer).await;
            let e = fetched(&image, folder.path()).await.unwrap_err();
            assert_eq!(matches!(e, Error::Image { .. }), is_final, "{e}");
            let text = e.to_string();
            assert!(text.contains(words) && text.contains("far"), "{text}");
            assert!(
                !text.contains("secret") && !text.contains("127.0.0.1"),
                "{text}"
            );
            assert!(is_empty(folder.path()));
        }
    }

    #[tokio::test]
    async fn a_server_that_is_too_slow_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let image =
            at("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nbytes").await;
        let path = folder.path().join("image");
        let never = Pace {
            whole: Duration::ZERO,
            ..PACE
        };
        let url = address(&image).unwrap();
        let e = fetch(&image, url, &path, 100, never).await.unwrap_err();
        assert!(matches!(e, Error::Unavailable(_)), "{e}");
        assert!(e.to_string().contains("too slow"), "{e}");
        // A byte a second, and the least that is let through.
        let minute = Duration::from_secs(60);
        assert!(PACE.is_kept(minute / 2, 1) && !PACE.is_kept(minute, 60));
        assert!(PACE.is_kept(minute, 60 * PACE.least));
        assert!(!PACE.is_kept(PACE.whole, u64::MAX));
    }

    #[tokio::test]
    async fn a_server_that_is_slow_to_say_what_comes_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut line, _) = server.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(line.read_u8().await.unwrap());
            }
            line.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
            // A byte now and then, so that it is never silent.
            while line.write_all(b"H").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let image = Image {
            source: format!("http://127.0.0.1:{port}/image"),
            ..at("").await
        };
        let path = folder.path().join("image");
        let soon = Pace {
            grace: Duration::from_millis(200),
            ..PACE
        };
        let url = address(&image).unwrap();
        let e = fetch(&image, url, &path, 100, soon).await.unwrap_err();
        assert!(e.to_string().contains("too slow"), "{e}");
    }

    #[tokio::test]
    async fn what_is_fetched_is_nobody_elses_while_it_is_looked_at() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let image =
            at("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nbytes").await;
        let here = fetched(&image, folder.path()).await.unwrap();
        let path = Path::new(here.image.source.strip_prefix("file:").unwrap());
        let mode = path.parent().unwrap().metadata().unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[tokio::test]
    async fn what_is_here_is_where_it_was() {
        let image = Image {
            source: "file:/images/small".to_owned(),
            ..at("").await
        };
        assert!(!is_far(&image));
        let below = Path::new("/none");
        let here = fetched(&image, below).await.unwrap();
        assert_eq!(here.image, image);
    }
}
