//! The client as a state machine: messages and time in, messages and leases out.

use super::lease::{Lease, TIMES};
use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Time to the first repeat; it doubles up to the second (RFC 2131, section 4.1).
const REPEAT: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(64));

/// Requests for an offer before looking for another server.
const REQUESTS: u32 = 4;

/// Least time between repeats while an address is held (RFC 2131, section 4.4.5).
const HELD_REPEAT: Duration = Duration::from_secs(60);

/// Pause before a new start after a refusal.
const REFUSED: Duration = Duration::from_secs(10);

/// Longest lease that is believed, seconds.
const SECS_MAX: u32 = 7 * 86_400;

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Send to this address, port 67.
    Send(Box<Message>, Ipv4Addr),
    /// The interface gets this address, or keeps it longer.
    Configure(Lease),
    /// The interface loses its address.
    Deconfigure,
}

/// The client.
pub struct Machine {
    mac: [u8; 6],
    state: State,
    xid: u32,
    /// When something is due.
    due: Instant,
    tries: u32,
}

#[derive(Clone, Copy)]
enum State {
    /// Looks for a server.
    Selecting,
    /// Has chosen an offer.
    Requesting(Offer),
    /// Has an address.
    Bound(Held),
}

#[derive(Clone, Copy)]
struct Offer {
    address: Ipv4Addr,
    server: Ipv4Addr,
}

#[derive(Clone, Copy)]
struct Held {
    offer: Offer,
    since: Instant,
    secs: u32,
    rebind: u32,
}

impl Machine {
    /// Starts to look at once.
    #[must_use]
    pub const fn new(mac: [u8; 6], now: Instant) -> Self {
        Self {
            mac,
            state: State::Selecting,
            xid: 0,
            due: now,
            tries: 0,
        }
    }

