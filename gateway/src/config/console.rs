//! `[console]`

use serde::Deserialize;

/// `[console]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Whether there is a page that configures the box.
    pub enabled: bool,
    /// Who may set the first password.
    pub first_password: FirstPassword,
}

/// Who may set the first password, in the first minutes after the machine was switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstPassword {
    /// Who knows the code that the console prints.
    #[default]
    Code,
    /// The first visitor: for boxes without screen and serial line.
    Visitor,
}
