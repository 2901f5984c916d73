//! Two destinations over a path that loses, reorders and doubles, under virtual time.

use super::*;

/// Messages under way: (arrival, order, content).
#[derive(Default)]
struct Path {
    under_way: BTreeMap<(Instant, u64), Vec<u8>>,
    order: u64,
    dead_until: Instant,
}

impl Path {
    fn send(&mut self, now: Instant, rng: &mut Rng, content: &[u8]) {
        if rng.below(10_000) == 0 {
            self.dead_until = now + Duration::from_secs(1);
        }
        let copies = match rng.below(100) {
            0..5 => 0,
            5..8 => 2,
            _ => 1,
        };
        if now < self.dead_until {
            return;
        }
        for _ in 0..copies {
            let delay = Duration::from_millis(200) + rng.jitter(Duration::from_millis(60));
            self.order += 1;
            self.under_way
                .insert((now + delay, self.order), content.to_vec());
        }
    }

    fn arrived(&mut self, now: Instant) -> Option<Vec<u8>> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

#[derive(Default)]
struct Count {
    sealed: u32,
    handshakes: u32,
    opened: u32,
    refused: u32,
    acked: u32,
    sets: u16,
}

/// Lets one side do what its caller would in a step of 5 ms.
fn step(
    side: &mut Ratchets,
    to: PeerKey,
    now: Now,
    rng: &mut Rng,
    path: (&mut Path, &mut Path),
) -> Count {
    let (into, out) = path;
    let mut c = Count::default();
    while let Some(content) = into.arrived(now.mono) {
        match side.open(now, rng, &content) {
            Ok(opened) => {
                c.opened += ids(&opened).len() as u32;
                c.acked += opened.acked.len() as u32;
            }
            Err(_) => c.refused += 1,
        }
    }
    side.handle_timeout(now);
    let mut messages: u32 = match side.state(now, &to) {
        SessionState::Established => 2,
        SessionState::Owes => u32::from(rng.below(100) == 0),
        SessionState::None => 1,
        SessionState::Pending { since, sent } => {
            u32::from(now.mono.since(since) > Duration::from_secs(2) * sent)
        }
    };
    messages += u32::from(side.wants_reply().is_some());
    for _ in 0..messages {
        let ack = rng.below(50) == 0;
        let sealed = side.seal(now, rng, &to, &[clove(1, 20)], ack).unwrap();
        c.handshakes += u32::from(sealed.kind != SentKind::Existing);
        c.sealed += 1;
        out.send(now.mono, rng, &sealed.content);
    }
    if let Some(s) = side.peers.get(&to).and_then(|p| p.sessions.last()) {
        c.sets = s.outbound().id();
    }
    c
}

fn soak(seed: u64, steps: u32) -> (Count, Count, Two) {
    let mut t = Two::new(seed);
    let (mut ab, mut ba) = (Path::default(), Path::default());
    let (mut a, mut b) = (Count::default(), Count::default());
    let add = |sum: &mut Count, c: Count| {
        sum.sealed += c.sealed;
        sum.handshakes += c.handshakes;
        sum.opened += c.opened;
        sum.refused += c.refused;
        sum.acked += c.acked;
        sum.sets = sum.sets.max(c.sets);
    };
    for _ in 0..steps {
        t.now = t.now.after(Duration::from_millis(5));
        let (ka, kb, now) = (t.ka, t.kb, t.now);
        add(
            &mut a,
            step(&mut t.a, kb, now, &mut t.rng, (&mut ba, &mut ab)),
        );
        add(
            &mut b,
            step(&mut t.b, ka, now, &mut t.rng, (&mut ab, &mut ba)),
        );
    }
    (a, b, t)
}

/// 24,000 messages each way over at least five tag sets; all but the lost ones are opened.
#[test]
fn many_messages_over_a_bad_path() {
    let (a, b, t) = soak(1, 12_000);
    for (from, to) in [(&a, &b), (&b, &a)] {
        assert!(from.sealed > 22_000, "{} sealed", from.sealed);
        assert!(from.sets >= 5, "{} sets", from.sets);
        assert!(from.handshakes < 40, "{} handshakes", from.handshakes);
        let least = from.sealed * 90 / 100;
        assert!(to.opened > least, "{} of {}", to.opened, from.sealed);
        assert!(to.refused < from.sealed / 10, "{} refused", to.refused);
        assert!(from.acked > 300, "{} acknowledged", from.acked);
    }
    for side in [&t.a, &t.b] {
        let s = side.stats();
        assert!(s.sessions <= 2 && s.sets <= 6, "{s:?}");
        assert!(s.tags < 6 * 2048, "{s:?}");
    }
}

/// The same seed does the same.
#[test]
fn soaks_repeat() {
    let (a, b, t) = soak(7, 1000);
    let (c, d, u) = soak(7, 1000);
    assert_eq!((a.opened, b.opened), (c.opened, d.opened));
    assert_eq!(t.a.stats(), u.a.stats());
    assert_eq!(t.b.stats(), u.b.stats());
}

/// A session survives as many losses in a row as the window has tags, and the window grows with
/// the gaps seen.
#[test]
fn gaps_widen_the_window() {
    let mut t = Two::new(3);
    t.meet();
    for gap in [20, 39, 77, 150, 299, 590, 1000, 1000] {
        for i in 0..gap {
            t.a_seals(i, false);
        }
        t.a_to_b(SentKind::Existing);
    }
    assert!(t.b.stats().tags <= 2 * 1024 + 100);
}

/// Skipped messages open when they come late, once.
#[test]
fn late_messages_open_once() {
    let mut t = Two::new(4);
    t.meet();
    let mut sealed: Vec<Sealed> = (0..24).map(|i| t.a_seals(i, false)).collect();
    sealed.reverse();
    for m in &sealed {
        t.b_opens(m).unwrap();
    }
    for m in &sealed {
        assert_eq!(t.b_opens(m).unwrap_err(), OpenError::Unknown);
    }
    assert_eq!(t.b.stats().skipped_keys, 0);
}

/// Messages of the set before still open after the next key, for three minutes.
#[test]
fn old_sets_live_three_minutes() {
    let mut t = Two::new(5);
    t.meet();
    for i in 0..4094 {
        t.a_seals(i, false);
        if i % 20 == 0 {
            t.a_to_b(SentKind::Existing);
        }
    }
    let (late, later) = (t.a_seals(1, false), t.a_seals(2, false));
    t.a_to_b(SentKind::Existing);
    t.b_to_a(SentKind::Existing);
    t.a_to_b(SentKind::Existing);
    assert_eq!(t.a.peers[&t.kb].sessions[0].outbound().id(), 1);
    t.pass(170);
    t.b_opens(&late).unwrap();
    t.pass(20);
    assert!(t.b_opens(&later).is_err());
    t.a_to_b(SentKind::Existing);
}
