//! The one error of the test bench: a sentence for the person who runs it.
//!
//! Nothing here is matched on; whoever catches a fault prints it or gives it more context.

use std::fmt;
use std::io;

/// What went wrong, in words; made with `Fault::new` or by `?` from I/O errors.
pub struct Fault(String);

/// The result of everything in the bench that can fail.
pub type Outcome<T> = Result<T, Fault>;

impl Fault {
    pub fn new(text: impl Into<String>) -> Fault {
        Fault(text.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tests unwrap outcomes: what they print should be the sentence itself.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault(error.to_string())
    }
}

impl From<nix::Error> for Fault {
    fn from(error: nix::Error) -> Fault {
        Fault(error.to_string())
    }
}

/// Puts what was being done in front of an error.
pub trait About<T> {
    fn about(self, what: &str) -> Outcome<T>;
}

impl<T, E: Into<Fault>> About<T> for Result<T, E> {
    fn about(self, what: &str) -> Outcome<T> {
        self.map_err(|error| Fault(format!("{what}: {}", error.into())))
    }
}
