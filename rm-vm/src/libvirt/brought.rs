//! Images in a storage pool of the host, brought there once for all machines.
//!
//! A pool may be shared by accounts, processes and installations that know
//! nothing of each other: so nobody deletes what another one has made. Each
//! copy has a number and volumes that nobody had before. One more volume,
//! `rm-SHA256-WHAT-which`, can only be made once, and says by its size which
//! copy is whole and is the one that machines are made of. Who finds it there
//! takes that copy and removes his own.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::try_join_all;
use rm_libvirt::Volume;
use tokio::fs::File;

use super::volumes::{New, Volumes};
use crate::driver::{Error, Image, Result};
use crate::turns::Turns;

/// So many copies are begun; what was cut off keeps its number.
const COPIES: u64 = 16;
/// The size of the volume that says which copy is whole, times its number:
/// what no pool rounds to.
const UNIT: u64 = 4096;

/// A file of an image.
#[derive(Debug)]
pub(super) struct Part {
    /// What it is: a part of its volume's name.
    pub(super) what: &'static str,
    pub(super) new: New<'static>,
    pub(super) bytes: File,
}

/// A part on the host.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) what: &'static str,
    volume: Volume,
    pub(super) path: String,
}

/// What is known of the images that were brought, by checksum.
#[derive(Debug)]
pub(super) struct Brought<T> {
    /// Locked for a look only: machines are made while images are brought.
    known: Mutex<BTreeMap<String, (Vec<Placed>, T)>>,
    turns: Turns,
}

impl<T> Default for Brought<T> {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            turns: Turns::default(),
        }
    }
}

impl<T: Clone> Brought<T> {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, (Vec<Placed>, T)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, image: &Image) -> Option<(Vec<Placed>, T)> {
        self.known().get(&image.sha256).cloned()
    }

    /// An image that was brought.
    pub(super) fn of(&self, image: &Image) -> Result<T> {
        match self.look(image) {
            Some((_, brought)) => Ok(brought),
            None => Err(wrong(image, "is not on the host yet".to_owned())),
        }
    }

    /// Brings an image that is not there, or not there any more. Only who wants
    /// the same one waits for it.
    pub(super) async fn bring(
        &self,
        volumes: &Volumes,
        image: &Image,
        bring: impl Future<Output = Result<(Vec<Placed>, T)>> + Send,
    ) -> Result<()> {
        let _turn = self.turns.of(&image.sha256).await;
        if let Some((parts, _)) = self.look(image) {
            if are_there(volumes, &parts).await? {
                return Ok(());
            }
            self.known().remove(&image.sha256);
        }
        let brought = bring.await?;
        self.known().insert(image.sha256.clone(), brought);
        Ok(())
    }
}

async fn are_there(volumes: &Volumes, parts: &[Placed]) -> Result<bool> {
    let paths = parts.iter().map(|part| volumes.path(&part.volume));
    let paths = try_join_all(paths).await?;
    let mut both = paths.iter().zip(parts);
    Ok(both.all(|(path, part)| path.as_ref() == Some(&part.path)))
}

/// Brings the parts of an image, unless a whole copy is there; answers where
/// they are.
///
/// # Errors
///
/// [`Error::Image`] where a copy is said to be whole and is not there: somebody
/// has removed it.
pub(super) async fn copy(
    volumes: &Volumes,
    image: &Image,
    parts: Vec<Part>,
) -> Result<Vec<Placed>> {
    let whats: Vec<&'static str> = parts.iter().map(|part| part.what).collect();
    let of = Copies {
        volumes,
        image,
        whats,
    };
    if let Some(number) = of.whole().await? {
        of.tell_of_others(number).await;
        return of.placed(number).await;
    }
    let number = of.begin(&parts).await?;
    if let Err(e) = of.fill(number, parts).await {
        of.remove(number).await;
        return Err(e);
    }
    // Where nobody knows what came of this, it may be the one that is whole.
    if of.settle(number).await? {
        of.tell_of_others(number).await;
        return of.placed(number).await;
    }
    of.remove(number).await;
    match of.whole().await? {
        Some(number) => of.placed(number).await,
        None => Err(Error::Unavailable(format!(
            "somebody else has brought the image {:?}, and removed it at this moment",
            image.name
        ))),
    }
}

/// The copies of one image in a pool.
struct Copies<'a> {
    volumes: &'a Volumes,
    image: &'a Image,
    /// What each of its parts is. The first has the number for all.
    whats: Vec<&'static str>,
}

