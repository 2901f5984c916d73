//! Events of links.

use crate::netdb::{Context, Source, Target};
use crate::router::Router;
use crate::router::input::{Direction, LinkDown, LinkEvent};
use crate::router::output::{Class, LinkCmd, Output};
use crate::time::Now;
use crate::trace::{Event, Level};
use crate::tunnel::admission::AdmissionOutput;
use crate::wire::hash::RouterHash;
use crate::wire::i2np::{Message, kind};
use core::time::Duration;
use std::sync::Arc;

/// A message may be this much late or early before it is dropped.
const LATE: Duration = Duration::from_secs(60);
const EARLY: Duration = Duration::from_secs(180);
/// Dials of a return in each second.
const RETURNS_PER_TICK: usize = 16;
/// Percent of its bandwidth from which on transit is busy, and below which it is no more.
const BUSY_FROM: u128 = 90;
const BUSY_UNTIL: u128 = 70;

impl Router {
    pub(in crate::router) fn on_link(&mut self, now: Now, event: LinkEvent) {
        match event {
            LinkEvent::Up {
                peer,
                direction,
                info,
            } => {
                self.connected.insert(peer);
                self.netdb.set_linked(peer, true);
                if let Some(info) = info {
                    self.netdb.insert_router(now, info);
                }
                let dialled = direction == Direction::Outbound;
                if dialled {
                    self.netdb.prove(&peer);
                }
                self.peers.reached(now, peer, dialled);
            }
            LinkEvent::Down { peer, why } => self.on_down(now, peer, why),
            LinkEvent::I2np { from, message } => self.deliver_from_link(now, from, message),
            LinkEvent::Router { from, bytes, flood } => {
                let rng = &mut self.rng;
                if self
                    .netdb
                    .insert_router_bytes(now, rng, from, &bytes, flood)
                    .is_err()
                {
                    self.drop_one();
                }
            }
            LinkEvent::WantRouter { peer, class } => self.want_router(now, peer, class),
            LinkEvent::Skew {
                from,
                secs,
                dialled,
            } => {
                if dialled {
                    self.clock.observe(now, from, secs);
                }
                let text = "a peer's clock differs from ours by seconds";
                self.trace(Event::Count(Level::Debug, text, secs.unsigned_abs()));
            }
            LinkEvent::Load {
                transit_bytes_per_sec,
                limited,
            } => self.on_load(transit_bytes_per_sec, limited),
            LinkEvent::SeenAs { from, .. } => {
                self.trace(Event::Router(Level::Debug, "told us our address", from));
            }
        }
    }

    /// Transit that comes near its limit takes no more tunnels until it is well below.
    fn on_load(&mut self, bytes_per_sec: u64, limited: bool) {
        let percent = if self.admission.is_busy() {
            BUSY_UNTIL
        } else {
            BUSY_FROM
        };
        let limit = self.config.transit_bytes_per_sec;
        self.congestion.used(bytes_per_sec, limit, limited);
        let used = u128::from(bytes_per_sec) * 100 / u128::from(limit.max(1));
        self.admission.set_busy(limited || used >= percent);
    }

    fn on_down(&mut self, now: Now, peer: RouterHash, why: LinkDown) {
        match why {
            // The newer link is up already.
            LinkDown::Replaced => return,
            LinkDown::Unreachable | LinkDown::Handshake | LinkDown::NoAddress | LinkDown::Clock => {
                self.trace(Event::Router(Level::Debug, "cannot be reached", peer));
                if self.is_to_blame(now, why) {
                    self.peers.unreachable(now, peer);
                }
                self.tunnels.unreachable(now, peer);
            }
            LinkDown::PeerTerminated(_) | LinkDown::Closed => self.tunnels.suspect_hop(now, peer),
            LinkDown::Terminated(_) | LinkDown::NoRoom | LinkDown::Idle => {}
        }
        // Routers that cannot dial us reach our inbound tunnels only over links that we keep. One
        // that refuses, or lets go at once, is not asked again at once: it would be without end.
        self.netdb.set_linked(peer, false);
        let failed = !self.connected.remove(&peer);
        if self.tunnels.needs_link(peer) && self.redials.lost(now.mono, peer, failed) {
            self.tunnels.link_lost(peer);
        }
    }

    /// Whether a failed dial is held against the peer: not while our own clock is the likely cause.
    fn is_to_blame(&self, now: Now, why: LinkDown) -> bool {
        match why {
            LinkDown::Clock => self.clock.blames_peer(now),
            LinkDown::Handshake => !self.clock.view(now).is_wrong(),
            _ => true,
        }
    }

