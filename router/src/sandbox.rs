//! What the process gives up before it reads a key: new privileges, core dumps, files that others
//! can read. Not a jail: users, namespaces and system call filters are the service manager's.

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

/// Must run before any thread is started.
///
/// # Errors
/// In words, which of them the kernel refuses.
pub fn enter() -> Result<(), String> {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    prctl::set_no_new_privs().map_err(|e| format!("no_new_privs: {e}"))?;
    // Keys must not land in core files, nor be read by other programs of the same user.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|e| format!("RLIMIT_CORE: {e}"))?;
    prctl::set_dumpable(false).map_err(|e| format!("dumpable: {e}"))?;
    // Huge pages multiply the resident size of a small heap; not every kernel has them.
    let _ = prctl::set_thp_disable(true);
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // With fewer, links and streams are refused earlier; nothing else changes.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_in_force() {
        enter().unwrap();
        assert!(prctl::get_no_new_privs().unwrap());
        assert!(!prctl::get_dumpable().unwrap());
        assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, 0));
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
        let mask = Mode::S_IRWXG | Mode::S_IRWXO;
        assert_eq!(umask(mask), mask);
    }
}