    /// When [`Machine::handle_timeout`] is due.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.due
    }

    /// Something is due. `random` is drawn anew for each call.
    pub fn handle_timeout(&mut self, now: Instant, random: u32) -> Option<Action> {
        if now < self.due {
            return None;
        }
        match self.state {
            State::Selecting => {
                self.xid = random;
                self.repeat(now, random);
                Some(self.send(self.discover(), Ipv4Addr::BROADCAST))
            }
            State::Requesting(_) if self.tries >= REQUESTS => {
                self.look(now);
                None
            }
            State::Requesting(offer) => {
                self.repeat(now, random);
                Some(self.send(self.request(offer), Ipv4Addr::BROADCAST))
            }
            State::Bound(held) => self.held(held, now, random),
        }
    }

    /// An address is renewed with its server, then with anybody; at its end it is given up. A
    /// server that is away longer than that has given it to others.
    fn held(&mut self, held: Held, now: Instant, random: u32) -> Option<Action> {
        let at = |secs: u32| held.since + Duration::from_secs(u64::from(secs));
        if now >= at(held.secs) {
            self.look(now);
            return Some(Action::Deconfigure);
        }
        if self.tries == 0 {
            self.xid = random;
        }
        self.tries += 1;
        let (to, next) = if now >= at(held.rebind) {
            (Ipv4Addr::BROADCAST, at(held.secs))
        } else {
            (held.offer.server, at(held.rebind))
        };
        // Half of what is left, but not too often (RFC 2131, section 4.4.5).
        let half = next.saturating_duration_since(now) / 2;
        self.due = (now + half.max(HELD_REPEAT)).min(next.max(now + Duration::from_secs(1)));
        let mut message = self.message(MessageType::Request);
        message.set_ciaddr(held.offer.address);
        Some(self.send(message, to))
    }

    /// A message of a server.
    pub fn handle_message(&mut self, message: &Message, now: Instant) -> Option<Action> {
        let ours = message.xid() == self.xid && message.chaddr() == self.mac;
        if message.opcode() != Opcode::BootReply || !ours {
            return None;
        }
        let server = match message.opts().get(OptionCode::ServerIdentifier) {
            Some(DhcpOption::ServerIdentifier(server)) => *server,
            _ => return None,
        };
        match (message.opts().msg_type()?, self.state) {
            (MessageType::Offer, State::Selecting) => {
                let address = message.yiaddr();
                lease(message, address)?.check().ok()?;
                self.state = State::Requesting(Offer { address, server });
                (self.tries, self.due) = (0, now);
                None
            }
            (MessageType::Ack, State::Requesting(offer)) if server == offer.server => {
                self.bind(message, offer, now)
            }
            (MessageType::Ack, State::Bound(held)) if self.tries > 0 => {
                let offer = Offer {
                    server,
                    ..held.offer
                };
                self.bind(message, offer, now)
            }
            (MessageType::Nak, State::Requesting(offer)) if server == offer.server => {
                self.look(now + REFUSED);
                None
            }
            (MessageType::Nak, State::Bound(_)) if self.tries > 0 => {
                self.look(now + REFUSED);
                Some(Action::Deconfigure)
            }
            _ => None,
        }
    }

    /// The lease cannot be used here, say because it overlaps the LAN: another one may do.
    pub fn refuse(&mut self, now: Instant) {
        self.look(now + REPEAT.1);
    }

    fn bind(&mut self, message: &Message, offer: Offer, now: Instant) -> Option<Action> {
        let lease = lease(message, offer.address)?.check().ok()?;
        let seconds = |code| match message.opts().get(code) {
            Some(DhcpOption::Renewal(secs) | DhcpOption::Rebinding(secs)) => Some(*secs),
            _ => None,
        };
        let rebind = seconds(OptionCode::Rebinding).unwrap_or(lease.secs - lease.secs / 8);
        let rebind = rebind.clamp(lease.secs / 4, lease.secs - 1);
        let renew = seconds(OptionCode::Renewal).unwrap_or(lease.secs / 2);
        let renew = renew.clamp(lease.secs / 8, rebind);
        self.state = State::Bound(Held {
            offer,
            since: now,
            secs: lease.secs,
            rebind,
        });
        self.tries = 0;
        self.due = now + Duration::from_secs(u64::from(renew));
        Some(Action::Configure(lease))
    }

    fn look(&mut self, at: Instant) {
        self.state = State::Selecting;
        (self.tries, self.due) = (0, at);
    }

    /// The next repeat: twice as late each time, a second earlier or later by chance.
    fn repeat(&mut self, now: Instant, random: u32) {
        let doubled = REPEAT.0 * 2_u32.pow(self.tries.min(4));
        let jitter = Duration::from_millis(u64::from(random % 2000));
        self.due = now + doubled.min(REPEAT.1) - Duration::from_secs(1) + jitter;
        self.tries += 1;
    }

    fn send(&self, message: Message, to: Ipv4Addr) -> Action {
        Action::Send(Box::new(message), to)
    }

    fn discover(&self) -> Message {
        self.message(MessageType::Discover)
    }

    fn request(&self, offer: Offer) -> Message {
        let mut message = self.message(MessageType::Request);
        let options = message.opts_mut();
        options.insert(DhcpOption::RequestedIpAddress(offer.address));
        options.insert(DhcpOption::ServerIdentifier(offer.server));
        message
    }

    fn message(&self, kind: MessageType) -> Message {
        let mut message = Message::default();
        message
            .set_opcode(Opcode::BootRequest)
            .set_xid(self.xid)
            // An answer to an address that is not ours yet would be lost.
            .set_flags(Flags::default().set_broadcast())
            .set_chaddr(&self.mac);
        let id = [&[1][..], &self.mac].concat();
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        options.insert(DhcpOption::ClientIdentifier(id));
        options.insert(DhcpOption::MaxMessageSize(576));
        options.insert(DhcpOption::ParameterRequestList(vec![
            OptionCode::SubnetMask,
            OptionCode::Router,
            OptionCode::DomainNameServer,
            OptionCode::Hostname,
            OptionCode::DomainName,
            OptionCode::InterfaceMtu,
            OptionCode::BroadcastAddr,
            OptionCode::NtpServers,
        ]));
        message
    }
}

/// The lease of an answer; `None` when it lacks what is needed.
fn lease(message: &Message, address: Ipv4Addr) -> Option<Lease> {
    let options = message.opts();
    let Some(DhcpOption::SubnetMask(mask)) = options.get(OptionCode::SubnetMask) else {
        return None;
    };
    let Some(DhcpOption::Router(routers)) = options.get(OptionCode::Router) else {
        return None;
    };
    let Some(DhcpOption::AddressLeaseTime(secs)) = options.get(OptionCode::AddressLeaseTime) else {
        return None;
    };
    let mtu = match options.get(OptionCode::InterfaceMtu) {
        Some(DhcpOption::InterfaceMtu(mtu)) => Some(*mtu),
        _ => None,
    };
    let mut times = [Ipv4Addr::UNSPECIFIED; TIMES];
    if let Some(DhcpOption::NtpServers(servers)) = options.get(OptionCode::NtpServers) {
        for (place, server) in times.iter_mut().zip(servers) {
            *place = *server;
        }
    }
    Some(Lease {
        address: Ipv4Net::with_netmask(address, *mask).ok()?,
        router: *routers.first()?,
        mtu,
        secs: (*secs).min(SECS_MAX),
        times,
    })
}

#[cfg(test)]
mod tests;
