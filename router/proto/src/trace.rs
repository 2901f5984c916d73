//! Typed trace events: the core's only log. The shell prints them, and redacts what is sensitive.

use crate::wire::hash::{DestHash, RouterHash};
use core::fmt;

/// How loud an event is. What names a user's destinations is never above `Debug`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is broken and needs the operator.
    Error,
    /// Something unexpected that heals by itself.
    Warn,
    /// A milestone.
    Info,
    /// For finding out why.
    Debug,
}

/// A value that is printed only by a shell that was told to.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive<T>(pub T);

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// One trace event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A sentence of the core about itself, without any address, name or key.
    Note(Level, &'static str),
    /// The same with a number.
    Count(Level, &'static str, u64),
    /// About a router.
    Router(Level, &'static str, RouterHash),
    /// About a destination.
    Dest(Level, &'static str, Sensitive<DestHash>),
}

impl Event {
    /// How loud it is.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::Note(l, _) | Self::Count(l, ..) | Self::Router(l, ..) | Self::Dest(l, ..) => *l,
        }
    }
}
