//! The DHCP server of the LAN (RFC 2131, 2132, 6842): from one message to one answer, without
//! sockets or clock. `leases` decides who gets what, `serve` has the sockets.
//!
//! Relays are not served: the LAN is one link. The portal option of RFC 8910 is not sent, because
//! the interface behind it (RFC 8908) needs a certificate that a box with a private name cannot
//! have; devices find out by their own probes that they are not to sign in anywhere.

pub mod leases;
pub mod serve;
pub mod wire;

use crate::lan_names::LanNames;
use crate::policy::{Bucket, Rate, Rates};
use crate::vip::ClientId;
use dhcproto::v4::{DhcpOption, Message, MessageType, Opcode, OptionCode};
use ipnet::Ipv4Net;
use leases::{Asker, Device, FIRST, Leases, Neighbour};
use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::time::{Duration, Instant};

pub use crate::config::Static;

/// Messages of one MAC, and of all together.
const RATE: Rate = Rate::new(5, 20);
const RATE_ALL: Rate = Rate::new(100, 200);

/// Ports of servers and of clients.
pub const SERVER_PORT: u16 = 67;
/// See [`SERVER_PORT`].
pub const CLIENT_PORT: u16 = 68;

/// What clients are told besides their address.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The gateway's own address with the prefix of the LAN.
    pub own: Ipv4Net,
    /// Domain of the names on the LAN.
    pub domain: String,
    /// The gateway's own name in it.
    pub name: String,
    /// Longest packet on the LAN, bytes.
    pub mtu: Option<u16>,
}

/// The server.
pub struct Server {
    facts: Facts,
    /// What is leased.
    pub leases: Rc<RefCell<Leases>>,
    names: Rc<RefCell<LanNames>>,
    rates: Rates,
    all: Bucket,
}

/// An answer and where it goes.
#[derive(Debug)]
pub struct Reply {
    /// The message.
    pub message: Message,
    /// To a client that has no address yet: everybody.
    pub to: SocketAddrV4,
}

/// What came of a message.
#[derive(Debug)]
pub enum Outcome {
    /// To be sent.
    Reply(Box<Reply>),
    /// Nothing to say.
    Silence,
    /// The client has chosen a server that is not us.
    Elsewhere(Ipv4Addr),
    /// Above its rate.
    TooOften,
}

impl Server {
    /// Shares leases and names with whoever keeps and answers them.
    #[must_use]
    pub fn new(
        facts: Facts,
        leases: Rc<RefCell<Leases>>,
        names: Rc<RefCell<LanNames>>,
        now: Instant,
    ) -> Self {
        for (name, address) in leases.borrow().names(now) {
            names.borrow_mut().set(&name, &facts.name, address);
        }
        Self {
            facts,
            leases,
            names,
            rates: Rates::new(RATE),
            all: RATE_ALL.bucket(now),
        }
    }

    /// One message of a client.
    pub fn handle(&mut self, message: &Message, now: Instant, neighbour: Neighbour<'_>) -> Outcome {
        let Some(mac) = mac(message) else {
            return Outcome::Silence;
        };
        let relayed = !message.giaddr().is_unspecified();
        if message.opcode() != Opcode::BootRequest || relayed {
            return Outcome::Silence;
        }
        let mut id = [0; 16];
        id[..6].copy_from_slice(&mac);
        if !self.rates.take(ClientId(id), now) || !RATE_ALL.take(&mut self.all, now) {
            return Outcome::TooOften;
        }
        let who = Asker {
            device: self.leases.borrow().device(client_id(message), mac),
            mac,
            now,
        };
        match message.opts().msg_type() {
            Some(MessageType::Discover) => self.discover(message, who, neighbour),
            Some(MessageType::Request) => self.request(message, who, neighbour),
            Some(MessageType::Decline) => {
                if let Some(address) = requested(message) {
                    self.leases.borrow_mut().decline(who.device, address, now);
                    self.names.borrow_mut().remove(address);
                }
                Outcome::Silence
            }
            Some(MessageType::Release) => {
                self.release(who.device, now);
                Outcome::Silence
            }
            Some(MessageType::Inform) => self.inform(message),
            _ => Outcome::Silence,
        }
    }

    fn discover(&mut self, message: &Message, who: Asker, neighbour: Neighbour<'_>) -> Outcome {
        let wanted = requested(message);
        let offered = self.leases.borrow_mut().offer(who, wanted, neighbour);
        let Some(address) = offered else {
            return Outcome::Silence;
        };
        let mut reply = self.reply(message, MessageType::Offer);
        reply.set_yiaddr(address);
        self.times(&mut reply, FIRST);
        self.facts(message, &mut reply);
        send(message, reply)
    }

    /// RFC 2131, section 4.3.2: selecting, rebooting, renewing or rebinding.
    fn request(&mut self, message: &Message, who: Asker, neighbour: Neighbour<'_>) -> Outcome {
        if let Some(DhcpOption::ServerIdentifier(server)) =
            message.opts().get(OptionCode::ServerIdentifier)
            && *server != self.facts.own.addr()
        {
            self.release(who.device, who.now);
            return Outcome::Elsewhere(*server);
        }
        let held = Some(message.ciaddr()).filter(|a| !a.is_unspecified());
        let Some(address) = held.or_else(|| requested(message)) else {
            return Outcome::Silence;
        };
        let leased = self.leases.borrow_mut().lease(who, address, neighbour);
        let Some(time) = leased else {
            let mut reply = self.reply(message, MessageType::Nak);
            // Who holds an address that it may not have cannot be reached by it.
            reply.set_ciaddr(Ipv4Addr::UNSPECIFIED);
            return Outcome::Reply(Box::new(Reply {
                message: reply,
                to: everybody(),
            }));
        };
        self.name(message, who.device, address);
        let mut reply = self.reply(message, MessageType::Ack);
        reply.set_yiaddr(address);
        self.times(&mut reply, time);
        self.facts(message, &mut reply);
        send(message, reply)
    }

