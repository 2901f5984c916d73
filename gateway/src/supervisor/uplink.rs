//! The WAN's address: configured elsewhere, fixed, by DHCP, or none yet.
//!
//! The DHCP client is another user's process that reads what comes from the network. Its socket is
//! made here as that user's, so that the rules can name what it sends; it holds no capability at
//! any time, and what it says is a message of fixed size that is judged before it is used.

use super::command;
use super::pace::Pace;
use crate::config::{Config, WanMode};
use crate::fds;
use crate::wan_dhcp::lease::{LEN, Lease};
use crate::wan_dhcp::serve::REFUSED;
use ipnet::Ipv4Net;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt,
};
use nix::unistd::{Uid, setfsuid};
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What the client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The interface has this lease now, or none any more.
    Lease(Option<Lease>),
    /// The client has ended or spoken nonsense; it is started again.
    Ended,
}

/// The client and what it has brought.
pub struct Uplink {
    program: PathBuf,
    interface: String,
    mode: WanMode,
    /// Uid and gid of the client.
    user: Option<(u32, u32)>,
    running: Option<(std::process::Child, tokio::net::UnixStream)>,
    pace: Pace,
    lease: Option<Lease>,
}

impl Uplink {
    /// Nothing is started yet. `program` is the gateway's own, which has the client in it.
    #[must_use]
    pub fn new(config: &Config, program: PathBuf, user: Option<(u32, u32)>) -> Self {
        Self {
            program,
            interface: config.wan.interface.to_string(),
            mode: config.wan.mode,
            user,
            running: None,
            pace: Pace::default(),
            lease: None,
        }
    }

    /// Waits for what comes next; keeps the client running meanwhile.
    pub async fn next(&mut self) -> Event {
        if self.mode != WanMode::Dhcp {
            return std::future::pending().await;
        }
        if self.running.is_none() {
            tokio::time::sleep(self.pace.left()).await;
            self.pace.start();
            match self.start() {
                Ok(running) => self.running = Some(running),
                Err(e) => {
                    eprintln!("supervisor: wan-dhcp: {e}");
                    self.pace.failed();
                    return Event::Ended;
                }
            }
        }
        let Some((_, channel)) = self.running.as_mut() else {
            return Event::Ended;
        };
        let mut bytes = [0; LEN];
        // Only messages of this size are ever written, in one piece each.
        let said = match channel.read_exact(&mut bytes).await {
            Ok(_) => Lease::decode(&bytes).map_err(str::to_owned),
            Err(e) => Err(e.to_string()),
        };
        match said {
            Ok(lease) => Event::Lease(lease),
            Err(e) => {
                eprintln!("supervisor: wan-dhcp: {e}");
                self.stop();
                self.pace.ended();
                Event::Ended
            }
        }
    }

    /// Tells the client that its lease cannot be used.
    pub async fn refuse(&mut self) {
        if let Some((_, channel)) = self.running.as_mut() {
            // One that is gone is noticed at the next read.
            let _ = channel.write_u8(REFUSED).await;
        }
    }

    /// Gives the interface an address and the way out, or takes them.
    ///
    /// # Errors
    /// What `ip` said.
    pub fn apply(&mut self, lease: Option<Lease>) -> Result<(), String> {
        let old = self
            .lease
            .filter(|old| lease.map(|new| new.address) != Some(old.address));
        for line in lines(&self.interface, old, lease) {
            command::ip(&line)?;
        }
        self.lease = lease;
        Ok(())
    }

    /// Who the WAN's network says can be asked for the time.
    #[must_use]
    pub fn times(&self) -> Vec<IpAddr> {
        let times = self.lease.iter().flat_map(|lease| lease.times);
        times
            .filter(|a| !a.is_unspecified())
            .map(IpAddr::V4)
            .collect()
    }

