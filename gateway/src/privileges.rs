//! Having no privileges, and proving it: `gatewayd` refuses to run otherwise. Also how the
//! supervisor gives away what it does not need itself.

use caps::{CapSet, Capability};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, SockaddrIn, bind, socket};
use nix::unistd::{Gid, Uid};
use std::os::fd::AsRawFd;

/// What the supervisor keeps: the network, handing processes to other users, stopping them, and
/// making and reading files of other owners.
const SUPERVISOR: [Capability; 8] = [
    Capability::CAP_NET_ADMIN,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    Capability::CAP_KILL,
    Capability::CAP_CHOWN,
    Capability::CAP_NET_RAW,
    Capability::CAP_DAC_OVERRIDE,
];

/// Gives up, for this process and its children, every capability but those in `SUPERVISOR` and what
/// set-user-id programs could bring. The right to set the clock stays where that is its business.
/// Must run before any thread is started.
///
/// # Errors
/// In words, when the kernel refuses.
pub fn restrict_supervisor(clock: bool) -> Result<(), String> {
    let time = clock.then_some(Capability::CAP_SYS_TIME);
    let kept: Vec<_> = SUPERVISOR.into_iter().chain(time).collect();
    let text = |what: &str, e: &dyn std::fmt::Display| format!("{what}: {e}");
    prctl::set_no_new_privs().map_err(|e| text("no_new_privs", &e))?;
    let bounding = caps::read(None, CapSet::Bounding).map_err(|e| text("bounding set", &e))?;
    let mut extra: Vec<_> = bounding.into_iter().filter(|c| !kept.contains(c)).collect();
    extra.sort_unstable_by_key(Capability::index);
    for capability in extra {
        caps::drop(None, CapSet::Bounding, capability).map_err(|e| text("bounding set", &e))?;
    }
    caps::clear(None, CapSet::Inheritable).map_err(|e| text("inheritable set", &e))?;
    let held = caps::read(None, CapSet::Permitted).map_err(|e| text("permitted set", &e))?;
    let keep = kept.into_iter().filter(|c| held.contains(c)).collect();
    caps::set(None, CapSet::Effective, &keep).map_err(|e| text("effective set", &e))?;
    caps::set(None, CapSet::Permitted, &keep).map_err(|e| text("permitted set", &e))
}

/// Gives up every capability of a process of root's: what is left is what root's files let their
/// owner do.
///
/// # Errors
/// In words, when the kernel refuses.
pub fn drop_all() -> Result<(), String> {
    prctl::set_no_new_privs().map_err(|e| format!("no_new_privs: {e}"))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|e| format!("RLIMIT_CORE: {e}"))?;
    for set in [CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).map_err(|e| format!("{set:?} capabilities: {e}"))?;
    }
    Ok(())
}

/// Makes sure that this process has no capability and cannot get one.
///
/// # Errors
/// Says what it still has or could do.
pub fn prove_none() -> Result<(), String> {
    prctl::set_no_new_privs().map_err(|e| format!("no_new_privs: {e}"))?;
    if !prctl::get_no_new_privs().unwrap_or(false) {
        return Err("no_new_privs is not set".into());
    }
    // Secrets must not land in core files, nor be read by other programs of the same user.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|e| format!("RLIMIT_CORE: {e}"))?;
    prctl::set_dumpable(false).map_err(|e| format!("dumpable: {e}"))?;
    let ids = [Uid::current().as_raw(), Uid::effective().as_raw()];
    let groups = [Gid::current().as_raw(), Gid::effective().as_raw()];
    if ids.contains(&0) || groups.contains(&0) {
        return Err("runs as root".into());
    }
    if nix::unistd::getgroups()
        .map_err(|e| format!("groups: {e}"))?
        .iter()
        .any(|g| g.as_raw() == 0)
    {
        return Err("is in root's group".into());
    }
    let sets = [
        CapSet::Effective,
        CapSet::Permitted,
        CapSet::Inheritable,
        CapSet::Ambient,
    ];
    for set in sets {
        let held = caps::read(None, set).map_err(|e| format!("{set:?} set: {e}"))?;
        if !held.is_empty() {
            return Err(format!("{set:?} capabilities are not empty"));
        }
    }
    try_to_regain()
}

/// Does what only a privileged process can, and wants to fail.
fn try_to_regain() -> Result<(), String> {
    if nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
        return Err("could become root".into());
    }
    if nix::unistd::setgroups(&[]).is_ok() {
        return Err("could change its groups".into());
    }
    let one = [Capability::CAP_NET_ADMIN].into_iter().collect();
    if caps::set(None, CapSet::Effective, &one).is_ok() {
        return Err("could raise CAP_NET_ADMIN".into());
    }
    let (v4, flags) = (AddressFamily::Inet, SockFlag::SOCK_CLOEXEC);
    if socket(v4, SockType::Raw, flags, SockProtocol::Icmp).is_ok() {
        return Err("could make a raw socket".into());
    }
    let tcp = socket(v4, SockType::Stream, flags, SockProtocol::Tcp)
        .map_err(|e| format!("socket: {e}"))?;
    if bind(tcp.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 1)).is_ok() {
        return Err("could bind a privileged port".into());
    }
    if nix::sys::socket::setsockopt(&tcp, nix::sys::socket::sockopt::IpTransparent, &true).is_ok() {
        return Err("could make a transparent socket".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_told_that_it_is_root() {
        if Uid::effective().is_root() {
            assert_eq!(prove_none(), Err("runs as root".into()));
        } else {
            assert_eq!(prove_none(), Ok(()));
        }
    }
}
