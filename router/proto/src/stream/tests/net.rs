//! Two destinations and a wire between them that loses, delays, reorders and doubles.

use crate::crypto::sig::SigningKey;
use crate::rng::Rng;
use crate::stream::{StreamConfig, StreamEvent, StreamId, Streams};
use crate::time::{Date, Instant, Now};
use crate::wire::cert::ENC_X25519;
use crate::wire::hash::DestHash;
use crate::wire::identity::{Destination, KeysAndCert};
use core::time::Duration;
use std::collections::BTreeMap;

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn destination(n: u64) -> (Destination, SigningKey) {
    let mut rng = Rng::from_number(n);
    let key = SigningKey::random(&mut rng);
    let keys = KeysAndCert::ed25519(ENC_X25519, &[1; 256], &[2; 96], &key.public()).unwrap();
    (Destination(keys), key)
}

/// What the application of a stream has seen and still does.
#[derive(Default)]
pub struct App {
    pub got: Vec<u8>,
    pub events: Vec<StreamEvent>,
    pub to_write: Vec<u8>,
    pub written: usize,
    pub finish: bool,
    pub credit: usize,
    /// Received bytes that are not consumed yet, when it reads slowly.
    pub owed: usize,
    pub slow: bool,
}

pub struct Side {
    pub streams: Streams,
    pub hash: DestHash,
    pub apps: BTreeMap<StreamId, App>,
    /// What a new incoming stream writes and whether it finishes then.
    pub answer: (Vec<u8>, bool),
    pub paths: Vec<StreamEvent>,
    pub sent: u64,
    /// Copies of packets that were sent before: when, and the doubt they went with.
    pub copies: Vec<(Instant, u32)>,
}

#[derive(Clone, Copy)]
pub struct Wire {
    pub one_way: Duration,
    pub jitter: Duration,
    /// Per thousand.
    pub loss: usize,
    pub twice: usize,
    /// Bytes a second; zero is no limit. The queue holds `queue` of time.
    pub rate: u64,
    pub queue: Duration,
}

impl Wire {
    pub fn clean(rtt: u64) -> Self {
        Self {
            one_way: ms(rtt) / 2,
            jitter: ms(0),
            loss: 0,
            twice: 0,
            rate: 0,
            queue: ms(200),
        }
    }
}

type Flight = (usize, u16, u16, Vec<u8>);

pub struct Net {
    pub sides: [Side; 2],
    pub now: Now,
    pub rng: Rng,
    pub wire: Wire,
    pub flights: BTreeMap<(Instant, u64), Flight>,
    busy: [Instant; 2],
    count: u64,
    pub lost: u64,
    /// Packets to this side vanish until then.
    pub dead: Instant,
    /// Bytes that the streams of both sides together may hold.
    pub budget: usize,
    /// What a test does to a packet on its way: false drops it.
    pub filter: fn(usize, &[u8], u64) -> bool,
}

impl Net {
    pub fn new(seed: u64, wire: Wire, config: &StreamConfig) -> Self {
        let sides = [1, 2].map(|n| {
            let (d, key) = destination(n);
            Side {
                hash: d.hash(),
                streams: Streams::new(config.clone(), d, key),
                apps: BTreeMap::new(),
                answer: (Vec::new(), false),
                paths: Vec::new(),
                sent: 0,
                copies: Vec::new(),
            }
        });
        Self {
            sides,
            now: Now {
                mono: Instant(1_000_000),
                wall: Date::from_secs(1_800_000_000),
            },
            rng: Rng::from_number(seed),
            wire,
            flights: BTreeMap::new(),
            busy: [Instant(0); 2],
            count: 0,
            lost: 0,
            dead: Instant(0),
            budget: usize::MAX,
            filter: |_, _, _| true,
        }
    }

    pub fn connect(&mut self, data: &[u8], finish: bool) -> StreamId {
        let to = self.sides[1].hash;
        let now = self.now;
        let s = &mut self.sides[0].streams;
        let id = s.connect(now, &mut self.rng, to, 80).unwrap();
        let app = App {
            to_write: data.to_vec(),
            finish,
            ..App::default()
        };
        self.sides[0].apps.insert(id, app);
        self.run_apps();
        id
    }

    fn run_apps(&mut self) {
        let now = self.now;
        for side in &mut self.sides {
            for (id, app) in &mut side.apps {
                if app.written < app.to_write.len() {
                    let rest = &app.to_write[app.written..];
                    app.written += side
                        .streams
                        .write(now, *id, &rest[..rest.len().min(65_536)]);
                }
                if app.finish && app.written == app.to_write.len() {
                    side.streams.finish(now, *id);
                    app.finish = false;
                }
            }
        }
    }