    /// Ends the client; what it brought stays until it ends by itself.
    pub fn stop(&mut self) {
        if let Some((mut process, channel)) = self.running.take() {
            drop(channel);
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// A line for the status.
    #[must_use]
    pub fn status(&self) -> String {
        let state = match (self.mode, self.lease) {
            (WanMode::External, _) => "configured elsewhere".to_owned(),
            (WanMode::Static, _) => "fixed".to_owned(),
            (WanMode::None, _) => "none".to_owned(),
            (WanMode::Dhcp, Some(lease)) => format!("by dhcp, {}", lease.address),
            (WanMode::Dhcp, None) => "by dhcp, no answer yet".to_owned(),
        };
        format!("wan: {state}\n")
    }

    fn start(&self) -> Result<(std::process::Child, tokio::net::UnixStream), String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let (uid, gid) = self.user.ok_or("users.wan does not exist")?;
        let mac = crate::ra::mac(&self.interface).ok_or("the WAN interface is not there")?;
        let socket = client_socket(uid, &self.interface).map_err(|e| text(&e))?;
        let (ours, theirs) = UnixStream::pair().map_err(|e| text(&e))?;
        fds::send(&ours, &mac, &[socket.as_fd()]).map_err(|e| text(&e))?;
        ours.set_nonblocking(true).map_err(|e| text(&e))?;
        let channel = tokio::net::UnixStream::from_std(ours).map_err(|e| text(&e))?;
        let process = Command::new(&self.program)
            .arg0("wan-dhcp")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .uid(uid)
            .gid(gid)
            .spawn()
            .map_err(|e| format!("{}: {e}", self.program.display()))?;
        Ok((process, channel))
    }
}

/// Lines for `ip` from one lease to another.
fn lines(wan: &str, old: Option<Lease>, new: Option<Lease>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(old) = old {
        // It takes its routes with it; at its end the kernel may have taken it already.
        lines.push(format!("- -4 addr del {} dev {wan}", old.address));
    }
    if let Some(Lease {
        address,
        router,
        mtu,
        secs,
        ..
    }) = new
    {
        let broadcast = address.broadcast();
        lines.push(format!(
            "-4 addr replace {address} brd {broadcast} dev {wan} \
             valid_lft {secs} preferred_lft {secs}"
        ));
        let mtu = mtu.map_or(String::new(), |mtu| format!(" mtu {mtu}"));
        lines.push(format!(
            "-4 route replace default via {router} dev {wan}{mtu}"
        ));
    }
    lines
}

/// Lines for `ip` that put the WAN up and give it its fixed addresses.
#[must_use]
pub fn fixed(config: &Config) -> Vec<String> {
    let wan = &config.wan;
    let dev = &wan.interface;
    let mut lines = match wan.mode {
        WanMode::External | WanMode::None => return Vec::new(),
        WanMode::Dhcp | WanMode::Static => vec![format!("link set {dev} up")],
    };
    let pairs = [
        (
            "-4",
            wan.address.map(|a| a.to_string()),
            wan.gateway.map(|g| g.to_string()),
        ),
        (
            "-6",
            wan.address6.map(|a| a.to_string()),
            wan.gateway6.map(|g| g.to_string()),
        ),
    ];
    for (family, address, gateway) in pairs {
        if let Some(address) = address {
            lines.push(format!("{family} addr replace {address} dev {dev}"));
        }
        if let Some(gateway) = gateway {
            lines.push(format!(
                "{family} route replace default via {gateway} dev {dev}"
            ));
        }
    }
    lines
}

/// Whether two prefixes have an address in common.
#[must_use]
pub fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// A client's socket, made as the user's: the rules judge by who made it.
fn client_socket(uid: u32, interface: &str) -> nix::Result<UdpSocket> {
    let before = setfsuid(Uid::from_raw(uid));
    let made = make_socket(interface);
    setfsuid(before);
    made.map(Into::into)
}

fn make_socket(interface: &str) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    setsockopt(&fd, sockopt::BindToDevice, &OsString::from(interface))?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    setsockopt(&fd, sockopt::Broadcast, &true)?;
    let any = std::net::SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, crate::dhcp4::CLIENT_PORT);
    bind(fd.as_raw_fd(), &SockaddrIn::from(any))?;
    Ok(fd)
}

/// What the client is handed: its socket, and the MAC of the interface.
///
/// # Errors
/// Something else came.
pub fn receive(channel: impl AsFd) -> io::Result<(UdpSocket, [u8; 6])> {
    let (mac, [socket]) = fds::receive(channel)?;
    Ok((socket.into(), mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(address: &str) -> Lease {
        Lease {
            address: address.parse().unwrap(),
            router: "192.0.2.1".parse().unwrap(),
            mtu: Some(1492),
            secs: 600,
            times: [Ipv4Addr::UNSPECIFIED; 3],
        }
    }

    #[test]
    fn leases_become_addresses_and_the_default_route() {
        let first = lease("192.0.2.7/24");
        assert_eq!(
            lines("wan0", None, Some(first)),
            [
                "-4 addr replace 192.0.2.7/24 brd 192.0.2.255 dev wan0 \
                 valid_lft 600 preferred_lft 600",
                "-4 route replace default via 192.0.2.1 dev wan0 mtu 1492",
            ]
        );
        assert_eq!(
            lines("wan0", Some(first), None),
            ["- -4 addr del 192.0.2.7/24 dev wan0"]
        );
        assert!(lines("wan0", None, None).is_empty());
    }

    #[test]
    fn fixed_addresses_are_set() {
        let text = "[wan]\nmode = \"static\"\naddress = \"192.0.2.7/24\"\ngateway = \"192.0.2.1\"\n\
                    address6 = \"2001:db8::7/64\"\ngateway6 = \"fe80::1\"";
        let lines = fixed(&Config::parse(text).unwrap());
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[2], "-4 route replace default via 192.0.2.1 dev wan0");
        assert_eq!(lines[4], "-6 route replace default via fe80::1 dev wan0");
        assert!(fixed(&Config::default()).is_empty());
    }

    #[test]
    fn the_socket_and_the_mac_arrive() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        fds::send(&ours, &[1, 2, 3, 4, 5, 6], &[socket.as_fd()]).unwrap();
        let (got, mac) = receive(&theirs).unwrap();
        assert_eq!(got.local_addr().unwrap(), socket.local_addr().unwrap());
        assert_eq!(mac, [1, 2, 3, 4, 5, 6]);
        drop(ours);
        assert!(receive(&theirs).is_err());
    }
}
