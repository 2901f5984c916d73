//! `[paths]` and `[limits]`.

use super::Wrong;
use serde::Deserialize;
use std::path::{Component, PathBuf};

/// Longest name of a Unix socket, bytes.
const SOCKET_PATH_MAX: usize = 107;

/// `[paths]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// Directory of the supervisor's state file; made if missing. Nobody but root may be able to
    /// change it, or one above it: not below the router's.
    pub state_dir: PathBuf,
    /// The router's socket for streams.
    pub stream_sock: PathBuf,
    /// The router's socket for its status; its `sockets.uids` have to name the gateway's user.
    pub control_sock: PathBuf,
    /// The supervisor's own socket for requests, in a directory of the same kind.
    pub admin_sock: PathBuf,
    /// Where `gatewayd` passes visitors on to the console, in a directory of its own.
    pub console_sock: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/ramson-gateway".into(),
            stream_sock: ramson_ipc::STREAM_SOCK.into(),
            control_sock: ramson_ipc::CONTROL_SOCK.into(),
            admin_sock: "/run/ramson-gateway/admin.sock".into(),
            console_sock: "/run/ramson-console/console.sock".into(),
        }
    }
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Streams open at a time.
    pub flows: usize,
    /// Streams open at a time for one client.
    pub flows_per_client: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 512,
            flows_per_client: 128,
        }
    }
}

impl Paths {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        for (key, path, most) in [
            ("state_dir", &self.state_dir, usize::MAX),
            ("stream_sock", &self.stream_sock, SOCKET_PATH_MAX),
            ("control_sock", &self.control_sock, SOCKET_PATH_MAX),
            ("admin_sock", &self.admin_sock, SOCKET_PATH_MAX),
            ("console_sock", &self.console_sock, SOCKET_PATH_MAX),
        ] {
            let dots = path.components().any(|c| c == Component::ParentDir);
            if !path.is_absolute() || dots || path.file_name().is_none() {
                return Err(("paths", key, "needs a path from / without .."));
            }
            if path.as_os_str().len() > most {
                return Err((
                    "paths",
                    key,
                    "is longer than the 107 bytes of a socket's name",
                ));
            }
        }
        if self.admin_sock == self.stream_sock {
            return Err(("paths", "admin_sock", "is the same as paths.stream_sock"));
        }
        // Others may pass through that one's directory, and through no other.
        if self.console_sock.parent() == self.admin_sock.parent() {
            let what = "needs another directory than paths.admin_sock";
            return Err(("paths", "console_sock", what));
        }
        Ok(())
    }
}

impl Limits {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if !(1..=16_384).contains(&self.flows) {
            return Err(("limits", "flows", "needs 1 to 16384"));
        }
        if !(1..=self.flows).contains(&self.flows_per_client) {
            return Err(("limits", "flows_per_client", "needs 1 to limits.flows"));
        }
        Ok(())
    }
}