    pub fn drain(&mut self) {
        loop {
            let held: usize = self.sides.iter().map(|s| s.streams.held()).sum();
            let room = self.budget.saturating_sub(held);
            for side in &mut self.sides {
                side.streams.set_room(self.now, room);
            }
            let mut quiet = true;
            for i in 0..2 {
                while let Some(e) = self.sides[i].streams.poll_event() {
                    quiet = false;
                    self.event(i, e);
                }
                while let Some(t) = self.sides[i].streams.poll_transmit(self.now, &mut self.rng) {
                    quiet = false;
                    assert_eq!(t.to, self.sides[1 - i].hash);
                    self.sides[i].sent += 1;
                    if t.again {
                        self.sides[i].copies.push((self.now.mono, t.resend));
                    }
                    self.fly(1 - i, (1 - i, t.from_port, t.to_port, t.payload));
                }
            }
            self.run_apps();
            if quiet {
                return;
            }
        }
    }

    fn fly(&mut self, to: usize, flight: Flight) {
        self.count += 1;
        let keep = (self.filter)(to, &flight.3, self.count);
        if !keep || self.now.mono < self.dead || self.rng.below(1000) < self.wire.loss {
            self.lost += 1;
            return;
        }
        let mut at = self.now.mono;
        if let Some(us) = (flight.3.len() as u64 * 1_000_000).checked_div(self.wire.rate) {
            let start = self.busy[to].max(at);
            if start.since(at) > self.wire.queue {
                self.lost += 1;
                return;
            }
            self.busy[to] = start + Duration::from_micros(us);
            at = self.busy[to];
        }
        let copies = 1 + usize::from(self.rng.below(1000) < self.wire.twice);
        for _ in 0..copies {
            let at = at + self.wire.one_way + self.rng.jitter(self.wire.jitter);
            self.count += 1;
            self.flights.insert((at, self.count), flight.clone());
        }
    }

    fn event(&mut self, i: usize, e: StreamEvent) {
        let now = self.now;
        let side = &mut self.sides[i];
        let id = match &e {
            StreamEvent::Progress { .. }
            | StreamEvent::Stalled { .. }
            | StreamEvent::Unanswered { .. } => {
                side.paths.push(e);
                return;
            }
            StreamEvent::Incoming { id, .. } => {
                let app = App {
                    to_write: side.answer.0.clone(),
                    finish: side.answer.1,
                    ..App::default()
                };
                assert!(side.apps.insert(*id, app).is_none());
                *id
            }
            StreamEvent::Opened { id }
            | StreamEvent::Data { id, .. }
            | StreamEvent::Writable { id, .. }
            | StreamEvent::Finished { id }
            | StreamEvent::Closed { id }
            | StreamEvent::StandsStill { id, .. }
            | StreamEvent::GoesOn { id, .. }
            | StreamEvent::Reset { id, .. } => *id,
        };
        let app = side.apps.get_mut(&id).unwrap();
        match &e {
            StreamEvent::Data { bytes, .. } => {
                app.got.extend_from_slice(bytes);
                if app.slow {
                    app.owed += bytes.len();
                } else {
                    side.streams.consume(now, id, bytes.len());
                }
            }
            StreamEvent::Writable { n, .. } => app.credit += n,
            _ => app.events.push(e),
        }
    }

    /// When the next thing happens.
    fn next(&mut self) -> Option<Instant> {
        self.drain();
        let timers = self.sides.iter().filter_map(|s| s.streams.deadline()).min();
        let flight = self.flights.first_key_value().map(|(k, _)| k.0);
        [timers, flight].into_iter().flatten().min()
    }

    /// Goes to the next thing that happens; false when nothing will.
    pub fn step(&mut self) -> bool {
        let Some(at) = self.next() else {
            return false;
        };
        let at = at.max(self.now.mono);
        self.now = self.now.after(at.since(self.now.mono));
        while let Some(e) = self.flights.first_entry() {
            if e.key().0 > at {
                break;
            }
            let (to, from_port, to_port, payload) = e.remove();
            let from = self.sides[1 - to].hash;
            let s = &mut self.sides[to].streams;
            s.handle_packet(self.now, &mut self.rng, from, from_port, to_port, &payload);
        }
        for side in &mut self.sides {
            side.streams.handle_timeout(self.now, &mut self.rng);
        }
        self.drain();
        true
    }

    /// Runs until `done` or for `limit` of virtual time; says whether it was done.
    pub fn run(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.mono + limit;
        let mut stuck = (self.now.mono, 0);
        while !done(self) {
            match self.next() {
                Some(at) if at <= end => assert!(self.step()),
                Some(_) => {
                    self.now = self.now.after(end.since(self.now.mono));
                    return done(self);
                }
                None => return done(self),
            }
            stuck = if stuck.0 == self.now.mono {
                (stuck.0, stuck.1 + 1)
            } else {
                (self.now.mono, 0)
            };
            assert!(stuck.1 < 10_000, "time stands still");
        }
        true
    }

    /// The only stream of a side, running or not.
    pub fn app(&self, side: usize) -> &App {
        self.sides[side].apps.values().next_back().unwrap()
    }

    pub fn ended(&self, side: usize) -> Option<&StreamEvent> {
        let app = self.sides[side].apps.values().next_back()?;
        app.events
            .last()
            .filter(|e| matches!(e, StreamEvent::Closed { .. } | StreamEvent::Reset { .. }))
    }
}

pub fn text(n: usize, seed: u64) -> Vec<u8> {
    Rng::from_number(seed).bytes(n)
}
