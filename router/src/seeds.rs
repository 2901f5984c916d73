//! The first routers: files of a directory tree, and signed reseed files. What cannot be used is
//! counted by reason.

mod tree;

use crate::config_file::ConfigFile;
use crate::log::Log;
use ramson_proto::limits;
use ramson_proto::netdb::reseed::{self, ReseedError};
use ramson_proto::router::clock::EARLIEST;
use ramson_proto::time::Now;
use ramson_proto::trace::Level;
use ramson_proto::wire::error::{Cause, WireError};
use ramson_proto::wire::router_info::{RouterInfo, parse_verified};
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

/// Fewer routers than this make the reseed file worth reading.
pub const RESEED_BELOW: usize = 25;
/// Certificates of a directory, and bytes of one.
const CERTIFICATES_MAX: usize = 256;
const CERTIFICATE_MAX: u64 = 64 * 1024;
/// Files that are named in the log when they cannot be used; further ones are counted.
const NAMED: usize = 10;

/// Routers, and why others were left out.
#[derive(Debug, Default)]
pub struct Found {
    /// Verified ones of our network.
    pub routers: Vec<Arc<RouterInfo>>,
    /// Reasons and how often each was met.
    pub left_out: BTreeMap<String, usize>,
}

impl Found {
    /// Takes another find in.
    pub fn join(&mut self, other: Self) {
        self.routers.extend(other.routers);
        for (why, n) in other.left_out {
            *self.left_out.entry(why).or_default() += n;
        }
    }

    fn skip(&mut self, why: impl Into<String>) {
        *self.left_out.entry(why.into()).or_default() += 1;
    }

    /// Takes the bytes of a RouterInfo in.
    ///
    /// # Errors
    /// What is wrong with them, exactly; a word for it is counted.
    fn add(&mut self, bytes: &[u8], net_id: u8) -> Result<(), WireError> {
        let info = match parse_verified(bytes) {
            Ok(info) => info,
            Err(e) if e.cause == Cause::BadSignature => {
                self.skip("with a bad signature");
                return Err(e);
            }
            Err(e) => {
                self.skip("damaged");
                return Err(e);
            }
        };
        match info.net_id() {
            Some(id) if id == net_id => {}
            Some(id) => {
                self.skip(format!("of network {id}, not {net_id}"));
                return Ok(());
            }
            None => {
                self.skip("of no network");
                return Ok(());
            }
        }
        if info.version().is_none() {
            self.skip("of an unknown version");
        } else if !info.addresses().iter().any(|a| a.static_key().is_some()) {
            self.skip("without an address of NTCP2 or SSU2");
        } else {
            self.routers.push(Arc::new(info));
        }
        Ok(())
    }
}

impl Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.routers.len() {
            0 => f.write_str("no usable RouterInfo")?,
            1 => f.write_str("1 RouterInfo")?,
            n => write!(f, "{n} RouterInfos")?,
        }
        if self.routers.is_empty() && self.left_out.is_empty() {
            return f.write_str(": there is none in it");
        }
        let mut between = "; left out: ";
        for (why, n) in &self.left_out {
            write!(f, "{between}{n} {why}")?;
            between = ", ";
        }
        Ok(())
    }
}

/// Reads the RouterInfo files (`*.dat`) of a directory and of those below it, as i2pd and Java I2P
/// lay them out. Says what was found; nothing usable is a warning.
pub fn from_dir(dir: &Path, net_id: u8, log: Log) -> Found {
    let mut found = Found::default();
    let files = match tree::files(dir, &mut |why| found.skip(why)) {
        Ok(files) => files,
        Err(e) => {
            log.line(Level::Error, format_args!("{}: {e}", dir.display()));
            return found;
        }
    };
    let mut named = 0;
    for path in files {
        let result = match tree::read(&path, limits::ROUTER_INFO_MAX as u64) {
            Ok(bytes) => found.add(&bytes, net_id).map_err(|e| e.to_string()),
            Err(e) => {
                found.skip("that cannot be read");
                Err(e.to_string())
            }
        };
        if let Err(e) = result {
            named += 1;
            if named <= NAMED {
                log.line(Level::Warn, format_args!("{}: {e}", path.display()));
            }
        }
    }
    let level = if found.routers.is_empty() {
        Level::Warn
    } else {
        Level::Info
    };
    log.line(level, format_args!("{}: {found}", dir.display()));
    found
}

/// A reseed file that somebody brings over a socket.
#[derive(Debug)]
pub struct Given {
    /// The file, at most 4 MiB.
    pub bytes: Vec<u8>,
    /// What to tell him: a line, `error: …` when nothing of it is used.
    pub answer: tokio::sync::oneshot::Sender<String>,
}

