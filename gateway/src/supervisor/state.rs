//! The state file: random values made once. Its loss changes virtual addresses, nothing else.

use super::directory::Directory;
use crate::handover::Secrets;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Name in the state directory.
const FILE: &str = "secrets";

/// Reads the file, or makes it (and the directory).
///
/// # Errors
/// In words: not readable, not ours, or not writable; or others than root can change the
/// directory.
pub fn load_or_make(dir: &Path) -> Result<Secrets, String> {
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", dir.join(FILE).display());
    let state = Directory::open(dir)?;
    match state.read(FILE) {
        Ok(Some(bytes)) => Secrets::from_bytes(&bytes).ok_or_else(|| fail(&DAMAGED)),
        Ok(None) => {
            let mut random = [0; 38];
            let urandom = File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut random));
            urandom.map_err(|e| fail(&e))?;
            let secrets = Secrets::from_random(random);
            let written = state.write(FILE, &secrets.to_bytes());
            written.map_err(|e| fail(&e))?;
            Ok(secrets)
        }
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => Err(fail(&DAMAGED)),
        Err(e) => Err(fail(&e)),
    }
}

const DAMAGED: &str = "is damaged; remove it to make a new one";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
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
