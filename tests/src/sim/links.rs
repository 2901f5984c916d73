//! The simulator's links: models that carry I2NP messages in order, with latency and loss, and
//! that end when an end dies or closes them.

use super::{Event, Sight, Sim};
use ramson_proto::router::input::{Direction, LinkDown, LinkEvent};
use ramson_proto::router::output::{Class, LinkCmd};
use ramson_proto::wire::hash::RouterHash;
use ramson_proto::wire::i2np::{Message, kind};
use std::time::Duration;

impl Sim {
    /// A dial succeeded.
    pub(super) fn link_up(&mut self, from: usize, to: usize) {
        let now = self.now();
        let (a, b) = (self.nodes[from].router.hash(), self.nodes[to].router.hash());
        self.nodes[from].dialling.remove(&b);
        if !self.nodes[to].alive {
            return self.unreachable(from, b);
        }
        if !self.nodes[from].links.insert(b) {
            return;
        }
        self.nodes[to].links.insert(a);
        self.show(Sight::Link { from, to, up: true });
        let info = Some(self.nodes[from].router.info().clone());
        let inbound = LinkEvent::Up {
            peer: a,
            direction: Direction::Inbound,
            info,
        };
        let outbound = LinkEvent::Up {
            peer: b,
            direction: Direction::Outbound,
            info: None,
        };
        self.nodes[to].router.handle_link(now, inbound);
        self.nodes[from].router.handle_link(now, outbound);
        for (node, peer) in [(from, b), (to, a)] {
            for m in self.nodes[node].waiting.remove(&peer).unwrap_or_default() {
                self.transmit(node, peer, Class::Own, m);
            }
        }
        self.drain(to);
        self.drain(from);
    }

    /// An end learns that its link is gone.
    pub(super) fn link_down(&mut self, node: usize, peer: RouterHash, why: LinkDown) {
        let now = self.now();
        if !self.nodes[node].links.remove(&peer) {
            return;
        }
        if let Some(from) = self.index.get(&peer).copied() {
            let (to, up) = (node, false);
            self.show(Sight::Link { from, to, up });
        }
        let down = LinkEvent::Down { peer, why };
        self.nodes[node].router.handle_link(now, down);
        self.drain(node);
    }

    /// A message comes out of a link.
    pub(super) fn arrive(&mut self, from: usize, to: usize, message: Message) {
        let now = self.now();
        self.delivered += 1;
        self.record(from, to, &message);
        let (sender, receiver) = (self.nodes[from].router.hash(), self.nodes[to].router.hash());
        if message.kind == kind::TUNNEL_GATEWAY && self.seize(to, receiver, &message) {
            return;
        }
        let node = &mut self.nodes[to];
        if let Some(message) = node.shard.accept(now, &mut node.rng, sender, message) {
            let from = sender;
            node.router
                .handle_link(now, LinkEvent::I2np { from, message });
        }
        self.drain(to);
    }

    /// What a router tells its links.
    pub(super) fn link_cmd(&mut self, i: usize, cmd: LinkCmd) {
        let now = self.now();
        match cmd {
            LinkCmd::Dial(info) => self.dial(i, info.hash()),
            LinkCmd::NoRouter(hash) => drop(self.nodes[i].waiting.remove(&hash)),
            LinkCmd::Send { to, message, .. } if to == self.nodes[i].router.hash() => {
                let node = &mut self.nodes[i];
                if let Some(message) = node.shard.accept(now, &mut node.rng, to, message) {
                    node.router
                        .handle_link(now, LinkEvent::I2np { from: to, message });
                }
            }
            LinkCmd::Send { to, class, message } => self.transmit(i, to, class, message),
            LinkCmd::Close { peer, reason } => self.close(i, peer, reason),
            LinkCmd::InstallHop(hop) => self.nodes[i].shard.install(now, hop),
            LinkCmd::RemoveHop(id) => self.nodes[i].shard.remove(id),
            LinkCmd::InstallOwn { id, from } => self.nodes[i].shard.install_own(id, from),
            LinkCmd::RemoveOwn(id) => self.nodes[i].shard.remove_own(id),
            LinkCmd::OwnInfo(_) => {}
            LinkCmd::TransitLimit(n) => self.nodes[i].shard.set_transit_limit(n),
        }
    }

