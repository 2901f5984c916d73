//! A note beside the database that says that it is being read. A damaged one may end the process
//! instead of being refused; the note outlives that.

use std::fs;
use std::path::{Path, PathBuf};

/// So many notes in a row are no accident.
const TRIES: usize = 2;

/// One attempt to read the database.
pub struct Attempt {
    note: PathBuf,
    earlier: usize,
}

impl Attempt {
    /// Leaves the note. Where none can be written, none is needed: nothing is moved there either.
    pub fn begin(database: &Path) -> Self {
        let note = database.with_extension("opening");
        let earlier = fs::read(&note).map_or(0, |n| n.len());
        let _ = fs::write(&note, vec![b'.'; earlier.min(TRIES) + 1]);
        Self { note, earlier }
    }

    /// Whether the attempts before this one all ended the process.
    pub const fn failed_before(&self) -> bool {
        self.earlier >= TRIES
    }

    /// The database was read.
    pub fn succeeded(self) {}
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_file(&self.note);
        }
    }
}
