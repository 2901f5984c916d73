//! The first routers: files of a directory, and signed reseed files.

use crate::config_file::Seeds;
use crate::log::Log;
use ramson_proto::limits;
use ramson_proto::netdb::reseed;
use ramson_proto::trace::Level;
use ramson_proto::wire::router_info::{RouterInfo, parse_verified};
use std::path::Path;
use std::sync::Arc;

/// Bytes of a reseed file.
const SU3_MAX: u64 = 16 << 20;
/// Files of a seed directory.
const FILES_MAX: usize = 10_000;

/// Reads a directory of RouterInfo files. A file that is no valid RouterInfo is named and left
/// out.
pub fn from_dir(dir: &Path, log: Log) -> Vec<Arc<RouterInfo>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) => {
            log.line(Level::Error, format_args!("{}: {e}", dir.display()));
            return Vec::new();
        }
    };
    let mut out = Vec::new();
    for path in entries
        .filter_map(Result::ok)
        .map(|e| e.path())
        .take(FILES_MAX)
    {
        if path.extension().is_none_or(|e| e != "dat") {
            continue;
        }
        match read_router(&path) {
            Ok(info) => out.push(Arc::new(info)),
            Err(e) => log.line(Level::Warn, format_args!("{}: {e}", path.display())),
        }
    }
    out
}

fn read_router(path: &Path) -> Result<RouterInfo, String> {
    let size = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > limits::ROUTER_INFO_MAX as u64 {
        return Err(format!("{size} bytes are too many for a RouterInfo"));
    }
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    parse_verified(&bytes).map_err(|e| e.to_string())
}

/// Reads a reseed file; its signature is always verified.
///
/// # Errors
/// File and reason.
pub fn from_su3(
    config: &Seeds,
    now: ramson_proto::time::Now,
) -> Result<Vec<Arc<RouterInfo>>, String> {
    let path = &config.su3;
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let size = std::fs::metadata(path).map_err(|e| named(&e))?.len();
    if size > SU3_MAX {
        return Err(named(&format_args!(
            "{size} bytes are too many for a reseed file"
        )));
    }
    let bytes = std::fs::read(path).map_err(|e| named(&e))?;
    let certificates = certificates(&config.certificates)?;
    let borrowed: Vec<(&str, &[u8])> = certificates
        .iter()
        .map(|(n, c)| (n.as_str(), c.as_slice()))
        .collect();
    let routers = reseed::read_su3(&bytes, &borrowed, Some(now.wall)).map_err(|e| named(&e))?;
    let verified = routers
        .iter()
        .filter_map(|b| parse_verified(b).ok())
        .map(Arc::new);
    Ok(verified.collect())
}

/// Signers and certificates: those of a directory, or those built in.
fn certificates(dir: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
    if dir.as_os_str().is_empty() {
        let own = reseed::SIGNERS
            .iter()
            .map(|(n, c)| ((*n).to_owned(), c.to_vec()));
        return Ok(own.collect());
    }
    let named = |e: std::io::Error| format!("{}: {e}", dir.display());
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(named)? {
        let path = entry.map_err(named)?.path();
        let signer = path
            .file_stem()
            .and_then(|s| s.to_str())
            .map(|s| s.replace("_at_", "@"));
        if let (Some(signer), true) = (signer, path.extension().is_some_and(|e| e == "crt")) {
            out.push((signer, std::fs::read(&path).map_err(named)?));
        }
    }
    Ok(out)
}