impl Copies<'_> {
    fn name(&self, what: &str, number: u64) -> String {
        format!("rm-{}-{what}-{number}", self.image.sha256)
    }

    fn which(&self) -> String {
        let first = self.whats.first().copied().unwrap_or_default();
        format!("rm-{}-{first}-which", self.image.sha256)
    }

    /// The number of the copy that is whole.
    async fn whole(&self) -> Result<Option<u64>> {
        let bytes = self.volumes.bytes(&self.which()).await?;
        Ok(bytes.map(|bytes| bytes / UNIT))
    }

    /// Says that this one is whole, unless another one is.
    async fn settle(&self, number: u64) -> Result<bool> {
        let says = New::raw(number * UNIT);
        self.volumes.create(&self.which(), says).await
    }

    /// Takes a number that nobody has.
    async fn begin(&self, parts: &[Part]) -> Result<u64> {
        for number in 1..=COPIES {
            let Some(first) = parts.first() else { break };
            let name = self.name(first.what, number);
            if self.volumes.create(&name, first.new).await? {
                return Ok(number);
            }
        }
        Err(Error::NoRoom(format!(
            "{COPIES} copies of the image {:?} were begun in the pool and none is whole; remove those volumes rm-{}-* that nobody fills",
            self.image.name, self.image.sha256
        )))
    }

    async fn fill(&self, number: u64, parts: Vec<Part>) -> Result<()> {
        let mut is_first = true;
        for Part { what, new, bytes } in parts {
            let name = self.name(what, number);
            // Who has the number has all that bears it.
            if !std::mem::take(&mut is_first) {
                self.volumes.make(&name, new).await?;
            }
            self.volumes.upload(&name, bytes).await?;
        }
        Ok(())
    }

    async fn placed(&self, number: u64) -> Result<Vec<Placed>> {
        let mut placed = Vec::with_capacity(self.whats.len());
        for what in &self.whats {
            let name = self.name(what, number);
            let Some((volume, path)) = self.volumes.place(&name).await? else {
                let which = self.which();
                let why = format!(
                    "was brought to the pool, and its volume {name} was removed; remove {which}, too, and it is brought again"
                );
                return Err(wrong(self.image, why));
            };
            placed.push(Placed { what, volume, path });
        }
        Ok(placed)
    }

    /// Tells of copies that nobody uses, for they may be as large as the one that
    /// is used. Who fills them may live, and machines may be over one where somebody
    /// has removed what said that it was whole: so they are for a person to remove.
    async fn tell_of_others(&self, whole: u64) {
        let first = self.whats.first().copied().unwrap_or_default();
        for number in (1..=COPIES).filter(|number| *number != whole) {
            let name = self.name(first, number);
            match self.volumes.bytes(&name).await {
                Ok(Some(_)) => tracing::warn!(
                    image = %self.image.name, volume = %name,
                    "a copy of an image was begun in the pool and another one is used; remove it if nobody fills it and no disk is over it"
                ),
                // Who begins one takes the first number that is free.
                _ => return,
            }
        }
    }

    /// Removes a copy of our own, its number last.
    async fn remove(&self, number: u64) {
        for what in self.whats.iter().rev() {
            let name = self.name(what, number);
            if let Err(e) = self.volumes.remove(&name).await {
                tracing::warn!(volume = %name, error = %e, "a copy of an image that nobody needs is left in the pool");
                return;
            }
        }
    }
}

fn wrong(image: &Image, why: String) -> Error {
    Error::Image {
        name: image.name.clone(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::Poll;

    use super::*;

    fn image(digit: char) -> Image {
        Image {
            name: digit.to_string(),
            source: "file:/none".to_owned(),
            sha256: digit.to_string().repeat(64),
            format: "raw".to_owned(),
        }
    }

    #[tokio::test]
    async fn while_one_image_is_brought_others_are_used_and_brought() {
        // Nothing of the pool is asked for.
        let uri = "qemu+tcp://127.0.0.1:1/system".parse().unwrap();
        let (client, _connection) = rm_libvirt::Client::new(rm_libvirt::Config::new(uri));
        let volumes = Volumes::new(client, "default".to_owned());
        let brought = Brought::<u32>::default();
        let [slow, there, new] = ['a', 'b', 'c'].map(image);
        let bring = ready(Ok((Vec::new(), 7)));
        brought.bring(&volumes, &there, bring).await.unwrap();

        let mut long = std::pin::pin!(brought.bring(&volumes, &slow, pending()));
        assert!(std::future::poll_fn(|cx| Poll::Ready(long.as_mut().poll(cx).is_pending())).await);
        assert_eq!(brought.of(&there).unwrap(), 7);
        let bring = ready(Ok((Vec::new(), 8)));
        brought.bring(&volumes, &new, bring).await.unwrap();
        assert_eq!(brought.of(&new).unwrap(), 8);
        let early = brought.of(&slow).unwrap_err();
        assert!(early.to_string().contains("not on the host yet"), "{early}");
    }
}
