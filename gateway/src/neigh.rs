//! Asks the kernel's neighbour table for the MAC of a LAN address (rtnetlink, no capabilities
//! needed). Not a cache: `policy` keeps the answers.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
const NLM_F_REQUEST: u16 = 1;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Length of `nlmsghdr` and of `ndmsg`.
const NLMSG_LEN: usize = 16;
const NDMSG_LEN: usize = 12;

/// A socket to the neighbour table of one interface.
pub struct Neighbours {
    socket: OwnedFd,
    ifindex: u32,
}

impl Neighbours {
    /// # Errors
    /// The interface does not exist or the socket cannot be made.
    pub fn new(interface: &str) -> Result<Self, Errno> {
        let ifindex = nix::net::if_::if_nametoindex(interface)?;
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        Ok(Self { socket, ifindex })
    }

    /// The MAC of an address on the interface; `None` when the kernel does not know it. The
    /// kernel answers before `send` returns, so this does not wait.
    #[must_use]
    pub fn mac(&self, address: IpAddr) -> Option<[u8; 6]> {
        let mut buf = [0u8; 1024];
        let fd = self.socket.as_raw_fd();
        while recv(fd, &mut buf, MsgFlags::MSG_DONTWAIT).is_ok() {}
        let request = request(address, self.ifindex);
        sendto(fd, &request, &NetlinkAddr::new(0, 0), MsgFlags::empty()).ok()?;
        let n = recv(fd, &mut buf, MsgFlags::MSG_DONTWAIT).ok()?;
        parse(buf.get(..n)?)
    }
}

fn request(address: IpAddr, ifindex: u32) -> Vec<u8> {
    let (family, dst) = match address {
        IpAddr::V4(v4) => (AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, v6.octets().to_vec()),
    };
    let mut body = vec![family, 0, 0, 0];
    body.extend(ifindex.to_ne_bytes());
    body.extend([0; 4]);
    let attr_len = u16::try_from(4 + dst.len()).unwrap_or(0);
    body.extend(attr_len.to_ne_bytes());
    body.extend(NDA_DST.to_ne_bytes());
    body.extend(dst);
    let mut out = u32::try_from(NLMSG_LEN + body.len())
        .unwrap_or(0)
        .to_ne_bytes()
        .to_vec();
    out.extend(RTM_GETNEIGH.to_ne_bytes());
    out.extend(NLM_F_REQUEST.to_ne_bytes());
    out.extend([0; 8]);
    out.extend(body);
    out
}

/// The link-layer address of the first message, when it is a neighbour with a 6-byte one.
fn parse(bytes: &[u8]) -> Option<[u8; 6]> {
    let u16_at = |bytes: &[u8], at: usize| -> Option<u16> {
        Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
    };
    let len = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    let message = bytes.get(..usize::try_from(len).ok()?)?;
    if u16_at(message, 4)? != RTM_NEWNEIGH {
        return None;
    }
    let mut attrs = message.get(NLMSG_LEN + NDMSG_LEN..)?;
    loop {
        let len = usize::from(u16_at(attrs, 0)?);
        let value = attrs.get(4..len)?;
        if u16_at(attrs, 2)? == NDA_LLADDR {
            return value.try_into().ok();
        }
        attrs = attrs.get(len.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(kind: u16, attrs: &[u8]) -> Vec<u8> {
        let len = u32::try_from(NLMSG_LEN + NDMSG_LEN + attrs.len()).unwrap();
        let head = [
            &len.to_ne_bytes()[..],
            &kind.to_ne_bytes(),
            &[0; 10],
            &[2; 12],
        ]
        .concat();
        [head.as_slice(), attrs].concat()
    }

    fn attr(kind: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(4 + value.len()).unwrap();
        let mut out = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    #[test]
    fn finds_the_mac_behind_other_attributes() {
        let attrs = [
            attr(9, &[1, 2, 3, 4, 5]),
            attr(NDA_LLADDR, &[1, 2, 3, 4, 5, 6]),
        ]
        .concat();
        assert_eq!(
            parse(&reply(RTM_NEWNEIGH, &attrs)),
            Some([1, 2, 3, 4, 5, 6])
        );
        assert_eq!(parse(&reply(2, &attrs)), None);
        assert_eq!(
            parse(&reply(RTM_NEWNEIGH, &attr(NDA_LLADDR, &[1; 8]))),
            None
        );
    }

    #[test]
    fn damaged_replies_are_none() {
        let whole = reply(RTM_NEWNEIGH, &attr(NDA_LLADDR, &[1; 6]));
        for n in 0..whole.len() {
            assert_eq!(parse(&whole[..n]), None);
        }
        for at in 0..whole.len() {
            for value in [0, 1, 3, 255] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let _ = parse(&bytes);
            }
        }
    }

    #[test]
    fn the_loopback_interface_has_no_neighbours() {
        let table = Neighbours::new("lo").unwrap();
        assert_eq!(table.mac([127, 0, 0, 9].into()), None);
        assert!(Neighbours::new("no-such-if").is_err());
    }
}
