//! The name service of the LAN: answers `.i2p`, refuses the rest, asks nobody.
//!
//! All of port 53 ends here, whatever address the client asked. `answer` is pure; this file owns
//! the sockets, the bounds and the clients' identities.

pub mod answer;
pub mod hosts;

use crate::counters::{Count, Counters};
use crate::orig_dst;
use crate::policy::{Bucket, Budget, Clients, Permit, Proof, Rate, Rates};
use crate::vip::{ClientId, Full, Lease, Vip};
use answer::{Host, Names, Transport};
use hosts::Hosts;
use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

/// Longest query read; a longer one is malformed.
pub const QUERY_MAX: usize = 4096;

/// TCP connections at a time: in all, and of one client.
pub const TCP_MAX: (usize, usize) = (64, 8);

/// Queries on one TCP connection.
const TCP_QUERIES_MAX: usize = 128;

/// Questions of one client. Above them datagrams are dropped and connections closed.
const CLIENT_RATE: Rate = Rate::new(100, 300);

/// Datagrams of sources that nobody answers for: as many are told to come over TCP, which proves
/// them; each costs a question of the kernel's for a neighbour, so the others are dropped. A
/// client that has asked for the gateway's MAC, as it must, is known.
const UNPROVEN_RATE: Rate = Rate::new(20, 40);

/// How long a TCP client may take for one query, and to take one answer.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks for the IPv4 address of a name.
fn question(name: &str) -> Vec<u8> {
    // Recursion is wanted, and there is one question.
    let mut bytes = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// What the name service needs of the rest.
pub struct Dns {
    vip: Rc<RefCell<Vip>>,
    hosts: Hosts,
    clients: Rc<RefCell<Clients>>,
    counters: Rc<Counters>,
    tcp: Rc<Budget>,
    rates: RefCell<Rates>,
    unproven: RefCell<Bucket>,
}

/// One client's view as `answer` wants it.
struct View<'a> {
    vip: &'a RefCell<Vip>,
    hosts: &'a Hosts,
    counters: &'a Counters,
    client: ClientId,
    now: Instant,
}

impl Names for View<'_> {
    fn lease(&mut self, name: &str) -> Result<Lease, Full> {
        let lease = self.vip.borrow_mut().lease(self.client, name, self.now);
        if lease.is_err() {
            self.counters.add(Count::NoAddress);
        }
        lease
    }

    fn name_of(&mut self, address: IpAddr) -> Option<String> {
        let vip = self.vip.borrow();
        let site = vip.name_of(self.client, address).map(str::to_owned);
        site.or_else(|| self.hosts.name_of(address))
    }

    fn host(&mut self, name: &str) -> Option<Host> {
        self.hosts.find(name)
    }

    fn domain(&self) -> &str {
        self.hosts.domain()
    }
}

impl Dns {
    /// Shares the views with the listeners of streams.
    #[must_use]
    pub fn new(
        vip: Rc<RefCell<Vip>>,
        hosts: Hosts,
        clients: Rc<RefCell<Clients>>,
        counters: Rc<Counters>,
    ) -> Rc<Self> {
        let (total, each) = TCP_MAX;
        Rc::new(Self {
            vip,
            hosts,
            clients,
            counters,
            tcp: Budget::new(total, each),
            rates: RefCell::new(Rates::new(CLIENT_RATE)),
            unproven: RefCell::new(UNPROVEN_RATE.bucket(now())),
        })
    }

    fn answer(&self, query: &[u8], from: IpAddr, transport: Transport) -> Option<Vec<u8>> {
        let now = now();
        let proof = match transport {
            Transport::Udp => Proof::None,
            Transport::Tcp => Proof::Handshake,
        };
        let client = self.clients.borrow_mut().identify(from, proof, now);
        let Some(client) = client else {
            self.counters.add(Count::Unproven);
            let allowed = UNPROVEN_RATE.take(&mut self.unproven.borrow_mut(), now);
            return allowed.then(|| answer::over_tcp(query))?;
        };
        if !self.rates.borrow_mut().take(client, now) {
            self.counters.add(Count::TooOften);
            return None;
        }
        self.counters.add(Count::Questions);
        let mut view = View {
            vip: &self.vip,
            hosts: &self.hosts,
            counters: &self.counters,
            client,
            now,
        };
        answer::answer(query, &mut view, transport)
    }

