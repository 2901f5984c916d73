//! Two local destinations against each other: garlic messages carried by hand, virtual time.

mod hostile;
mod recovery;

use super::*;
use crate::router::boot::client_keys;
use crate::stream::StreamId;
use crate::time::Date;
use crate::tunnel::{InboundId, OutboundId};
use crate::wire::hash::{RouterHash, TunnelId};

const LATENCY: Duration = Duration::from_millis(40);

struct Side {
    dest: LocalDest,
    inbox: VecDeque<(Instant, Vec<u8>)>,
    events: Vec<StreamEvent>,
    lookups: usize,
    notes: Vec<&'static str>,
}

struct Pair {
    now: Now,
    rng: Rng,
    sides: [Side; 2],
    /// Messages of a side that are lost, while it is set.
    mute: [bool; 2],
    /// A side has no outbound tunnels, while it is set.
    stuck: [bool; 2],
    /// How many outbound tunnels a side has, and one of the client's that delivers nothing.
    tunnels: u32,
    dead: Option<OutboundId>,
}

fn side(keys: DestinationKeys, n: u8, now: Now) -> Side {
    let mut dest = LocalDest::new(keys, n == 1);
    assert!(dest.tunnels_changed(now, core::iter::once(inbound(n, now))));
    Side {
        dest,
        inbox: VecDeque::new(),
        events: Vec::new(),
        lookups: 0,
        notes: Vec::new(),
    }
}

fn inbound(n: u8, now: Now) -> InboundInfo {
    InboundInfo {
        id: InboundId(1),
        gateway: RouterHash([n + 10; 32]),
        gateway_tunnel: TunnelId(7),
        receive: TunnelId(8),
        last: RouterHash([n + 20; 32]),
        expires: now.mono + Duration::from_secs(600),
        expires_date: Date::from_secs((now.wall + Duration::from_secs(600)).secs()),
        hops: 2,
        rtt: None,
        failing: false,
        doubted: false,
        proven: true,
    }
}

fn outbound(n: u8, now: Now) -> OutboundInfo {
    OutboundInfo {
        id: OutboundId(1),
        first: RouterHash([n + 30; 32]),
        endpoint: RouterHash([n + 40; 32]),
        expires: now.mono + Duration::from_secs(600),
        expires_date: now.wall + Duration::from_secs(600),
        hops: 2,
        rtt: None,
        failing: false,
        doubted: false,
    }
}

impl Pair {
    /// Client 0 and server 1.
    fn new(server: DestinationKeys) -> Self {
        let now = Now {
            mono: Instant(1),
            wall: Date::from_secs(1_767_225_600),
        };
        let mut rng = Rng::from_number(5);
        let client = client_keys(&mut rng).unwrap();
        let mut sides = [side(client, 0, now), side(server, 1, now)];
        sides[1].dest.streams.listen(0);
        Self {
            now,
            rng,
            sides,
            mute: [false; 2],
            stuck: [false; 2],
            tunnels: 1,
            dead: None,
        }
    }

    /// The client learns the server's LeaseSet, as by a lookup.
    fn introduce(&mut self) {
        let ls = self.sides[1].dest.lease_set().unwrap().clone();
        self.sides[0].dest.found(self.now, ls);
    }

    fn server(&self) -> DestHash {
        self.sides[1].dest.hash()
    }

    fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while self.now.mono < end {
            for n in 0..2 {
                self.turn(n);
            }
            self.now = self.now.after(Duration::from_millis(5));
        }
    }

    fn turn(&mut self, n: usize) {
        let (now, rng) = (self.now, &mut self.rng);
        let side = &mut self.sides[n];
        while side.inbox.front().is_some_and(|(at, _)| *at <= now.mono) {
            let (_, content) = side.inbox.pop_front().unwrap();
            side.dest.handle_garlic(now, rng, &content);
        }
        side.dest.handle_timeout(now, rng);
        let tunnels: Vec<_> = (1..=self.tunnels)
            .map(|id| OutboundInfo {
                id: OutboundId(id),
                ..outbound(n as u8, now)
            })
            .collect();
        let tunnels = if self.stuck[n] { &[][..] } else { &tunnels[..] };
        side.dest.drive(now, rng, tunnels);
        let outputs: Vec<_> = core::iter::from_fn(|| side.dest.poll_output()).collect();
        for output in outputs {
            match output {
                DestOutput::Send { path, .. } if n == 0 && self.dead == Some(path.outbound) => {}
                DestOutput::Send { message, .. } if !self.mute[n] => {
                    let content = crate::garlic::content(&message.body).unwrap().to_vec();
                    self.sides[1 - n]
                        .inbox
                        .push_back((now.mono + LATENCY, content));
                }
                DestOutput::Stream(event) => self.sides[n].events.push(event),
                DestOutput::Lookup(_) => self.sides[n].lookups += 1,
                DestOutput::Note(what, _) => self.sides[n].notes.push(what),
                _ => {}
            }
        }
    }

    fn call(&mut self, request: &[u8]) -> StreamId {
        let to = self.server();
        assert!(self.sides[0].dest.prepare(self.now, to));
        let streams = &mut self.sides[0].dest.streams;
        let id = streams.connect(self.now, &mut self.rng, to, 80).unwrap();
        assert_eq!(streams.write(self.now, id, request), request.len());
        id
    }

    fn received(&self, n: usize) -> Vec<u8> {
        let data = self.sides[n].events.iter().filter_map(|e| match e {
            StreamEvent::Data { bytes, .. } => Some(bytes.clone()),
            _ => None,
        });
        data.collect::<Vec<_>>().concat()
    }
}

fn server_keys() -> DestinationKeys {
    client_keys(&mut Rng::from_number(77)).unwrap()
}

#[test]
fn a_request_travels_in_the_first_message_and_the_sender_is_known() {
    let mut pair = Pair::new(server_keys());
    assert!(!pair.sides[0].dest.prepare(pair.now, pair.server()));
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.sides[0].lookups, 1);
    pair.introduce();
    pair.call(b"hello");
    pair.run(Duration::from_millis(100));
    assert_eq!(pair.received(1), b"hello");
    let client = pair.sides[0].dest.hash();
    let known =
        |e: &StreamEvent| matches!(e, StreamEvent::Incoming { from, .. } if *from == client);
    assert!(pair.sides[1].events.iter().any(known));
    assert_eq!(pair.sides[0].dest.counts.new_sessions, 1);
    assert_eq!(pair.sides[1].lookups, 0, "the LeaseSet came along");
}

#[test]
fn a_lost_first_message_is_repeated() {
    let mut pair = Pair::new(server_keys());
    pair.introduce();
    pair.mute[0] = true;
    pair.call(b"hello");
    pair.run(Duration::from_secs(1));
    pair.mute[0] = false;
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.received(1), b"hello");
    assert!(pair.sides[0].dest.counts.paths_failed >= 1);
}

#[test]
fn a_server_that_lost_its_sessions_is_reached_again() {
    let mut pair = Pair::new(server_keys());
    pair.introduce();
    pair.call(b"one");
    pair.run(Duration::from_secs(3));
    assert_eq!(pair.received(1), b"one");
    let mut fresh = side(server_keys(), 1, pair.now);
    fresh.dest.streams.listen(0);
    pair.sides[1] = fresh;
    pair.call(b"two");
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.received(1), b"two");
}

#[test]
fn a_silent_remote_is_given_up() {
    let mut pair = Pair::new(server_keys());
    pair.introduce();
    pair.mute = [true; 2];
    pair.call(b"hello");
    pair.run(Duration::from_secs(70));
    let reset = |e: &StreamEvent| matches!(e, StreamEvent::Reset { .. });
    assert!(pair.sides[0].events.iter().any(reset));
}

#[test]
fn noise_is_counted_and_dropped() {
    let mut pair = Pair::new(server_keys());
    for n in [0, 8, 96, 500] {
        let noise = pair.rng.bytes(n);
        pair.sides[1]
            .dest
            .handle_garlic(pair.now, &mut pair.rng, &noise);
    }
    assert_eq!(pair.sides[1].dest.counts.unopened, 4);
}

/// The leases that a side knows of the other one.
fn known_leases(pair: &Pair, n: usize) -> Vec<u32> {
    let other = pair.sides[1 - n].dest.hash();
    let remote = &pair.sides[n].dest.remotes[&other];
    let ls = remote.lease_set.as_ref().unwrap();
    ls.leases().iter().map(|l| l.tunnel.0).collect()
}

