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
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            enabled: false,
            data: "/data".into(),
        }
    }
}

impl Machine {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let absolute = self.data.is_absolute() && self.data.file_name().is_some();
        absolute
            .then_some(())
            .ok_or(("machine", "data", "needs a path from /"))
    }
}