    /// Closest hops that were lost some time ago are tried again while a tunnel needs them.
    pub(in crate::router) fn redial(&mut self, now: Now) {
        for peer in self.redials.due(now.mono) {
            self.tunnels.link_lost(peer);
        }
    }

    /// Routers that had a link before a restart, some in each second.
    pub(in crate::router) fn return_to_peers(&mut self) {
        for _ in 0..RETURNS_PER_TICK {
            let Some(peer) = self.returns.pop_front() else {
                return;
            };
            if let Some(info) = self.netdb.router(&peer)
                && !self.connected.contains(&peer)
            {
                self.link(LinkCmd::Dial(info));
            }
        }
    }

    /// A link has something for a router that it is not connected to.
    fn want_router(&mut self, now: Now, peer: RouterHash, class: Class) {
        match self.netdb.router(&peer) {
            Some(info) => self.link(LinkCmd::Dial(info)),
            None if class >= Class::Own => self.look_up_router(now, peer),
            None => self.netdb.lookup_for_others(now, Target::Router(peer)),
        }
    }

    /// A message that came over a link: for the control plane, or to be answered directly.
    fn deliver_from_link(&mut self, now: Now, from: RouterHash, m: Message) {
        if m.expires + LATE < now.wall || m.expires > now.wall + EARLY {
            self.counters.dropped += 1;
            return;
        }
        if self.tunnels.claims(from, &m) {
            if let Some(id) = self.tunnels.receive_of(&m)
                && !self.admission.reserve(now, from, id)
            {
                return self.tunnels.give_up_build(now, &m);
            }
            return self.tunnels.handle_message(now, &mut self.rng, from, m);
        }
        match m.kind {
            kind::DATABASE_STORE
            | kind::DATABASE_LOOKUP
            | kind::DATABASE_SEARCH_REPLY
            | kind::DELIVERY_STATUS => {
                self.tell_netdb(now, Context::Router, Source::Link(from), &m);
            }
            kind::GARLIC => self.open_router_garlic(now, from, &m),
            kind::SHORT_TUNNEL_BUILD | kind::VARIABLE_TUNNEL_BUILD => {
                self.admit(now, from, &m);
            }
            _ => self.counters.dropped += 1,
        }
    }

    /// Another router asks us to be a hop.
    pub(super) fn admit(&mut self, now: Now, from: RouterHash, m: &Message) {
        match self.admission.handle(now, &mut self.rng, from, m) {
            Ok(outputs) => {
                let accepted = outputs
                    .iter()
                    .any(|o| matches!(o, AdmissionOutput::Install(_)));
                self.counters.transit_accepted += u64::from(accepted);
                let long = accepted && m.kind == kind::VARIABLE_TUNNEL_BUILD;
                self.counters.transit_long += u64::from(long);
                self.counters.transit_refused += u64::from(!accepted);
                for o in outputs {
                    match o {
                        AdmissionOutput::Install(hop) => self.link(LinkCmd::InstallHop(hop)),
                        AdmissionOutput::Send { to, message } => {
                            self.send_direct(to, Class::Answer, message);
                        }
                    }
                }
            }
            Err(_) => self.counters.dropped += 1,
        }
    }

    /// Sends over a link, or to ourselves.
    pub(super) fn send_direct(&mut self, to: RouterHash, class: Class, message: Message) {
        let transit = matches!(message.kind, kind::TUNNEL_DATA | kind::TUNNEL_GATEWAY);
        if to == self.us && (!transit || self.tunnels.is_for_own_tunnel(&message)) {
            if self.loopback.len() < crate::limits::LOOPBACK_MAX {
                self.loopback.push_back(message);
            } else {
                self.counters.dropped += 1;
            }
            return;
        }
        self.outputs
            .push_back(Output::Link(LinkCmd::Send { to, class, message }));
    }

    /// Messages to ourselves, as if a link had brought them.
    pub(super) fn drain_loopback(&mut self, now: Now) -> bool {
        let mut busy = false;
        while let Some(m) = self.loopback.pop_front() {
            busy = true;
            self.deliver_from_link(now, self.us, m);
        }
        busy
    }

    /// Dials a router that is known.
    pub(super) fn dial(&mut self, now: Now, peer: RouterHash) {
        if peer == self.us || self.connected.contains(&peer) {
            return;
        }
        match self.netdb.router(&peer) {
            Some(info) => self.link(LinkCmd::Dial(Arc::clone(&info))),
            None => self.look_up_router(now, peer),
        }
    }
}
