//! Ctrl-C: a flag that every wait looks at, so that guards take everything down in order.
//!
//! The signal ends nothing by itself: children run in process groups of their own and are ended
//! by the guards that own them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::fault::{About, Fault, Outcome};

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Takes over SIGINT, SIGTERM and SIGHUP; calling it again changes nothing.
pub fn install() -> Outcome<()> {
    let mut first = false;
    let flag = FLAG.get_or_init(|| {
        first = true;
        Arc::new(AtomicBool::new(false))
    });
    if first {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(flag)).about("signal handler")?;
        }
    }
    Ok(())
}

/// Whether an end was asked for.
pub fn asked() -> bool {
    FLAG.get().is_some_and(|flag| flag.load(Ordering::SeqCst))
}

/// A fault once an end was asked for: `?` then unwinds to the guards.
pub fn check() -> Outcome<()> {
    if asked() {
        Err(Fault::new("interrupted"))
    } else {
        Ok(())
    }
}
