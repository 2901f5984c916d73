//! What `supervisor` hands `gatewayd` over its standard input, a Unix socket: the listening
//! sockets, the directories of what it keeps, and the secrets of the virtual addresses, in one
//! message.

use crate::fds;
use crate::lan_service;
use crate::saved::Places;
use ipnet::Ipv6Net;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;

/// First bytes of the message: a name and a version.
const MAGIC: [u8; 4] = *b"RGH3";

/// Magic, virtual /48, key of addresses, key of identities.
const LEN: usize = 4 + 6 + 16 + 16;

/// Listening sockets, all bound to the LAN interface; those of streams and DNS are transparent.
pub struct Sockets {
    /// Streams, IPv4 and IPv6.
    pub streams: [TcpListener; 2],
    /// DNS datagrams, IPv4 and IPv6, with packet information.
    pub dns_udp: [UdpSocket; 2],
    /// DNS over TCP, IPv4 and IPv6.
    pub dns_tcp: [TcpListener; 2],
    /// Addresses and the prefix.
    pub lan: lan_service::Sockets,
}

/// Made once and kept by the supervisor.
#[derive(PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secrets {
    /// The virtual IPv6 /48; not secret from clients, but random.
    pub prefix6: [u8; 6],
    /// Key of virtual addresses.
    pub vip_key: [u8; 16],
    /// Key of client identities.
    pub client_key: [u8; 16],
}

impl Secrets {
    /// From 38 random bytes: the first becomes that of fc00::/8.
    #[must_use]
    pub fn from_random(bytes: &[u8; 38]) -> Self {
        let mut secrets = Self::split(bytes);
        secrets.prefix6[0] = 0xfc;
        secrets
    }

    /// The 38 bytes as kept in the state file.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Vec::with_capacity(38);
        for part in [&self.prefix6[..], &self.vip_key, &self.client_key] {
            bytes.extend_from_slice(part);
        }
        Zeroizing::new(bytes)
    }

    /// From what [`Secrets::to_bytes`] gave; `None` when the prefix is not one of ours.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 38]) -> Option<Self> {
        Some(Self::split(bytes)).filter(|secrets| secrets.prefix6[0] == 0xfc)
    }

    /// What is derived for a purpose; tells nothing about the keys.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let hash = Sha256::new()
            .chain_update(b"ramson gateway ")
            .chain_update(purpose)
            .chain_update(self.client_key)
            .chain_update(self.vip_key);
        Zeroizing::new(hash.finalize().into())
    }

    /// The address of the client that does not exist, as which the box looks for other servers: by
    /// it the box knows its own questions.
    #[must_use]
    pub fn asker(&self) -> [u8; 6] {
        let [a, b, c, d, e, f, ..] = *self.derive("asker");
        [a & 0xfc | 2, b, c, d, e, f]
    }

    /// The gateway's unique local address on the LAN where none is configured: host 1 of a random
    /// prefix (RFC 4193).
    #[must_use]
    pub fn lan6(&self) -> Ipv6Net {
        let random = self.derive("lan prefix");
        let mut octets = [0; 16];
        octets[..8].copy_from_slice(&random[..8]);
        octets[0] = 0xfd;
        octets[15] = 1;
        Ipv6Net::new_assert(octets.into(), 64)
    }

    fn split(bytes: &[u8; 38]) -> Self {
        let mut secrets = Self {
            prefix6: [0; 6],
            vip_key: [0; 16],
            client_key: [0; 16],
        };
        secrets.prefix6.copy_from_slice(&bytes[..6]);
        secrets.vip_key.copy_from_slice(&bytes[6..22]);
        secrets.client_key.copy_from_slice(&bytes[22..]);
        secrets
    }
}

/// Everything that is handed over.
pub struct Handed {
    /// What clients reach.
    pub sockets: Sockets,
    /// Where things are kept.
    pub places: Places,
    /// Keys.
    pub secrets: Secrets,
}

/// Descriptors of a message.
const FDS: usize = 12;

