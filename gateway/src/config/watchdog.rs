//! `[watchdog]`

use super::Wrong;
use serde::Deserialize;
use std::path::PathBuf;

/// `[watchdog]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Watchdog {
    /// Whether the machine's watchdog is fed.
    pub enabled: bool,
    /// Which one; without it the first of hardware, else the kernel's own.
    pub device: Option<PathBuf>,
}

impl Watchdog {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        match &self.device {
            Some(device) if !device.is_absolute() => {
                Err(("watchdog", "device", "needs a path from /"))
            }
            _ => Ok(()),
        }
    }
}
