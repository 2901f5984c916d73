//! An attacker among the routers of a simulation. As endpoint, gateway or last hop of others'
//! tunnels and as floodfill it keeps answers back, and hands them to everybody over links and into
//! the tunnels that it has heard of: whoever behaves as if the answer were his has asked.
//!
//! What the attacker can see is the shape of the traffic: who sends what kind and size of message
//! to whom, and when. It must be the same whether it hands out real answers or messages that nobody
//! waits for.

use super::node::Node;
use super::{Event, Sim};
use ramson_proto::router::input::LinkEvent;
use ramson_proto::time::Instant;
use ramson_proto::tunnel::{Direction, PoolId};
use ramson_proto::wire::hash::{MessageId, RouterHash, TunnelId};
use ramson_proto::wire::i2np::tunnel::TunnelGateway;
use ramson_proto::wire::i2np::{Message, kind};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One of so many answers is kept back; the network goes on working.
const EACH: u64 = 3;
/// Tunnels that an answer is put into.
const TUNNELS: usize = 4;
/// Tunnels that are remembered.
const HEARD_MAX: usize = 24;

/// What is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bait {
    /// The answers as they are.
    Answers,
    /// The same with another tag or id: messages that nobody waits for.
    Nothing,
}

/// The attacker.
pub struct Attack {
    hostile: BTreeSet<usize>,
    bait: Bait,
    /// Answers that could have been kept back, by kind.
    met: BTreeMap<u8, u64>,
    /// Gateways and tunnel ids, oldest first.
    heard: VecDeque<(RouterHash, TunnelId)>,
    shape: Sha256,
    /// Answers that were handed out over links, by kind.
    pub handed: BTreeMap<u8, u64>,
    /// Answers that were put into others' tunnels.
    pub misled: u64,
}

impl Attack {
    /// These nodes work together.
    #[must_use]
    pub fn new(hostile: &[usize], bait: Bait) -> Self {
        Self {
            hostile: hostile.iter().copied().collect(),
            bait,
            met: BTreeMap::new(),
            heard: VecDeque::new(),
            shape: Sha256::new(),
            handed: BTreeMap::new(),
            misled: 0,
        }
    }

    /// Hash over the shape of all traffic but the attacker's baits.
    #[must_use]
    pub fn shape(&self) -> Vec<u8> {
        self.shape.clone().finalize().to_vec()
    }

    pub(super) fn observe(&mut self, now: Instant, from: usize, to: usize, m: &Message) {
        let words = [now.0, from as u64, to as u64, m.body.len() as u64];
        self.shape.update(words.map(u64::to_be_bytes).concat());
        self.shape.update([m.kind]);
    }

    /// Whether this one is kept back.
    fn takes(&mut self, kind: u8) -> bool {
        let met = self.met.entry(kind).or_default();
        *met += 1;
        met.is_multiple_of(EACH)
    }

    fn hear(&mut self, tunnel: (RouterHash, TunnelId)) {
        if !self.heard.contains(&tunnel) {
            self.heard.push_back(tunnel);
        }
        if self.heard.len() > HEARD_MAX {
            self.heard.pop_front();
        }
    }

    fn baited(&self, mut m: Message) -> Message {
        if self.bait == Bait::Nothing {
            let at = match m.kind {
                kind::GARLIC => 4..12,
                kind::DELIVERY_STATUS => 0..4,
                _ => {
                    m.id = MessageId(m.id.0 ^ 0x5555_5555);
                    0..0
                }
            };
            m.body[at].iter_mut().for_each(|b| *b ^= 0x55);
        }
        m
    }

    /// Another hostile node.
    fn accomplice(&self, of: usize) -> usize {
        let mut others = self.hostile.iter().filter(|n| **n != of);
        *others.next().unwrap_or(&of)
    }
}

/// Whose tunnel it is.
fn owner(nodes: &[Node], tunnel: (RouterHash, TunnelId)) -> Option<(usize, PoolId)> {
    nodes.iter().enumerate().find_map(|(i, node)| {
        let mut paths = node.router.paths();
        let own = paths.find(|p| {
            p.direction == Direction::Inbound
                && p.entry == tunnel.1
                && p.hops.first() == Some(&tunnel.0)
        });
        own.map(|p| (i, p.pool))
    })
}

