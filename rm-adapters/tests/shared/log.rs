//! What a program logs, for tests that look for words in it.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

/// What was logged on the thread that began it.
#[derive(Clone)]
pub(crate) struct Log(ThreadId, Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Begins it, for the whole program: where tests share one, what another
    /// thread meets first without a log would be switched off for all. So only
    /// one test of a program may.
    pub(crate) fn begin(level: Level) -> Self {
        let log = Self(thread::current().id(), Arc::default());
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log
    }

    /// Everything until now.
    pub(crate) fn said(&self) -> String {
        String::from_utf8(self.1.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if thread::current().id() == self.0 {
            self.1.lock().unwrap().extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
