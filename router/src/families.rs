//! What the machine has of IPv4 and IPv6: where to listen, and what can be dialled.

use nix::errno::Errno;
use ramson_proto::peer::constraint::is_public;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

/// Addresses in the middle of what is routed on the Internet. Nothing is ever sent to them: the
/// kernel is only asked whether it knew a way.
const FAR_4: IpAddr = IpAddr::V4(Ipv4Addr::new(5, 0, 0, 1));
const FAR_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2a00, 0, 0, 0, 0, 0, 0, 1));

/// Listeners on one port.
#[derive(Debug)]
pub struct Listening {
    /// One for each family that the kernel has.
    pub listeners: Vec<TcpListener>,
    /// Addresses of families that it has not, with its words.
    pub missing: Vec<(SocketAddr, io::Error)>,
}

/// Listens on a port in both families; one that the kernel does not have is left out.
///
/// # Errors
/// Address and reason: the port is taken or not allowed, or the kernel has neither family.
pub fn listen(
    port: u16,
    bind: impl Fn(SocketAddr) -> io::Result<TcpListener>,
) -> Result<Listening, String> {
    let every = [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ];
    let (mut listeners, mut missing) = (Vec::new(), Vec::new());
    for addr in every.map(|ip| SocketAddr::new(ip, port)) {
        match bind(addr) {
            Ok(listener) => listeners.push(listener),
            Err(e) if is_absent(&e) => missing.push((addr, e)),
            Err(e) => return Err(format!("NTCP2 at {addr}: {e}")),
        }
    }
    match missing.first() {
        Some((addr, e)) if listeners.is_empty() => Err(format!("NTCP2 at {addr}: {e}")),
        _ => Ok(Listening { listeners, missing }),
    }
}

/// Whether an error says that the kernel has no such family, or has it switched off.
fn is_absent(e: &io::Error) -> bool {
    let absent = [
        Errno::EAFNOSUPPORT,
        Errno::EPFNOSUPPORT,
        Errno::EPROTONOSUPPORT,
        Errno::EADDRNOTAVAIL,
    ];
    e.raw_os_error()
        .is_some_and(|n| absent.contains(&Errno::from_raw(n)))
}

/// Which families can be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialable {
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
}

/// Families with a way to the Internet, and those of our published addresses. When nothing is
/// known, as on a machine whose network comes up later, it is IPv4.
pub fn dialable(published: &[IpAddr], has_way: impl Fn(IpAddr) -> bool) -> Dialable {
    let ipv6 = published.iter().any(IpAddr::is_ipv6) || has_way(FAR_6);
    let ipv4 = !ipv6 || published.iter().any(IpAddr::is_ipv4) || has_way(FAR_4);
    Dialable { ipv4, ipv6 }
}

/// Whether the kernel would send something to this address, from one that answers come back to.
#[must_use]
pub fn has_way(to: IpAddr) -> bool {
    let any = match to {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((to, 9))?;
        socket.local_addr()
    });
    // IPv4 is translated on the way, IPv6 is not.
    from.is_ok_and(|a| a.is_ipv4() || is_public(a.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(e: Errno) -> io::Error {
        io::Error::from_raw_os_error(e as i32)
    }

    fn local() -> io::Result<TcpListener> {
        TcpListener::bind(("127.0.0.1", 0))
    }

    #[test]
    fn a_kernel_without_ipv6_listens_on_ipv4() {
        for absent in [Errno::EAFNOSUPPORT, Errno::EADDRNOTAVAIL] {
            let bind = |a: SocketAddr| match a {
                SocketAddr::V4(_) => local(),
                SocketAddr::V6(_) => Err(refused(absent)),
            };
            let listening = listen(7, bind).unwrap();
            assert_eq!(listening.listeners.len(), 1);
            assert!(listening.missing[0].0.is_ipv6());
        }
        let none = listen(7, |_| Err(refused(Errno::EAFNOSUPPORT)));
        assert!(none.unwrap_err().starts_with("NTCP2 at 0.0.0.0:7: "));
    }

    #[test]
    fn a_taken_port_is_an_error_with_its_address() {
        let taken = TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let e = listen(port, crate::tcp::bind_listener).unwrap_err();
        assert!(e.starts_with(&format!("NTCP2 at 0.0.0.0:{port}: ")), "{e}");
        let e = listen(7, |a| match a {
            SocketAddr::V4(_) => local(),
            SocketAddr::V6(_) => Err(refused(Errno::EADDRINUSE)),
        });
        assert!(e.unwrap_err().starts_with("NTCP2 at [::]:7: "));
    }

    #[test]
    fn what_has_a_way_is_dialled() {
        let of = |published: &[IpAddr], v4: bool, v6: bool| {
            let d = dialable(published, |ip| if ip.is_ipv4() { v4 } else { v6 });
            (d.ipv4, d.ipv6)
        };
        assert_eq!(of(&[], true, true), (true, true));
        assert_eq!(of(&[], true, false), (true, false));
        assert_eq!(of(&[], false, true), (false, true));
        assert_eq!(of(&[], false, false), (true, false));
        let six = [IpAddr::V6(Ipv6Addr::LOCALHOST)];
        assert_eq!(of(&six, false, false), (false, true));
        let four = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        assert_eq!(of(&four, false, true), (true, true));
    }
}
