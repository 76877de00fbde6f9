//! Containers as folders, and what is done with them. Everything here blocks.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rm_core::model::NodeUser;

use super::cgroups;
use super::config::{self, Cgroups};
use super::disks;
use super::links;
use super::notes::Notes;
use super::running::{Running, boot};
use super::tools::{self, Info};
use super::users;
use crate::driver::{Definition, Domain, Error, Result, Share, State};
use crate::files::{self, Aside, told};
use crate::images::Images;

pub(super) const CONFIG: &str = "config";
const RECORD: &str = "rm.json";
pub(super) const OVERLAY: &str = "overlay";
/// Is there from the first start on.
pub(super) const RAN: &str = "ran";
pub(super) const CONSOLE: &str = "console.log";
/// Where their images are kept, which is there before the first of them.
pub(super) const IMAGES: &str = ".images";
/// What folders that are begun aside are called.
const ASIDE: &str = ".new-";

/// All containers below one path.
#[derive(Debug)]
pub(super) struct Containers {
    path: PathBuf,
    images: Images,
    pub(super) cgroups: Cgroups,
    pub(super) running: Running,
    notes: Notes,
    /// One of them was looked for, and nothing of any was there.
    away: AtomicBool,
}

impl Containers {
    pub(super) fn at(path: &Path, images: Images) -> Self {
        Self {
            path: path.to_owned(),
            images,
            cgroups: Cgroups::of_this_machine(),
            running: Running::default(),
            notes: Notes::default(),
            away: AtomicBool::new(false),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn images(&self) -> &Images {
        &self.images
    }

    pub(super) fn list(&self) -> Result<Vec<Domain>> {
        self.found(&self.names()?)
    }

    /// Those of these names that are there, which somebody knows: where none of
    /// them is, what belongs here may be away.
    pub(super) fn these(&self, names: &[String]) -> Result<Vec<Domain>> {
        let found = self.found(names)?;
        if found.is_empty() && !names.is_empty() && !self.is_ours()? {
            self.away.store(true, Ordering::Relaxed);
            return Err(self.is_away());
        }
        Ok(found)
    }

    fn found(&self, names: &[String]) -> Result<Vec<Domain>> {
        // Whether one ran is asked before whether it runs: of one that is started
        // meanwhile it is not said that it ran and was stopped.
        let ran = |name: &String| self.folder(name).is_ok_and(|f| f.join(RAN).exists());
        let ran: Vec<bool> = names.iter().map(ran).collect();
        let sockets = tools::Sockets::now();
        let found = names.iter().zip(ran);
        let found = found.map(|(name, ran)| self.domain(name, ran, &sockets));
        found.filter_map(Result::transpose).collect()
    }

    /// Whether anything says that containers are kept here: where all of them are
    /// gone their images are still there. What belongs here and is not mounted has
    /// neither.
    fn is_ours(&self) -> Result<bool> {
        if self.path.join(IMAGES).is_dir() {
            return Ok(true);
        }
        let all = self.entries()?;
        Ok(all
            .iter()
            .any(|name| self.path.join(name).join(RECORD).exists()))
    }

    /// Refuses to make anything where what belongs here is away: it would be
    /// hidden below what is mounted then, and make what is away look gone.
    pub(super) fn be_there(&self) -> Result<()> {
        match self.away.load(Ordering::Relaxed) && !self.is_ours()? {
            true => Err(self.is_away()),
            false => Ok(()),
        }
    }

    fn is_away(&self) -> Error {
        Error::Unavailable(format!(
            "{} has neither images nor containers, and containers of it are known: mount what belongs there, or, where all of it is gone for good, make the folder {IMAGES} in it",
            self.path.display()
        ))
    }

    /// What they take, whether they run or not: nobody need be asked for that.
    pub(super) fn shares(&self) -> Result<Vec<Share>> {
        let mut shares = Vec::new();
        for name in self.names()? {
            let folder = self.folder(&name)?;
            let (metadata, config) = (read(&folder.join(RECORD))?, read(&folder.join(CONFIG))?);
            if metadata.is_none() && config.is_none() {
                continue;
            }
            shares.push(Share {
                name,
                size: config::size(config.as_deref().unwrap_or_default()),
                metadata,
            });
        }
        Ok(shares)
    }

    pub(super) fn notes(&self) -> Result<Vec<(String, String)>> {
        let files = self.names()?.into_iter().map(|name| {
            let file = self.path.join(&name).join(RECORD);
            (name, file)
        });
        self.notes.of(files)
    }

    /// The folders that may be containers.
    fn names(&self) -> Result<Vec<String>> {
        self.be_there()?;
        self.entries()
    }

    fn entries(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            // Nothing was made there yet; what is not mounted looks the same,
            // so its parent must be there.
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.is_new() => return Ok(Vec::new()),
            Err(e) => return Err(told(&self.path, &e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(|e| told(&self.path, &e))?.file_name();
            // What cannot be a name of ours is somebody else's affair.
            let name = name.into_string().ok();
            names.extend(name.filter(|name| crate::driver::name(name).is_ok()));
        }
        names.sort_unstable();
        Ok(names)
    }

    fn is_new(&self) -> bool {
        self.path.parent().is_some_and(Path::exists)
    }

    fn domain(&self, name: &str, ran: bool, sockets: &tools::Sockets) -> Result<Option<Domain>> {
        let folder = self.folder(name)?;
        let metadata = read(&folder.join(RECORD))?;
        let config = read(&folder.join(CONFIG))?;
        if metadata.is_none() && config.is_none() {
            self.running.forget(name);
            return Ok(None);
        }
        let info = match sockets.may_run(&self.path, name) {
            true => self.info(name)?,
            false => Info::STOPPED,
        };
        Ok(Some(Domain {
            name: name.to_owned(),
            state: info.state,
            ran: ran || info.state != State::Stopped,
            boot: info.init.and_then(boot),
            size: config::size(config.as_deref().unwrap_or_default()),
            metadata,
        }))
    }

    /// How one is doing: a tool is asked where nothing else tells.
    fn info(&self, name: &str) -> Result<Info> {
        if let Some(info) = self.running.info(name) {
            return Ok(info);
        }
        let info = tools::info(&self.path, name)?;
        self.running.told(name, &info);
        Ok(info)
    }

    /// Where a container is; the name was checked and is checked once more.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        Ok(self.path.join(crate::driver::name(name)?))
    }

    /// The folder of one that is there, and its lock.
    pub(super) fn locked(&self, name: &str) -> Result<(PathBuf, fs::File)> {
        let folder = self.folder(name)?;
        match files::lock(&folder)? {
            Some(lock) => Ok((folder, lock)),
            None => Err(Error::NotFound(name.to_owned())),
        }
    }

    pub(super) fn define(&self, new: &Definition) -> Result<()> {
        self.be_there()?;
        let folder = self.folder(&new.name)?;
        let lower = self.images.root(&new.image)?;
        fs::create_dir_all(&self.path).map_err(|e| told(&self.path, &e))?;
        files::sweep(&self.path, ASIDE).map_err(|e| told(&self.path, &e))?;
        if new.disk_mib.is_some() {
            return Err(Error::Unsupported {
                driver: "lxc",
                what: "give a disk a size",
            });
        }
        let aside = Aside::make(&self.path, ASIDE)?;
        let text = self.disk(&aside.path().join(OVERLAY), &folder, &lower, new)?;
        files::replace(&aside.path().join(CONFIG), text.as_bytes())
            .map_err(|e| told(&folder, &e))?;
        files::replace(&aside.path().join(RECORD), new.metadata.as_bytes())
            .map_err(|e| told(&folder, &e))?;
        files::close(aside.path()).map_err(|e| told(&folder, &e))?;
        new.in_time()?;
        match aside.place(&folder)? {
            true => Ok(()),
            false => Err(Error::Exists(new.name.clone())),
        }
    }

    /// Removes what was begun aside by those who were cut off, and the bridges of
    /// links that nobody is on.
    pub(super) fn sweep_up(&self) -> Result<()> {
        if !self.path.is_dir() {
            return Ok(());
        }
        let names = self.names()?;
        files::sweep(&self.path, ASIDE).map_err(|e| told(&self.path, &e))?;
        self.images.sweep_up()?;
        for folder in names.iter().map(|name| self.path.join(name)) {
            disks::sweep_up(&folder)?;
        }
        links::sweep(&self.path, || self.linked())
    }

    pub(super) fn annotate(&self, name: &str, metadata: &str) -> Result<()> {
        let (folder, _lock) = self.locked(name)?;
        let record = folder.join(RECORD);
        if !record.exists() {
            return Err(Error::NotFound(name.to_owned()));
        }
        files::replace(&record, metadata.as_bytes()).map_err(|e| told(&record, &e))
    }

    pub(super) fn annotate_over(&self, name: &str, before: &str, metadata: &str) -> Result<bool> {
        let (folder, _lock) = self.locked(name)?;
        let record = folder.join(RECORD);
        if read(&record)?.as_deref() != Some(before) {
            return Ok(false);
        }
        let written = files::replace(&record, metadata.as_bytes());
        written.map(|()| true).map_err(|e| told(&record, &e))
    }

    pub(super) fn undefine(&self, name: &str) -> Result<()> {
        let (folder, _lock) = self.locked(name)?;
        self.still(name, "removed")?;
        cgroups::forget(name);
        files::remove(&folder, &[CONFIG, RECORD], ASIDE)
            .map_err(|e| Error::Unclear(format!("{name:?} is removed in part: {e}")))?;
        // The container is gone; what is left of links goes with the next one.
        if let Err(e) = links::sweep(&self.path, || self.linked()) {
            tracing::warn!(error = %e, "a bridge of a link is still there");
        }
        Ok(())
    }

    /// The links that any container is on.
    fn linked(&self) -> Result<BTreeSet<String>> {
        let mut named = BTreeSet::new();
        for name in self.names()? {
            let config = read(&self.path.join(&name).join(CONFIG))?;
            named.extend(links::of(config.as_deref().unwrap_or_default()));
        }
        Ok(named)
    }

    pub(super) fn users(&self, name: &str, before: &[NodeUser], now: &[NodeUser]) -> Result<()> {
        let (_, _lock) = self.locked(name)?;
        match tools::info(&self.path, name)?.state {
            State::Running => users::change(&self.path, name, before, now),
            state => Err(Error::NotNow {
                name: name.to_owned(),
                state,
                wanted: "told who logs in",
            }),
        }
    }

    pub(super) fn console(&self, name: &str, most: usize) -> Result<Vec<u8>> {
        let log = self.folder(name)?.join(CONSOLE);
        let tail = || -> io::Result<Vec<u8>> {
            let mut file = fs::File::open(&log)?;
            let most = u64::try_from(most).unwrap_or(u64::MAX);
            let from = file.metadata()?.len().saturating_sub(most);
            file.seek(SeekFrom::Start(from))?;
            let mut bytes = Vec::new();
            file.take(most).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match tail() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            bytes => bytes.map_err(|e| told(&log, &e)),
        }
    }

    /// Refuses what is possible only with one that does not run.
    pub(super) fn still(&self, name: &str, wanted: &'static str) -> Result<()> {
        match tools::info(&self.path, name)?.state {
            State::Stopped => Ok(()),
            state => Err(Error::NotNow {
                name: name.to_owned(),
                state,
                wanted,
            }),
        }
    }
}

/// A text file; nothing where there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(told(path, &e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No container is asked whether it runs: there is none to answer.
    #[test]
    fn what_containers_take_is_in_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let config = "lxc.cgroup2.memory.max = 67108864\n";
        for (name, file, text) in [("n1", RECORD, "{}"), ("n1", CONFIG, config), ("x", "y", "")] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join(file), text).unwrap();
        }
        let images = Images::at(&folder.path().join(".images"), 1);
        let shares = Containers::at(folder.path(), images).shares().unwrap();
        assert_eq!(shares.len(), 1, "{shares:?}");
        assert_eq!((&*shares[0].name, shares[0].size.memory_mib), ("n1", 64));
        assert_eq!(shares[0].metadata.as_deref(), Some("{}"));
    }

    #[test]
    fn what_is_not_mounted_is_away_and_not_gone() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("data");
        let path = below.join("lxc");
        let images = || Images::at(&path.join(IMAGES), 1);
        let known = ["rm-1".to_owned()];
        // A new place has nothing, and may be made use of.
        fs::create_dir_all(&path).unwrap();
        let new = Containers::at(&path, images());
        assert_eq!(new.shares().unwrap().len(), 0);
        // What else is in it is nobody's container, and tells nothing.
        fs::create_dir(path.join("backup")).unwrap();
        assert_eq!(new.list().unwrap(), []);
        new.be_there().unwrap();
        // All of them are gone: what they were made of is there.
        fs::create_dir(path.join(IMAGES)).unwrap();
        let host = Containers::at(&path, images());
        assert_eq!(host.these(&known).unwrap(), []);
        // Unmounted, its mount point is empty, or that of what it is in.
        for mounted in [&path, &below] {
            fs::remove_dir_all(mounted).unwrap();
            fs::create_dir(mounted).unwrap();
            let host = Containers::at(&path, images());
            let away = host.these(&known).unwrap_err();
            assert!(matches!(away, Error::Unavailable(_)), "{away:?}");
            assert!(away.to_string().contains("mount"), "{away}");
            // Nothing new is made there either, which would hide that.
            assert!(host.shares().is_err() && host.be_there().is_err());
            fs::create_dir_all(path.join(IMAGES)).unwrap();
            assert_eq!(host.these(&known).unwrap(), []);
            host.be_there().unwrap();
        }
    }
}