fn tunnel(n: u32, now: Now, proven: bool, failing: bool) -> InboundInfo {
    InboundInfo {
        gateway_tunnel: TunnelId(n),
        proven,
        failing,
        ..inbound(0, now)
    }
}

#[test]
fn tunnels_that_carried_something_are_offered_first() {
    let mut dest = LocalDest::new(server_keys(), false);
    let now = Pair::new(server_keys()).now;
    let mut offer = |tunnels: &[InboundInfo]| {
        dest.tunnels_changed(now, tunnels.iter().cloned());
        let ls = dest.lease_set().unwrap();
        ls.leases().iter().map(|l| l.tunnel.0).collect::<Vec<_>>()
    };
    let new = |n| tunnel(n, now, false, false);
    assert_eq!(offer(&[new(1), new(2)]), [1, 2], "better than none");
    let proven = tunnel(2, now, true, false);
    assert_eq!(offer(&[new(1), proven, new(3)]), [1, 2]);
    let failing = tunnel(1, now, false, true);
    assert_eq!(offer(&[failing, proven, new(3)]), [2]);
    assert_eq!(offer(&[tunnel(2, now, true, true), new(3)]), [3]);
}

#[test]
fn who_talks_to_us_is_told_at_once_that_a_tunnel_is_dead() {
    let mut pair = Pair::new(server_keys());
    let now = pair.now;
    let set = |pair: &mut Pair, failing| {
        let tunnels = [tunnel(7, now, true, false), tunnel(9, now, true, failing)];
        pair.sides[0]
            .dest
            .tunnels_changed(pair.now, tunnels.into_iter());
    };
    set(&mut pair, false);
    pair.introduce();
    pair.call(b"hello");
    pair.run(Duration::from_secs(3));
    assert_eq!(known_leases(&pair, 1), [7, 9]);
    set(&mut pair, true);
    pair.run(Duration::from_millis(100));
    assert_eq!(known_leases(&pair, 1), [7]);
    // One that has come is told with the next message only.
    set(&mut pair, false);
    pair.run(Duration::from_secs(3));
    assert_eq!(known_leases(&pair, 1), [7]);
    // Who was silent for long is not told either.
    pair.run(Duration::from_secs(70));
    let before = pair.sides[0].dest.counts.messages;
    set(&mut pair, true);
    pair.run(Duration::from_millis(100));
    assert_eq!(pair.sides[0].dest.counts.messages, before);
}

#[test]
fn the_end_of_a_stream_blames_no_path() {
    let mut pair = Pair::new(server_keys());
    pair.introduce();
    let id = pair.call(b"hello");
    pair.run(Duration::from_secs(3));
    let (now, server) = (pair.now, &mut pair.sides[1]);
    let incoming = server.events.iter().find_map(|e| match e {
        StreamEvent::Incoming { id, .. } => Some(*id),
        _ => None,
    });
    server.dest.streams.finish(now, incoming.unwrap());
    pair.run(Duration::from_millis(60));
    // The server forgets the stream with its CLOSE, as i2pd does: ours is never answered.
    pair.mute[1] = true;
    pair.sides[0].dest.streams.close(pair.now, id);
    pair.run(Duration::from_secs(20));
    let closed = StreamEvent::Closed { id };
    assert!(pair.sides[0].events.contains(&closed));
    assert_eq!(pair.sides[0].dest.counts.paths_failed, 0);
    assert_eq!(pair.sides[0].dest.counts.new_sessions, 1);
}

#[test]
fn every_lost_packet_is_queued_again_once() {
    let mut pair = Pair::new(server_keys());
    let (now, to) = (pair.now, pair.server());
    let dest = &mut pair.sides[0].dest;
    let copy = |seq| Transmit {
        to,
        from_port: 0,
        to_port: 80,
        payload: vec![7; 20],
        syn: false,
        seq: Some(seq),
        again: true,
        resend: 0,
        id: StreamId(1),
    };
    for seq in [3, 4, 5, 4] {
        dest.transmit(now, copy(seq));
    }
    assert_eq!(dest.backlog(), (1, 3));
}