impl Sim {
    /// Sets an attacker loose.
    pub fn set_attack(&mut self, attack: Attack) {
        self.attack = Some(attack);
    }

    /// The attacker.
    #[must_use]
    pub const fn attack(&self) -> Option<&Attack> {
        self.attack.as_ref()
    }

    /// A hostile node is about to send a message, or got one as a gateway: whether it keeps it.
    pub(super) fn seize(&mut self, at: usize, to: RouterHash, m: &Message) -> bool {
        let Some(attack) = self.attack.as_mut().filter(|a| a.hostile.contains(&at)) else {
            return false;
        };
        match m.kind {
            kind::TUNNEL_GATEWAY => self.seize_gateway(at, to, m),
            // Of these the next router knows who should bring them.
            kind::SHORT_TUNNEL_BUILD | kind::DELIVERY_STATUS if attack.takes(m.kind) => {
                let from = attack.accomplice(at);
                let bait = attack.baited(m.clone());
                self.hand_out(from, &bait);
                true
            }
            _ => false,
        }
    }

    fn seize_gateway(&mut self, at: usize, gateway: RouterHash, m: &Message) -> bool {
        let Ok(outer) = TunnelGateway::parse(&m.body) else {
            return false;
        };
        let Ok(inner) = Message::parse_long(&outer.inner) else {
            return false;
        };
        let here = (gateway, outer.id);
        let whose = owner(&self.nodes, here);
        let Some(attack) = &mut self.attack else {
            return false;
        };
        attack.hear(here);
        let answer = matches!(
            inner.kind,
            kind::GARLIC | kind::DELIVERY_STATUS | kind::OUTBOUND_TUNNEL_BUILD_REPLY
        );
        if !answer || !attack.takes(inner.kind) {
            return false;
        }
        let bait = attack.baited(inner);
        let heard: Vec<_> = attack.heard.iter().rev().copied().collect();
        self.hand_out(at, &bait);
        if let Some(whose) = whose {
            let others = heard.into_iter().filter(|t| *t != here);
            // A destination's message may come by any of its tunnels.
            let wrong = |(node, pool)| (node, pool) != whose || pool == PoolId::EXPLORATORY;
            let others: Vec<_> = others
                .filter(|t| owner(&self.nodes, *t).is_some_and(wrong))
                .take(TUNNELS)
                .collect();
            for tunnel in others {
                self.mislead(at, tunnel, &bait);
            }
        }
        true
    }

    /// To everybody, over a link.
    fn hand_out(&mut self, from: usize, bait: &Message) {
        let Some(attack) = &mut self.attack else {
            return;
        };
        *attack.handed.entry(bait.kind).or_default() += 1;
        let all = 0..self.nodes.len();
        let suspects: Vec<usize> = all.filter(|n| !attack.hostile.contains(n)).collect();
        for to in suspects {
            self.inject(from, to, bait.clone());
        }
    }

    /// Into a tunnel that the answer is not for.
    fn mislead(&mut self, from: usize, tunnel: (RouterHash, TunnelId), bait: &Message) {
        let outer = TunnelGateway {
            id: tunnel.1,
            inner: bait.to_long(),
        };
        let gateway = self.index.get(&tunnel.0).copied();
        let message = outer.to_message(MessageId(1), bait.expires);
        let (Some(to), Ok(message), Some(attack)) = (gateway, message, &mut self.attack) else {
            return;
        };
        attack.misled += 1;
        self.inject(from, to, message);
    }

    fn inject(&mut self, from: usize, to: usize, message: Message) {
        let message = Box::new(message);
        let at = self.now + self.conditions.latency;
        self.push(at, Event::Bait { from, to, message });
    }

    /// A bait arrives.
    pub(super) fn bite(&mut self, from: usize, to: usize, message: Message) {
        let now = self.now();
        let sender = self.nodes[from].router.hash();
        let node = &mut self.nodes[to];
        if let Some(message) = node.shard.accept(now, &mut node.rng, sender, message) {
            let from = sender;
            node.router
                .handle_link(now, LinkEvent::I2np { from, message });
        }
        self.drain(to);
    }
}