    /// Whether the box's own name gets the box's own address.
    #[must_use]
    pub fn answers_for_itself(&self) -> bool {
        let mut view = View {
            vip: &self.vip,
            hosts: &self.hosts,
            counters: &self.counters,
            client: ClientId([0; 16]),
            now: now(),
        };
        let name = self.hosts.own_name();
        let answer = answer::answer(&question(&name), &mut view, Transport::Tcp);
        let host = self.hosts.find(&name).map(|host| host.v4.octets());
        // Its only record, at the end unless more is said than is asked for.
        let found = |bytes: &[u8], v4: &[u8]| bytes.windows(4).any(|part| part == v4);
        matches!((answer, host), (Some(bytes), Some(v4)) if found(&bytes, &v4))
    }

    /// A place for a connection, if this client may have one.
    fn admit(&self, from: IpAddr) -> Option<Permit> {
        let now = now();
        let client = self
            .clients
            .borrow_mut()
            .identify(from, Proof::Handshake, now);
        let permit = self.tcp.take(client?, now).ok();
        if permit.is_none() {
            self.counters.add(Count::DnsConnections);
        }
        permit
    }

    /// Answers datagrams until the socket fails.
    pub async fn serve_udp(self: Rc<Self>, socket: UdpSocket) -> io::Result<()> {
        let mut buf = vec![0; QUERY_MAX];
        loop {
            let read = || orig_dst::recv(&socket, &mut buf);
            let datagram = match socket.async_io(Interest::READABLE, read).await {
                Ok(datagram) => datagram,
                Err(e) if e.kind() == io::ErrorKind::InvalidData => continue,
                // ICMP errors about earlier answers surface here.
                Err(e) if is_transient(&e) => continue,
                Err(e) => return Err(e),
            };
            let query = buf.get(..datagram.len).unwrap_or_default();
            if let Some(bytes) = self.answer(query, datagram.from.ip(), Transport::Udp) {
                // A full buffer loses the answer, as the network could; the client asks again.
                let _ = orig_dst::reply(&socket, &datagram, &bytes);
            }
        }
    }

    /// Accepts connections until the listener fails.
    pub async fn serve_tcp(self: Rc<Self>, listener: TcpListener) -> io::Result<()> {
        loop {
            let Some((stream, from)) = crate::listen::accept(&listener).await? else {
                continue;
            };
            let Some(permit) = self.admit(from.ip()) else {
                let _ = stream.set_zero_linger();
                continue;
            };
            let dns = Rc::clone(&self);
            tokio::task::spawn_local(async move {
                tokio::select! {
                    // A client that is late or gone just ends.
                    _ = dns.serve_stream(stream, from.ip(), &permit) => {}
                    () = permit.taken() => {}
                }
            });
        }
    }

    async fn serve_stream(
        &self,
        mut stream: TcpStream,
        from: IpAddr,
        permit: &Permit,
    ) -> io::Result<()> {
        let mut buf = Vec::new();
        for _ in 0..TCP_QUERIES_MAX {
            timeout(TCP_TIMEOUT, read_query(&mut stream, &mut buf)).await??;
            permit.touch(now());
            let Some(bytes) = self.answer(&buf, from, Transport::Tcp) else {
                return Ok(());
            };
            let len = u16::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidData)?;
            let framed = [&len.to_be_bytes()[..], &bytes].concat();
            timeout(TCP_TIMEOUT, stream.write_all(&framed)).await??;
        }
        Ok(())
    }
}

async fn read_query(stream: &mut TcpStream, buf: &mut Vec<u8>) -> io::Result<()> {
    let len = usize::from(stream.read_u16().await?);
    if len > QUERY_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    buf.resize(len, 0);
    stream.read_exact(buf).await?;
    Ok(())
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Whether a datagram socket's error is about one datagram only.
#[must_use]
pub fn is_transient(error: &io::Error) -> bool {
    use nix::libc;
    let icmp = [
        libc::ECONNREFUSED,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::EMSGSIZE,
    ];
    let other = [libc::EPROTO, libc::EACCES, libc::EINTR, libc::EPERM];
    error
        .raw_os_error()
        .is_some_and(|errno| icmp.contains(&errno) || other.contains(&errno))
}
