//! The state file: random values made once. Its loss changes virtual addresses, nothing else.

use crate::handover::Secrets;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Name in the state directory.
const FILE: &str = "secrets";

/// Reads the file, or makes it (and the directory).
///
/// # Errors
/// In words: not readable, not ours, or not writable.
pub fn load_or_make(dir: &Path) -> Result<Secrets, String> {
    let path = dir.join(FILE);
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    match fs::read(&path) {
        Ok(bytes) => {
            let bytes: Option<&[u8; 38]> = bytes.as_slice().try_into().ok();
            let secrets = bytes.and_then(Secrets::from_bytes);
            secrets.ok_or_else(|| fail(&"is damaged; remove it to make a new one"))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let mut random = [0; 38];
            let urandom = File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut random));
            urandom.map_err(|e| fail(&e))?;
            let secrets = Secrets::from_random(random);
            write(dir, &secrets.to_bytes()).map_err(|e| fail(&e))?;
            Ok(secrets)
        }
        Err(e) => Err(fail(&e)),
    }
}

/// Temporary file, fsync, rename, fsync of the directory.
fn write(dir: &Path, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let temp = dir.join("secrets.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temp)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temp, dir.join(FILE))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_once_kept_private_and_refused_when_damaged() {
        let dir = std::env::temp_dir().join(format!("ramson-state-{}", std::process::id()));
        let first = load_or_make(&dir.join("sub")).unwrap();
        assert_eq!(first.prefix6[0], 0xfc);
        assert!(load_or_make(&dir.join("sub")).unwrap() == first);
        let file = dir.join("sub").join(FILE);
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::write(&file, b"short").unwrap();
        assert!(load_or_make(&dir.join("sub")).is_err_and(|e| e.contains("damaged")));
        fs::remove_dir_all(&dir).unwrap();
    }
}
