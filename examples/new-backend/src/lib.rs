//! Text files in a folder that others read (`/etc/cron.d`): see `docs/write-a-backend.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::{fs, io, path::Path, path::PathBuf, sync::Arc, time::Duration};

use rm_core::backend::*;
use rm_core::registry::{PluginFn, PluginInfo};
use rm_core::{Error, ErrorKind, Kind, RemoteId, Result, catalog::Site, model::Model, store::Page};
use serde_json::json;

/// The model: what is wanted of a file is its text, and so is what is seen.
#[derive(Debug)]
pub struct File;

impl Model for File {
    const NAME: &'static str = "file";
    type Spec = String;
    type View = String;
}

/// The section `[files]` of the configuration, and the backend.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// The folder of each site, by the site's name.
    pub folders: BTreeMap<String, PathBuf>,
}

/// What a host links.
pub static PLUGIN: PluginFn<Files> = PluginFn {
    info: PluginInfo {
        name: "files",
        crate_name: env!("CARGO_PKG_NAME"),
        crate_version: env!("CARGO_PKG_VERSION"),
    },
    schema: || {
        let folder = json!({"type": "string", "description": "Where the site's files are."});
        json!({"properties": {"folders": {"type": "object", "additionalProperties": folder}}})
    },
    install: |files, registries| {
        let (kind, api, media) = (Kind::from_static("file"), "folder".to_owned(), Vec::new());
        registries.backend("files", Serves { kind, api, media }, Arc::new(files))
    },
};
rm_core::submit_plugin!(&PLUGIN);

#[async_trait::async_trait]
impl Backend<File> for Files {
    fn capability(&self, _: &Site) -> Capability {
        let mut cap = Capability::new();
        cap.create_key = CreateKey::ClientUuid; // the mark's name is the file's
        cap.absence = Absence::NotListed;
        cap.list_by_owner = true;
        cap.resize = Resize::InPlace;
        cap.visibility = Duration::ZERO; // a folder hides nothing
        cap.late = Duration::ZERO; // and does nothing later
        cap
    }

    async fn offers(&self, cx: &Cx<'_>, _: &String) -> Result<Vec<Offer>> {
        self.folder(cx).map(|_| vec![Offer::room(None)])
    }

    async fn observe(&self, cx: &Cx<'_>, look: Look<'_, String>) -> Result<Page<Seen<File>>> {
        let folder = self.folder(cx)?;
        let id = |t: &Target| t.remote.clone().unwrap_or_else(|| RemoteId(t.mark.name()));
        let (ids, close, all): (BTreeSet<RemoteId>, bool, bool) = match look {
            Look::These(targets) => (targets.iter().map(id).collect(), false, false),
            Look::Closely(target, _) => ([id(target)].into(), true, false),
            Look::All(_) => (names(folder).map_err(told)?, false, true),
        };
        let seen = ids.into_iter().map(|id| read(folder, id, close));
        let items: Result<Vec<_>> = seen.filter_map(Result::transpose).collect();
        let mut items = items?;
        items.retain(|seen| !all || seen.mark.is_some());
        Ok(Page { items, next: None })
    }

    async fn create(&self, cx: &Cx<'_>, mark: &Mark, spec: &String) -> Result<RemoteId> {
        // A link, unlike a rename, refuses a name that is taken.
        self.put(cx, mark, spec, |new, file| fs::hard_link(new, file))?;
        Ok(RemoteId(mark.name()))
    }

    async fn change(&self, cx: &Cx<'_>, mark: &Mark, _: &Seen<File>, spec: &String) -> Result<()> {
        // A rename alone would make again what is gone.
        fs::metadata(self.folder(cx)?.join(mark.name())).map_err(told)?;
        self.put(cx, mark, spec, |new, file| fs::rename(new, file))
    }

    async fn destroy(&self, cx: &Cx<'_>, seen: &Seen<File>) -> Result<()> {
        match fs::remove_file(self.folder(cx)?.join(&seen.id.0)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            gone => gone.map_err(told),
        }
    }
}

impl Files {
    /// A folder that is not there (not mounted?) says nothing of what is in it.
    fn folder(&self, cx: &Cx<'_>) -> Result<&PathBuf> {
        let folder = self.folders.get(&cx.site.name).filter(|f| f.is_dir());
        folder.ok_or_else(|| told(io::Error::other("the site's folder is not there")))
    }

    /// Written aside and put in place in one step: an error means that nothing has happened.
    fn put(&self, cx: &Cx<'_>, mark: &Mark, text: &str, place: Place) -> Result<()> {
        let folder = self.folder(cx)?;
        let new = folder.join(format!(".{:016x}", cx.env.random()));
        let written = fs::write(&new, format!("# {}\n{text}", json!(mark)));
        let placed = written.and_then(|()| place(&new, &folder.join(mark.name())));
        let _ = fs::remove_file(&new);
        placed.map_err(told)
    }
}

type Place = fn(&Path, &Path) -> io::Result<()>;

fn names(folder: &Path) -> io::Result<BTreeSet<RemoteId>> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap_or_default();
    let all: io::Result<Vec<_>> = fs::read_dir(folder)?.map(|entry| entry.map(name)).collect();
    let ours = all?.into_iter().filter(|name| name.starts_with("rm-"));
    Ok(ours.map(RemoteId).collect())
}

fn read(folder: &Path, id: RemoteId, close: bool) -> Result<Option<Seen<File>>> {
    let file = match fs::read_to_string(folder.join(&id.0)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(told)?,
    };
    let (first, text) = file.split_once('\n').unwrap_or_default();
    Ok(Some(Seen {
        name: id.0.clone(),
        id,
        mark: serde_json::from_str(first.trim_start_matches("# ")).ok(),
        phase: Phase::Ready,
        reason: String::new(),
        stamp: Some(text.to_owned()),
        view: close.then(|| text.to_owned()),
    }))
}

fn told(e: io::Error) -> Error {
    let kind = match e.kind() {
        io::ErrorKind::AlreadyExists => ErrorKind::Exists,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, e.to_string()).advice("see the folder of the site, and [files]")
}
