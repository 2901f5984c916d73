//! The address book as a file.

use crate::log::Log;
use ramson_proto::limits;
use ramson_proto::names::hosts::Hosts;
use ramson_proto::trace::Level;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Reads an address book; lines that cannot be used are named and left out. A file that is not
/// there is an empty one.
///
/// # Errors
/// File and reason: it cannot be read, or is too large.
pub fn read(path: &Path, log: Log) -> Result<Hosts, String> {
    let named = |e: io::Error| format!("{}: {e}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let text = format!("{}: not there, so no names are known", path.display());
            log.line(Level::Info, text);
            return Ok(Hosts::default());
        }
        Err(e) => return Err(named(e)),
    };
    let mut bytes = Vec::new();
    let most = limits::HOSTS_BYTES_MAX;
    file.take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(named)?;
    if bytes.len() > most {
        let text = format!("is longer than {most} bytes");
        return Err(named(io::Error::other(text)));
    }
    let (hosts, bad) = Hosts::parse(&bytes);
    for b in &bad.first {
        let (path, line, reason) = (path.display(), b.line, b.reason);
        log.line(
            Level::Warn,
            format_args!("{path}:{line}: the line {reason}"),
        );
    }
    if bad.count > bad.first.len() {
        let more = bad.count - bad.first.len();
        let text = format!("{}: {more} more lines cannot be used", path.display());
        log.line(Level::Warn, text);
    }
    Ok(hosts)
}
