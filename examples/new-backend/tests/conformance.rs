//! What the plugin declares is true, whatever goes wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;

use new_backend::{File, Files};
use rm_core::backend::Backend;
use rm_testkit::conformance::{Level, Plain, suite};

#[tokio::test]
async fn files_are_exact() {
    let disk = tempfile::tempdir().unwrap();
    let root = disk.path().to_owned();
    let fresh = move || -> Arc<dyn Backend<File>> {
        let folder = tempfile::tempdir_in(&root).unwrap().keep();
        let folders = [("ground".to_owned(), folder)].into();
        Arc::new(Files { folders })
    };
    let files = Plain::new("files", fresh, "a text".to_owned()).bigger("a longer text".to_owned());
    suite(files).await.assert(Level::Exact);
}
