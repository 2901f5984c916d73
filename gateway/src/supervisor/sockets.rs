//! The sockets only root can make: transparent, and bound to the LAN interface, so that nothing
//! sent through them can leave by another one.

use crate::config::Config;
use crate::handover::Sockets;
use crate::{dhcp4, dhcp6, lan_service};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, bind,
    listen, setsockopt, socket, sockopt,
};
use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

/// DNS.
const DNS_PORT: u16 = 53;

/// Who DHCPv6 clients ask, and who they ask for advertisements.
const ALL_DHCP_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

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
        lan: lan_service::Sockets {
            dhcp4: [
                named("DHCP", dhcp4(dhcp4::SERVER_PORT, lan))?,
                named("DHCP", dhcp4(dhcp4::CLIENT_PORT, lan))?,
            ],
            dhcp6: named("DHCPv6", dhcp6(lan))?,
            icmp6: named("ICMPv6", icmp6(lan))?,
        },
    })
}

fn named(what: &str, socket: nix::Result<OwnedFd>) -> Result<UdpSocket, String> {
    socket.map(Into::into).map_err(|e| format!("{what}: {e}"))
}

/// A socket of one family on the LAN. What it sends can leave by no other interface.
fn plain(
    family: AddressFamily,
    kind: SockType,
    protocol: Option<SockProtocol>,
    lan: &str,
) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, kind, flags, protocol)?;
    setsockopt(&fd, sockopt::BindToDevice, &OsString::from(lan))?;
    if family == AddressFamily::Inet6 && kind == SockType::Datagram {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    Ok(fd)
}

fn dhcp4(port: u16, lan: &str) -> nix::Result<OwnedFd> {
    let fd = plain(AddressFamily::Inet, SockType::Datagram, None, lan)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    setsockopt(&fd, sockopt::Broadcast, &true)?;
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    bind(fd.as_raw_fd(), &SockaddrIn::from(any))?;
    Ok(fd)
}

fn dhcp6(lan: &str) -> nix::Result<OwnedFd> {
    let fd = plain(AddressFamily::Inet6, SockType::Datagram, None, lan)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    join(&fd, ALL_DHCP_SERVERS, lan)?;
    let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, dhcp6::SERVER_PORT, 0, 0);
    bind(fd.as_raw_fd(), &SockaddrIn6::from(any))?;
    Ok(fd)
}

/// Router advertisements and neighbour discovery travel with the largest hop limit, which nobody
/// beyond the link can bring about (RFC 4861, section 6.1).
fn icmp6(lan: &str) -> nix::Result<OwnedFd> {
    let (v6, icmp) = (AddressFamily::Inet6, SockProtocol::IcmpV6);
    let fd = plain(v6, SockType::Raw, Some(icmp), lan)?;
    let text = |e: rustix::io::Errno| nix::Error::from_raw(e.raw_os_error());
    rustix::net::sockopt::set_ipv6_multicast_hops(&fd, 255).map_err(text)?;
    rustix::net::sockopt::set_ipv6_unicast_hops(&fd, Some(255)).map_err(text)?;
    rustix::net::sockopt::set_ipv6_multicast_loop(&fd, false).map_err(text)?;
    join(&fd, ALL_ROUTERS, lan)?;
    Ok(fd)
}

fn join(fd: &OwnedFd, group: Ipv6Addr, lan: &str) -> nix::Result<()> {
    let index = nix::net::if_::if_nametoindex(lan)?;
    let joined = rustix::net::sockopt::set_ipv6_add_membership(fd, &group, index);
    joined.map_err(|e| nix::Error::from_raw(e.raw_os_error()))
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
