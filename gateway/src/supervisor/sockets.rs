//! The sockets only root can make: transparent, and bound to the LAN interface, so that nothing
//! sent through them can leave by another one.

use crate::config::Config;
use crate::handover::Sockets;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, listen, setsockopt,
    socket, sockopt,
};
use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

/// DNS.
const DNS_PORT: u16 = 53;

/// Makes all of them.
///
/// # Errors
/// Says which one could not be made.
pub fn make(config: &Config) -> Result<Sockets, String> {
    let lan = config.lan.interface.as_str();
    let one = |family: AddressFamily, kind: SockType, port: u16| {
        open(family, kind, port, lan).map_err(|e| format!("{family:?} {kind:?} port {port}: {e}"))
    };
    let both = |kind, port| -> Result<[OwnedFd; 2], String> {
        Ok([
            one(AddressFamily::Inet, kind, port)?,
            one(AddressFamily::Inet6, kind, port)?,
        ])
    };
    Ok(Sockets {
        streams: both(SockType::Stream, config.lan.port)?.map(Into::into),
        dns_udp: both(SockType::Datagram, DNS_PORT)?.map(Into::into),
        dns_tcp: both(SockType::Stream, DNS_PORT)?.map(Into::into),
    })
}

fn open(family: AddressFamily, kind: SockType, port: u16, lan: &str) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, kind, flags, None)?;
    setsockopt(&fd, sockopt::IpTransparent, &true)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    setsockopt(&fd, sockopt::BindToDevice, &OsString::from(lan))?;
    if family == AddressFamily::Inet6 {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
        if kind == SockType::Datagram {
            setsockopt(&fd, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
        bind(fd.as_raw_fd(), &SockaddrIn6::from(any))?;
    } else {
        if kind == SockType::Datagram {
            setsockopt(&fd, sockopt::Ipv4PacketInfo, &true)?;
        }
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        bind(fd.as_raw_fd(), &SockaddrIn::from(any))?;
    }
    if kind == SockType::Stream {
        // The kernel's own bound: C libraries differ, and a number above theirs is refused.
        listen(&fd, Backlog::MAXALLOWABLE)?;
    }
    Ok(fd)
}