/// What became of the reseed file.
#[derive(Debug)]
pub enum Reseed {
    /// Its routers; it is used up.
    Routers(Found),
    /// It may be good on another day: what is in the way.
    Later(String),
}

/// Reads the reseed file of the configuration; its signature is always verified.
///
/// # Errors
/// File and reason: it is damaged, or nobody who is trusted signed it.
pub fn from_su3(file: &ConfigFile, now: Now) -> Result<Reseed, String> {
    let path = file.path(&file.seeds.su3);
    let named = |e: &dyn Display| format!("{}: {e}", path.display());
    let bytes = tree::read(&path, limits::SU3_MAX as u64).map_err(|e| named(&e))?;
    match from_bytes(&bytes, file, now) {
        Ok(Reseed::Later(why)) => Ok(Reseed::Later(named(&why))),
        read => read.map_err(|e| named(&e)),
    }
}

/// Reads a reseed file; its signature is always verified.
///
/// # Errors
/// It is damaged, or nobody who is trusted signed it.
pub fn from_bytes(bytes: &[u8], file: &ConfigFile, now: Now) -> Result<Reseed, String> {
    let text = |e: &dyn Display| e.to_string();
    let certificates = certificates(file)?;
    let borrowed: Vec<(&str, &[u8])> = certificates
        .iter()
        .map(|(n, c)| (n.as_str(), c.as_slice()))
        .collect();
    if now.wall < EARLIEST {
        // Everything but the dates is judged today.
        reseed::read_su3(bytes, &borrowed, None).map_err(|e| text(&e))?;
        let why = "the clock of this machine is wrong; it is read when the clock is right";
        return Ok(Reseed::Later(why.to_owned()));
    }
    let routers = match reseed::read_su3(bytes, &borrowed, Some(now.wall)) {
        Ok(routers) => routers,
        Err(e @ ReseedError::OutOfDate(_)) => return Ok(Reseed::Later(text(&e))),
        Err(e) => return Err(text(&e)),
    };
    let mut found = Found::default();
    for bytes in routers {
        // Which of them is of no more interest than why.
        let _ = found.add(&bytes, file.network.net_id);
    }
    Ok(Reseed::Routers(found))
}

/// Signers and certificates: those of the configured directory, or those built in.
///
/// # Errors
/// File or directory and reason.
pub fn certificates(file: &ConfigFile) -> Result<Vec<(String, Vec<u8>)>, String> {
    if file.seeds.certificates.as_os_str().is_empty() {
        let own = reseed::SIGNERS
            .iter()
            .map(|(n, c)| ((*n).to_owned(), c.to_vec()));
        return Ok(own.collect());
    }
    let dir = file.path(&file.seeds.certificates);
    let named = |e: std::io::Error| format!("{}: {e}", dir.display());
    let mut out = Vec::new();
    for entry in std::fs::read_dir(&dir)
        .map_err(named)?
        .take(CERTIFICATES_MAX)
    {
        let path = entry.map_err(named)?.path();
        let signer = path
            .file_stem()
            .and_then(|s| s.to_str())
            .map(|s| s.replace("_at_", "@"));
        if let (Some(signer), true) = (signer, path.extension().is_some_and(|e| e == "crt")) {
            let mut bytes = Vec::new();
            let opened = std::fs::File::open(&path);
            opened
                .and_then(|f| f.take(CERTIFICATE_MAX).read_to_end(&mut bytes))
                .map_err(|e| format!("{}: {e}", path.display()))?;
            out.push((signer, bytes));
        }
    }
    Ok(out)
}

/// When the reseed file is read again: once the clock has become right, or was set.
#[derive(Debug, Default)]
pub struct Waiting {
    /// The last day on which it was of no use, and what was in the way.
    last: Option<(u64, String)>,
}

/// A day of wall time in milliseconds; certificates begin and end on days.
const DAY_MS: u64 = 86_400_000;

impl Waiting {
    /// It was of no use now.
    pub fn put_off(&mut self, now: Now, why: String) {
        self.last = Some((now.wall.0 / DAY_MS, why));
    }

    /// It is not waited for any more.
    pub fn done(&mut self) {
        self.last = None;
    }

    /// What is in the way, if anything waits.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.last.as_ref().map(|(_, why)| why.as_str())
    }

    /// Whether it is worth another look: the clock is right, and another day than last time.
    #[must_use]
    pub fn is_due(&self, now: Now) -> bool {
        let day = now.wall.0 / DAY_MS;
        now.wall >= EARLIEST && self.last.as_ref().is_some_and(|(last, _)| *last != day)
    }
}

#[cfg(test)]
mod tests;
