//! The state file: random values made once; and the directories of what `gatewayd` keeps. Their
//! loss changes virtual addresses, leases and identities, nothing else.

use super::directory::Directory;
use crate::config::Paths;
use crate::handover::Secrets;
use crate::saved::Places;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

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
        Ok(Some(bytes)) => {
            Secrets::from_bytes(&Zeroizing::new(bytes)).ok_or_else(|| fail(&DAMAGED))
        }
        Ok(None) => {
            let mut random = Zeroizing::new([0; 38]);
            let urandom = File::open("/dev/urandom");
            let urandom = urandom.and_then(|mut f| f.read_exact(&mut random[..]));
            urandom.map_err(|e| fail(&e))?;
            let secrets = Secrets::from_random(&random);
            let written = state.write(FILE, &secrets.to_bytes());
            written.map_err(|e| fail(&e))?;
            Ok(secrets)
        }
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => Err(fail(&DAMAGED)),
        Err(e) => Err(fail(&e)),
    }
}

/// Name of `gatewayd`'s directories, below the state directory and beside the admin socket.
const KEPT: &str = "kept";

/// Opens `gatewayd`'s directories, which belong to its user, or makes them.
///
/// # Errors
/// In words: which one is in others' hands or cannot be made.
pub fn places(paths: &Paths, user: (u32, u32)) -> Result<Places, String> {
    let give = |dir: &Path| {
        let given = Directory::open(dir).and_then(|d| d.give(KEPT, user));
        given.map_err(|e| format!("{}: {e}", dir.display()))
    };
    let run = paths.admin_sock.parent().unwrap_or(Path::new("/"));
    Ok(Places {
        run: give(run)?,
        flash: give(&paths.state_dir)?,
    })
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
