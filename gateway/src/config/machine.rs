//! `[machine]`

use super::Wrong;
use serde::Deserialize;
use std::path::PathBuf;

/// `[machine]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Machine {
    /// Whether it is nothing but this box.
    pub enabled: bool,
    /// Where all that it keeps lies.
    pub data: PathBuf,
    /// How long a change of the ports waits to be confirmed before it is undone.
    pub confirm_seconds: u16,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            enabled: false,
            data: "/data".into(),
            confirm_seconds: 90,
        }
    }
}

impl Machine {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if !(5..=600).contains(&self.confirm_seconds) {
            return Err(("machine", "confirm_seconds", "needs 5 to 600"));
        }
        let absolute = self.data.is_absolute() && self.data.file_name().is_some();
        absolute
            .then_some(())
            .ok_or(("machine", "data", "needs a path from /"))
    }
}
