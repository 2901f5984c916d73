//! The one place that prints: levels, redaction, standard error. Lines begin with the seconds
//! since the start; whoever collects them knows the date.

use ramson_proto::trace::{Event, Level};
use std::fmt::Display;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};

/// Prints what is loud enough. Copies share their level.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// A [`Level`] as a number; it lives as long as the process, like what prints with it.
    level: &'static AtomicU8,
}

impl Log {
    /// Prints events up to `level`.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self {
            level: Box::leak(Box::new(AtomicU8::new(level as u8))),
        }
    }

    /// Prints events up to another level from now on.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    fn prints(&self, level: Level) -> bool {
        level as u8 <= self.level.load(Ordering::Relaxed)
    }

    /// Prints an event of the core. Destinations are named at debug level only.
    pub fn event(&self, event: &Event) {
        match event {
            Event::Note(l, text) => self.line(*l, text),
            Event::Count(l, text, n) => self.line(*l, format_args!("{text}: {n}")),
            Event::Router(l, text, hash) => self.line(*l, format_args!("{text}: {hash:?}")),
            Event::Dest(l, text, dest) if self.prints(Level::Debug) => {
                self.line(*l, format_args!("{text}: {:?}", dest.0));
            }
            Event::Dest(l, text, _) => self.line(*l, text),
        }
    }

    /// Prints a line of the shell.
    pub fn line(&self, level: Level, text: impl Display) {
        if !self.prints(level) {
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
