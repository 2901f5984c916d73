//! Where a client wanted to go. TPROXY leaves the original destination as the local address of
//! the accepted socket, and as the packet information of a datagram.

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use tokio::net::TcpStream;

/// The address and port the client connected to.
///
/// # Errors
/// The socket is already gone.
pub fn of_stream(stream: &TcpStream) -> io::Result<SocketAddr> {
    stream.local_addr()
}

/// A datagram's length, sender, and the address it was sent to (with its interface).
pub struct Datagram {
    /// Bytes in the buffer; a longer datagram was cut to the buffer.
    pub len: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// The address it was sent to.
    pub to: IpAddr,
    /// The interface it came in by.
    pub ifindex: u32,
}

/// Reads one datagram from a non-blocking socket with packet information switched on.
///
/// # Errors
/// Those of `recvmsg`; `InvalidData` when addresses are missing.
pub fn recv(socket: impl AsFd, buf: &mut [u8]) -> io::Result<Datagram> {
    let mut iov = [IoSliceMut::new(buf)];
    let mut control = nix::cmsg_space!(nix::libc::in6_pktinfo, nix::libc::in_pktinfo);
    let flags = MsgFlags::MSG_DONTWAIT;
    let fd = socket.as_fd().as_raw_fd();
    let got = recvmsg::<SockaddrStorage>(fd, &mut iov, Some(&mut control), flags)?;
    let mut to = None;
    for message in got.cmsgs()? {
        match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                let address = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr));
                to = u32::try_from(info.ipi_ifindex)
                    .ok()
                    .map(|i| (IpAddr::V4(address), i));
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                to = Some((
                    Ipv6Addr::from(info.ipi6_addr.s6_addr).into(),
                    info.ipi6_ifindex,
                ));
            }
            _ => {}
        }
    }
    let from = got.address.and_then(|a| {
        let v4 = a
            .as_sockaddr_in()
            .map(|a| SocketAddr::V4(SocketAddrV4::from(*a)));
        v4.or_else(|| {
            a.as_sockaddr_in6()
                .map(|a| SocketAddr::V6(SocketAddrV6::from(*a)))
        })
    });
    let (Some(from), Some((to, ifindex))) = (from, to) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    Ok(Datagram {
        len: got.bytes,
        from,
        to,
        ifindex,
    })
}

/// Answers a datagram from the very address it was sent to.
///
/// # Errors
/// Those of `sendmsg`.
pub fn reply(socket: impl AsFd, to: &Datagram, bytes: &[u8]) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let iov = [IoSlice::new(bytes)];
    let target = SockaddrStorage::from(to.from);
    let v4;
    let v6;
    let control = match to.to {
        IpAddr::V4(address) => {
            v4 = nix::libc::in_pktinfo {
                ipi_ifindex: i32::try_from(to.ifindex).unwrap_or(0),
                ipi_spec_dst: nix::libc::in_addr {
                    s_addr: u32::from(address).to_be(),
                },
                ipi_addr: nix::libc::in_addr { s_addr: 0 },
            };
            ControlMessage::Ipv4PacketInfo(&v4)
        }
        IpAddr::V6(address) => {
            v6 = nix::libc::in6_pktinfo {
                ipi6_addr: nix::libc::in6_addr {
                    s6_addr: address.octets(),
                },
                ipi6_ifindex: to.ifindex,
            };
            ControlMessage::Ipv6PacketInfo(&v6)
        }
    };
    sendmsg(fd, &iov, &[control], MsgFlags::MSG_DONTWAIT, Some(&target))?;
    Ok(())
}
