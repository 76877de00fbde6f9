//! What happens to containers, as it happens: the tool `lxc-monitor` tells
//! their states, and their folder who comes and goes.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::tools;
use crate::driver::{Error, Event, Result, name};
use crate::files::told;

/// How long the tool may take until it listens.
const BEGINS: Duration = Duration::from_secs(5);

/// What happens below a path. It ends with the tool, and the tool with it.
pub(super) async fn of(path: &Path) -> Result<BoxStream<'static, Event>> {
    // Nothing was made there yet; what is not mounted must not be made.
    if let Err(e) = fs::create_dir(path)
        && e.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(told(path, &e));
    }
    let folder = Folder::of(path).map_err(|e| told(path, &e))?;
    let monitor = Monitor::begin(path).await?;
    let whole = |events: BoxStream<'static, Event>| {
        let end = stream::once(std::future::ready(None));
        events.map(Some).chain(end)
    };
    let states = stream::unfold(monitor, Monitor::next).boxed();
    let folders = stream::unfold(folder, Folder::next).boxed();
    let begin = stream::once(std::future::ready(Some(Event::Listening)));
    let events = begin.chain(stream::select(whole(states), whole(folders)));
    // Half of it is no whole.
    let events = events.take_while(|event| std::future::ready(event.is_some()));
    Ok(events.filter_map(std::future::ready).boxed())
}

/// The tool, which tells of all containers of a path in lines. They are a
/// reason to look: what cannot be read is left out.
struct Monitor {
    lines: Lines<BufReader<ChildStdout>>,
    /// Ends with this.
    _tool: Child,
}

impl Monitor {
    async fn begin(path: &Path) -> Result<Self> {
        let mut command = tools::tool("lxc-monitor", path);
        command
            .args(["-n", ".*"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut command = tokio::process::Command::from(command);
        let begun = command.kill_on_drop(true).spawn();
        let mut tool = begun.map_err(|e| tools::not_begun(&e))?;
        let silent = || Error::Unavailable("lxc-monitor does not begin to listen".to_owned());
        let lines = tool.stdout.take().ok_or_else(silent)?;
        let listens = async {
            while !tool.id().is_some_and(listens) {
                if !matches!(tool.try_wait(), Ok(None)) {
                    return Err(silent());
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Ok(())
        };
        match tokio::time::timeout(BEGINS, listens).await {
            Ok(begun) => begun?,
            Err(_) => return Err(silent()),
        }
        Ok(Self {
            lines: BufReader::new(lines).lines(),
            _tool: tool,
        })
    }

    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            let line = self.lines.next_line().await.ok()??;
            if let Some(event) = event(&line) {
                return Some((event, self));
            }
        }
    }
}

/// Whether the tool has reached the program that tells it what happens: one of
/// its sockets is connected then, as the kernel shows.
fn listens(tool: u32) -> bool {
    const CONNECTED: &str = "03";
    let Ok(sockets) = fs::read_to_string("/proc/net/unix") else {
        return false;
    };
    // Num RefCount Protocol Flags Type St Inode Path
    let connected = |inode: &str| {
        let words = |line: &str| {
            let mut words = line.split_whitespace().skip(5);
            words.next() == Some(CONNECTED) && words.next() == Some(inode)
        };
        sockets.lines().any(words)
    };
    let Ok(open) = fs::read_dir(format!("/proc/{tool}/fd")) else {
        return false;
    };
    open.flatten().any(|fd| {
        let target = fs::read_link(fd.path()).unwrap_or_default();
        let target = target.to_string_lossy();
        let inode = target
            .strip_prefix("socket:[")
            .and_then(|t| t.strip_suffix(']'));
        inode.is_some_and(connected)
    })
}

/// `'NAME' changed state to [STATE]`
fn event(line: &str) -> Option<Event> {
    let (name, rest) = line.strip_prefix('\'')?.split_once('\'')?;
    let word = rest
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    Some(Event::Domain {
        name: name.to_owned(),
        state: word.and_then(|(word, _)| tools::state(word)),
    })
}

/// The folder in which containers are folders: the tool tells of no container
/// that is removed.
struct Folder {
    inotify: AsyncFd<OwnedFd>,
    /// What was read and not told yet, the next one last.
    read: Vec<Event>,
}

impl Folder {
    fn of(path: &Path) -> std::io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let comes_and_goes = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
        let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        inotify::add_watch(&inotify, path, comes_and_goes | itself)?;
        #[allow(deprecated, reason = "an owned descriptor stays the same and open")]
        let inotify = AsyncFd::new(inotify)?;
        Ok(Self {
            inotify,
            read: Vec::new(),
        })
    }

    async fn next(mut self) -> Option<(Event, Self)> {
        while self.read.is_empty() {
            let mut ready = self.inotify.readable().await.ok()?;
            let read = ready.try_io(|inotify| read(inotify.get_ref()));
            match read {
                Ok(read) => self.read = read.ok()??,
                // Somebody else was faster.
                Err(_) => continue,
            }
            self.read.reverse();
        }
        let next = self.read.pop()?;
        Some((next, self))
    }
}

/// What there is to read; nothing where the folder is not there any more.
fn read(inotify: &OwnedFd) -> std::io::Result<Option<Vec<Event>>> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    let mut events = Vec::new();
    loop {
        let entry = reader.next()?;
        let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED;
        if entry.events().intersects(gone) {
            return Ok(None);
        }
        if entry.events().contains(ReadFlags::QUEUE_OVERFLOW) {
            events.push(Event::Listening);
        }
        let of = entry.file_name().and_then(|of| of.to_str().ok());
        // What is made aside is no container yet.
        if let Some(of) = of.filter(|of| name(of).is_ok()) {
            events.push(Event::Domain {
                name: of.to_owned(),
                state: None,
            });
        }
        if reader.is_buffer_empty() {
            return Ok(Some(events));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::State;

    #[test]
    fn a_line_of_the_monitor_names_the_container_and_its_state() {
        let told = |state| {
            let name = "rm-1".to_owned();
            Some(Event::Domain { name, state })
        };
        let line = event("'rm-1' changed state to [STOPPED]");
        assert_eq!(line, told(Some(State::Stopped)));
        assert_eq!(event("'rm-1' exited with status [0]"), told(None));
        assert_eq!(event("something else"), None);
    }

    #[tokio::test]
    async fn who_comes_and_goes_is_told_and_what_is_made_aside_is_not() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("containers");
        fs::create_dir(&path).unwrap();
        let folder = Folder::of(&path).unwrap();
        let mut events = stream::unfold(folder, Folder::next).boxed();
        fs::create_dir(path.join(".new-1")).unwrap();
        fs::rename(path.join(".new-1"), path.join("rm-1")).unwrap();
        let told = || Event::Domain {
            name: "rm-1".to_owned(),
            state: None,
        };
        assert_eq!(events.next().await, Some(told()));
        fs::remove_dir(path.join("rm-1")).unwrap();
        assert_eq!(events.next().await, Some(told()));
        fs::remove_dir(&path).unwrap();
        assert_eq!(events.next().await, None);
    }
}
