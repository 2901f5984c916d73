//! The one place that prints: levels, redaction, standard error. Lines begin with the seconds
//! since the start; whoever collects them knows the date.

use ramson_proto::trace::{Event, Level};
use std::fmt::Display;
use std::io::Write as _;

/// Prints what is loud enough.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    level: Level,
}

impl Log {
    /// Prints events up to `level`.
    #[must_use]
    pub const fn new(level: Level) -> Self {
        Self { level }
    }

    /// Prints an event of the core. Destinations are named at debug level only.
    pub fn event(&self, event: &Event) {
        match event {
            Event::Note(l, text) => self.line(*l, text),
            Event::Count(l, text, n) => self.line(*l, format_args!("{text}: {n}")),
            Event::Router(l, text, hash) => self.line(*l, format_args!("{text}: {hash:?}")),
            Event::Dest(l, text, dest) if self.level >= Level::Debug => {
                self.line(*l, format_args!("{text}: {:?}", dest.0));
            }
            Event::Dest(l, text, _) => self.line(*l, text),
        }
    }

    /// Prints a line of the shell.
    pub fn line(&self, level: Level, text: impl Display) {
        if level > self.level {
            return;
        }
        let name = match level {
            Level::Error => "error",
            Level::Warn => "warn ",
            Level::Info => "info ",
            Level::Debug => "debug",
        };
        // A closed standard error is no reason to stop routing.
        let ms = crate::clock::now().mono.0 / 1000;
        let _ = writeln!(
            std::io::stderr().lock(),
            "{:8}.{:03} {name} {text}",
            ms / 1000,
            ms % 1000
        );
    }
}
