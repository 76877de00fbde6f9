//! Glance: images that an appliance names, found or brought there.

mod upload;

pub use upload::{ImageSource, Progress, Uploaded};

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::catalog::Service;
use super::error::{Call, Error};
use super::lenient::or_default;
use super::session::Session;
use super::wire::Ask;

const VERSION: &str = "v2";

/// Glance's calls.
#[derive(Clone, Debug)]
pub struct Glance {
    session: Session,
}

/// An image as Glance knows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct Image {
    /// Its id.
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    /// Its name, which others may have too.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// `queued`, `saving`, `active`, ...; only an active one can be used.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// Its bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// `qcow2`, `raw`, ...
    #[serde(default)]
    pub disk_format: Option<String>,
    /// `public`, `private`, `shared`, `community`.
    #[serde(default, deserialize_with = "or_default")]
    pub visibility: String,
    /// Id of the project it belongs to.
    #[serde(default)]
    pub owner: Option<String>,
    /// MD5 of its bytes, from old versions.
    #[serde(default)]
    pub checksum: Option<String>,
    /// With what `os_hash_value` was made, mostly `sha512`.
    #[serde(default)]
    pub os_hash_algo: Option<String>,
    /// Digest of its bytes.
    #[serde(default)]
    pub os_hash_value: Option<String>,
    /// GiB of disk that a server needs for it.
    #[serde(default, deserialize_with = "or_default")]
    pub min_disk: u64,
    /// MiB of memory that a server needs for it.
    #[serde(default, deserialize_with = "or_default")]
    pub min_ram: u64,
    /// Its tags.
    #[serde(default, deserialize_with = "or_default")]
    pub tags: Vec<String>,
}

impl Image {
    /// Whether servers can be made from it.
    pub fn is_active(&self) -> bool {
        self.status == "active"
    }
}

/// An image to be made.
#[derive(Clone, Debug, Serialize)]
pub struct NewImage {
    /// Its id, if the client chooses it: a second create is then refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// `qcow2`, `raw`, ...
    pub disk_format: String,
    /// Mostly `bare`.
    pub container_format: String,
    /// Who may see it.
    pub visibility: String,
    /// GiB of disk that a server needs for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_disk: Option<u64>,
    /// MiB of memory that a server needs for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ram: Option<u64>,
    /// Tags to find it again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl NewImage {
    /// A private image without a container.
    pub fn new(name: impl Into<String>, disk_format: impl Into<String>) -> Self {
        Self {
            id: None,
            name: name.into(),
            disk_format: disk_format.into(),
            container_format: "bare".to_owned(),
            visibility: "private".to_owned(),
            min_disk: None,
            min_ram: None,
            tags: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct Images {
    #[serde(default, deserialize_with = "or_default")]
    images: Vec<Image>,
}

fn images(parts: &[&str]) -> Ask {
    let path: Vec<&str> = std::iter::once("images")
        .chain(parts.iter().copied())
        .collect();
    Ask::get(&path).version(VERSION)
}

impl Glance {
    /// Glance of a session's cloud.
    pub fn new(session: Session) -> Self {
        Self { session }
    }

    /// The images of this name that the project can see, in whatever state.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find(&self, name: &str) -> Result<Vec<Image>, Error> {
        let ask = images(&[]).query("name", name).query("limit", "100");
        let call = Call::read(Service::Image, "find image");
        let mut found = self.session.ask::<Images>(call, &ask).await?.images;
        // Glance takes some names (`in:...`) for expressions.
        found.retain(|image| image.name == name);
        Ok(found)
    }

    /// The images with this tag, in whatever state.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tagged(&self, tag: &str) -> Result<Vec<Image>, Error> {
        let ask = images(&[]).query("tag", tag).query("limit", "1000");
        let call = Call::read(Service::Image, "list images");
        Ok(self.session.ask::<Images>(call, &ask).await?.images)
    }

    /// One image.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn show(&self, id: &str) -> Result<Image, Error> {
        let call = Call::read(Service::Image, "show image");
        self.session.ask(call, &images(&[id])).await
    }

    /// Makes an image without bytes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create(&self, image: &NewImage) -> Result<Image, Error> {
        let mut ask = images(&[]).json(image)?;
        ask.method = Method::POST;
        let call = Call::write(Service::Image, "create image");
        self.session.ask(call, &ask).await
    }

    /// Deletes an image; `false` if there is none (any more).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, id: &str) -> Result<bool, Error> {
        let mut ask = images(&[id]);
        ask.method = Method::DELETE;
        let call = Call::write(Service::Image, "delete image");
        match self.session.send(call, &ask).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
