//! The one error here: a sentence for the person who builds.

use std::fmt::Display;
use std::path::Path;

/// Everything that can fail.
pub type Outcome<T> = Result<T, String>;

/// Puts what was being done in front of an error.
pub trait About<T> {
    /// With words.
    ///
    /// # Errors
    /// The same, with more words.
    fn about(self, what: impl Display) -> Outcome<T>;

    /// With the name of a file.
    ///
    /// # Errors
    /// The same, with more words.
    fn at(self, path: &Path) -> Outcome<T>;
}

impl<T, E: Display> About<T> for Result<T, E> {
    fn about(self, what: impl Display) -> Outcome<T> {
        self.map_err(|e| format!("{what}: {e}"))
    }

    fn at(self, path: &Path) -> Outcome<T> {
        self.about(path.display())
    }
}