    /// Ends a link in an orderly way; the other end hears of it one latency later.
    fn close(&mut self, i: usize, peer: RouterHash, reason: u8) {
        let Some(other) = self.index.get(&peer).copied() else {
            return;
        };
        let us = self.nodes[i].router.hash();
        let latency = self.conditions.latency;
        self.plan_down(other, us, LinkDown::PeerTerminated(reason), latency);
        let ours = LinkDown::Terminated(reason);
        self.plan_down(i, peer, ours, Duration::ZERO);
    }

    /// The next `n` cells that the node would send are lost.
    pub fn drop_burst(&mut self, node: usize, n: usize) {
        self.bursts.insert(node, n);
    }

    /// A node ends and starts again at once, with what is kept on disk.
    pub fn restart(&mut self, node: usize) {
        self.kill(node, Duration::ZERO);
        self.apps.end(node);
        let now = self.now();
        self.nodes[node].restart(now);
        self.drain(node);
    }

    /// A node stops at once. Its peers learn so after `notice`: until then what they send it is
    /// lost.
    pub fn kill(&mut self, node: usize, notice: Duration) {
        self.nodes[node].alive = false;
        let dead = self.nodes[node].router.hash();
        for peer in std::mem::take(&mut self.nodes[node].links) {
            if let Some(other) = self.index.get(&peer).copied() {
                self.plan_down(other, dead, LinkDown::Closed, notice);
            }
        }
    }

    fn loses_burst(&mut self, from: usize) -> bool {
        let Some(left) = self.bursts.get_mut(&from).filter(|n| **n > 0) else {
            return false;
        };
        *left -= 1;
        true
    }

    fn plan_down(&mut self, node: usize, peer: RouterHash, why: LinkDown, after: Duration) {
        let at = self.now + after;
        self.push(at, Event::Down { node, peer, why });
    }

    fn dial(&mut self, from: usize, to: RouterHash) {
        let node = &mut self.nodes[from];
        if node.links.contains(&to) || !node.dialling.insert(to) {
            return;
        }
        match self.index.get(&to).copied() {
            // A handshake takes three messages.
            Some(target) => {
                let at = self.now + self.conditions.latency * 3;
                self.push(at, Event::Up { from, to: target });
            }
            None => self.unreachable(from, to),
        }
    }

    /// A dial failed.
    fn unreachable(&mut self, from: usize, to: RouterHash) {
        let now = self.now();
        let node = &mut self.nodes[from];
        node.dialling.remove(&to);
        node.waiting.remove(&to);
        let why = LinkDown::Unreachable;
        node.router
            .handle_link(now, LinkEvent::Down { peer: to, why });
        self.drain(from);
    }

    /// Puts a message on a link; without a link it waits for one.
    pub(super) fn transmit(&mut self, from: usize, to: RouterHash, class: Class, message: Message) {
        let now = self.now();
        if self.seize(from, to, &message) {
            return;
        }
        if !self.nodes[from].links.contains(&to) {
            let node = &mut self.nodes[from];
            let first = node.hold(to, message);
            if first {
                node.router
                    .handle_link(now, LinkEvent::WantRouter { peer: to, class });
            }
            return;
        }
        let Some(target) = self.index.get(&to).copied() else {
            return;
        };
        if (self.rng.below(1000) as u32) < self.conditions.loss_per_mille {
            self.lost += 1;
            return;
        }
        if message.kind == kind::TUNNEL_DATA && self.loses_burst(from) {
            self.lost += 1;
            return;
        }
        let at = self.now + self.conditions.latency + self.rng.jitter(self.conditions.jitter);
        // A link is one ordered stream of messages.
        let last = self.nodes[from].last_arrival.entry(to).or_insert(at);
        let at = at.max(*last);
        *last = at;
        self.push(
            at,
            Event::Arrive {
                from,
                to: target,
                message: Box::new(message),
            },
        );
    }
}