/// Sends everything.
///
/// # Errors
/// The other end is gone.
pub fn send(
    channel: impl AsFd,
    sockets: &Sockets,
    places: &Places,
    secrets: &Secrets,
) -> io::Result<()> {
    let bytes = Zeroizing::new([&MAGIC[..], &secrets.to_bytes()].concat());
    let [s4, s6] = &sockets.streams;
    let [u4, u6] = &sockets.dns_udp;
    let [t4, t6] = &sockets.dns_tcp;
    let fds = [
        s4.as_fd(),
        s6.as_fd(),
        u4.as_fd(),
        u6.as_fd(),
        t4.as_fd(),
        t6.as_fd(),
        sockets.lan.dhcp4[0].as_fd(),
        sockets.lan.dhcp4[1].as_fd(),
        sockets.lan.dhcp6.as_fd(),
        sockets.lan.icmp6.as_fd(),
        places.run.as_fd(),
        places.flash.as_fd(),
    ];
    fds::send(channel, &bytes, &fds)
}

/// Receives what [`send`] sent.
///
/// # Errors
/// Something else came, or the other end is gone.
pub fn receive(channel: impl AsFd) -> io::Result<Handed> {
    let (bytes, fds) = fds::receive::<LEN, FDS>(channel)?;
    let bytes = Zeroizing::new(bytes);
    let secrets = bytes
        .strip_prefix(&MAGIC)
        .and_then(|bytes| bytes.first_chunk());
    let secrets = secrets.and_then(Secrets::from_bytes);
    let secrets = secrets.ok_or(io::ErrorKind::InvalidData)?;
    let [s4, s6, u4, u6, t4, t6, d4, c4, d6, icmp6, run, flash] = fds;
    Ok(Handed {
        sockets: Sockets {
            streams: [s4.into(), s6.into()],
            dns_udp: [u4.into(), u6.into()],
            dns_tcp: [t4.into(), t6.into()],
            lan: lan_service::Sockets {
                dhcp4: [d4.into(), c4.into()],
                dhcp6: d6.into(),
                icmp6: icmp6.into(),
            },
        },
        places: Places { run, flash },
        secrets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn sockets_and_secrets_arrive() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let sockets = Sockets {
            streams: [tcp(), tcp()],
            dns_udp: [udp(), udp()],
            dns_tcp: [tcp(), tcp()],
            lan: lan_service::Sockets {
                dhcp4: [udp(), udp()],
                dhcp6: udp(),
                icmp6: udp(),
            },
        };
        let secrets = Secrets::from_random(&[7; 38]);
        let root = || std::os::fd::OwnedFd::from(std::fs::File::open("/").unwrap());
        let places = Places {
            run: root(),
            flash: root(),
        };
        send(&ours, &sockets, &places, &secrets).unwrap();
        let Handed {
            sockets: got,
            secrets: got_secrets,
            ..
        } = receive(&theirs).unwrap();
        assert!(got_secrets == secrets && secrets.prefix6 == [0xfc, 7, 7, 7, 7, 7]);
        for (sent, got) in [
            (sockets.streams[1].local_addr(), got.streams[1].local_addr()),
            (sockets.dns_udp[0].local_addr(), got.dns_udp[0].local_addr()),
            (sockets.dns_tcp[1].local_addr(), got.dns_tcp[1].local_addr()),
            (
                sockets.lan.dhcp4[1].local_addr(),
                got.lan.dhcp4[1].local_addr(),
            ),
            (sockets.lan.icmp6.local_addr(), got.lan.icmp6.local_addr()),
        ] {
            assert_eq!(sent.unwrap(), got.unwrap());
        }
    }

    #[test]
    fn other_messages_are_refused() {
        use std::io::Write;
        for bytes in [vec![], vec![0; LEN], [&MAGIC[..], &[0xfc; 38]].concat()] {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(&bytes).unwrap();
            drop(ours);
            assert!(receive(&theirs).is_err());
        }
        assert!(Secrets::from_bytes(&[0xfd; 38]).is_none());
    }
}