    /// A client with an address of its own asks for the rest.
    fn inform(&self, message: &Message) -> Outcome {
        if !self.facts.own.contains(&message.ciaddr()) {
            return Outcome::Silence;
        }
        let mut reply = self.reply(message, MessageType::Ack);
        self.facts(message, &mut reply);
        send(message, reply)
    }

    /// Forgets what devices were called whose leases have ended: their addresses may be others'
    /// soon.
    pub fn forget_ended(&mut self, now: Instant) {
        let live = self.leases.borrow().names(now);
        let live = live.into_iter().map(|(_, address)| address).collect();
        self.names.borrow_mut().keep(&live);
    }

    fn release(&mut self, device: Device, now: Instant) {
        let mut leases = self.leases.borrow_mut();
        if let Some(address) = leases.address(device) {
            self.names.borrow_mut().remove(address);
        }
        leases.release(device, now);
    }

    fn name(&self, message: &Message, device: Device, address: Ipv4Addr) {
        let fixed = self.leases.borrow().fixed_name(address);
        let wanted = fixed.or_else(|| hostname(message));
        let mut names = self.names.borrow_mut();
        let given = wanted.and_then(|wanted| names.set(&wanted, &self.facts.name, address));
        if given.is_none() {
            names.remove(address);
        }
        self.leases.borrow_mut().name(device, given.as_deref());
    }

    fn reply(&self, message: &Message, kind: MessageType) -> Message {
        let mut reply = Message::default();
        reply
            .set_opcode(Opcode::BootReply)
            .set_htype(message.htype())
            .set_xid(message.xid())
            .set_flags(message.flags())
            .set_ciaddr(message.ciaddr())
            .set_chaddr(message.chaddr());
        let options = reply.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        options.insert(DhcpOption::ServerIdentifier(self.facts.own.addr()));
        if let Some(id) = message.opts().get(OptionCode::ClientIdentifier) {
            options.insert(id.clone());
        }
        reply
    }

    fn times(&self, reply: &mut Message, time: Duration) {
        let secs = u32::try_from(time.as_secs()).unwrap_or(u32::MAX - 1);
        let options = reply.opts_mut();
        options.insert(DhcpOption::AddressLeaseTime(secs));
        options.insert(DhcpOption::Renewal(secs / 2));
        options.insert(DhcpOption::Rebinding(secs - secs / 8));
    }

    fn facts(&self, message: &Message, reply: &mut Message) {
        let own = self.facts.own;
        let asked = message.opts().get(OptionCode::ParameterRequestList);
        let asks = |code| match asked {
            Some(DhcpOption::ParameterRequestList(list)) => list.contains(&code),
            _ => false,
        };
        let options = reply.opts_mut();
        options.insert(DhcpOption::SubnetMask(own.netmask()));
        options.insert(DhcpOption::Router(vec![own.addr()]));
        options.insert(DhcpOption::DomainNameServer(vec![own.addr()]));
        if asks(OptionCode::BroadcastAddr) {
            options.insert(DhcpOption::BroadcastAddr(own.broadcast()));
        }
        if asks(OptionCode::DomainName) {
            options.insert(DhcpOption::DomainName(self.facts.domain.clone()));
        }
        if let Some(mtu) = self.facts.mtu.filter(|_| asks(OptionCode::InterfaceMtu)) {
            options.insert(DhcpOption::InterfaceMtu(mtu));
        }
    }
}

/// To the client's address where it has one (RFC 2131, section 4.1).
fn send(message: &Message, reply: Message) -> Outcome {
    let held = Some(message.ciaddr()).filter(|a| !a.is_unspecified());
    let to = held.map_or_else(everybody, |a| SocketAddrV4::new(a, CLIENT_PORT));
    Outcome::Reply(Box::new(Reply { message: reply, to }))
}

const fn everybody() -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT)
}

/// The MAC of an Ethernet client; no other kind of link is served.
fn mac(message: &Message) -> Option<[u8; 6]> {
    message.chaddr().try_into().ok()
}

fn client_id(message: &Message) -> Option<&[u8]> {
    match message.opts().get(OptionCode::ClientIdentifier) {
        Some(DhcpOption::ClientIdentifier(id)) if id.len() >= 2 => Some(id),
        _ => None,
    }
}

fn requested(message: &Message) -> Option<Ipv4Addr> {
    match message.opts().get(OptionCode::RequestedIpAddress) {
        Some(DhcpOption::RequestedIpAddress(address)) => Some(*address),
        _ => None,
    }
}

fn hostname(message: &Message) -> Option<String> {
    if let Some(DhcpOption::ClientFQDN(fqdn)) = message.opts().get(OptionCode::ClientFQDN) {
        return Some(fqdn.domain().to_ascii());
    }
    match message.opts().get(OptionCode::Hostname) {
        Some(DhcpOption::Hostname(name)) => Some(name.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
