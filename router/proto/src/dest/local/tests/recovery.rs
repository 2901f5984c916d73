//! Sessions that come into doubt, and how fast everything works again. The server keeps its session
//! as i2pd and Java do: a New Session begins no other one for two minutes.

use super::*;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn stubborn() -> Pair {
    let mut pair = Pair::new(server_keys());
    pair.sides[1].dest.ratchets.keeps = secs(120);
    pair.introduce();
    pair
}

/// The server's end of the client's latest stream.
fn incoming(pair: &Pair) -> StreamId {
    let mut ids = pair.sides[1].events.iter().filter_map(|e| match e {
        StreamEvent::Incoming { id, .. } => Some(*id),
        _ => None,
    });
    ids.next_back().unwrap()
}

/// Hands over as much as is taken.
fn write(pair: &mut Pair, n: usize, id: StreamId, bytes: usize) -> usize {
    let now = pair.now;
    pair.sides[n].dest.streams.write(now, id, &vec![7; bytes])
}

/// Runs until `done`; how long that took.
fn until(pair: &mut Pair, limit: u64, done: impl Fn(&Pair) -> bool) -> Duration {
    let start = pair.now.mono;
    while !done(pair) {
        let took = pair.now.mono.since(start);
        assert!(took < secs(limit), "nothing after {took:?}");
        pair.run(Duration::from_millis(20));
    }
    pair.now.mono.since(start)
}

fn has(pair: &Pair, request: &[u8]) -> bool {
    pair.received(1).ends_with(request)
}

#[test]
fn a_server_that_answers_under_the_old_session_is_believed() {
    let mut pair = stubborn();
    let up = pair.call(b"one");
    pair.run(secs(3));
    let down = incoming(&pair);
    write(&mut pair, 1, down, 300_000);
    pair.mute[0] = true;
    write(&mut pair, 0, up, 20_000);
    pair.run(secs(12));
    assert!(pair.sides[0].dest.counts.doubted > 0, "it was in doubt");
    pair.mute[0] = false;
    // The stream that stood still goes on, and another one is opened at once.
    until(&mut pair, 8, |p| p.received(1).len() >= 20_003);
    pair.call(b"two");
    until(&mut pair, 2, |p| has(p, b"two"));
    let stats = pair.sides[0].dest.streams.stats();
    assert!(stats.stalled > 0 && stats.recovered > 0, "{stats:?}");
}

#[test]
fn tags_that_ran_ahead_do_not_end_a_session() {
    // More is lost than the server expects tags for: nothing under the session arrives any more,
    // while the server can talk.
    let mut pair = stubborn();
    let up = pair.call(b"one");
    pair.run(secs(1));
    write(&mut pair, 0, up, 1_000_000);
    until(&mut pair, 5, |p| p.received(1).len() > 60_000);
    pair.mute[0] = true;
    pair.run(secs(4));
    let down = incoming(&pair);
    write(&mut pair, 1, down, 50_000);
    pair.mute[0] = false;
    let unopened = pair.sides[1].dest.counts.unopened;
    pair.run(secs(1));
    let lost = pair.sides[1].dest.counts.unopened - unopened;
    assert!(lost > 0, "the server knows the tags");
    pair.call(b"two");
    until(&mut pair, 10, |p| has(p, b"two"));
    // When the server takes up a new session everything is as fast as before.
    pair.run(secs(120));
    pair.call(b"three");
    until(&mut pair, 3, |p| has(p, b"three"));
    let sessions = pair.sides[0].dest.counts.new_sessions;
    pair.run(secs(20));
    assert_eq!(pair.sides[0].dest.counts.new_sessions, sessions);
}

#[test]
fn after_giving_up_the_next_request_works_at_once() {
    let mut pair = stubborn();
    pair.mute = [true; 2];
    pair.call(b"one");
    pair.run(secs(70));
    let ended = pair.sides[0].dest.streams.stats().ended;
    assert_eq!((ended.no_answer, ended.timeout), (1, 0));
    let told = &pair.sides[0].notes;
    assert!(told.contains(&"a stream ends: its first packet was not answered"));
    pair.mute = [false; 2];
    pair.call(b"two");
    until(&mut pair, 1, |p| has(p, b"two"));
}

#[test]
fn a_server_is_reached_at_once_when_it_comes_back() {
    let mut pair = stubborn();
    pair.call(b"one");
    pair.run(secs(3));
    pair.mute = [true; 2];
    pair.call(b"lost");
    pair.run(secs(70));
    // With its session or without one.
    for fresh in [false, true] {
        if fresh {
            pair.mute = [true; 2];
            pair.run(secs(5));
            pair.sides[1] = side(server_keys(), 1, pair.now);
            pair.sides[1].dest.streams.listen(0);
        }
        pair.mute = [false; 2];
        let request: &[u8] = if fresh { b"two" } else { b"three" };
        pair.call(request);
        until(&mut pair, 5, |p| has(p, request));
    }
}

#[test]
fn a_silent_server_is_looked_up_again() {
    let mut pair = stubborn();
    pair.call(b"one");
    pair.run(secs(3));
    assert_eq!(pair.sides[0].lookups, 0);
    pair.mute[1] = true;
    pair.call(b"two");
    pair.run(secs(6));
    assert_eq!(pair.sides[0].lookups, 1, "it may have moved");
}

#[test]
fn without_a_way_nobody_is_woken_in_vain() {
    let mut pair = stubborn();
    pair.stuck[0] = true;
    pair.call(b"one");
    for _ in 0..400 {
        pair.run(Duration::from_millis(5));
        let dest = &mut pair.sides[0].dest;
        dest.handle_timeout(pair.now, &mut pair.rng);
        dest.drive(pair.now, &mut pair.rng, &[]);
        assert!(dest.deadline().unwrap() > pair.now.mono);
    }
    // A tunnel is used as soon as it is there.
    pair.stuck[0] = false;
    pair.run(Duration::from_millis(60));
    assert_eq!(pair.received(1), b"one");
}

#[test]
fn a_lost_session_costs_few_new_ones() {
    let mut pair = stubborn();
    pair.call(b"one");
    pair.run(secs(3));
    pair.mute[0] = true;
    for n in 0..5 {
        pair.call(&[n; 9]);
        pair.run(secs(2));
    }
    pair.run(secs(50));
    let sessions = pair.sides[0].dest.counts.new_sessions;
    assert!((5..60).contains(&sessions), "{sessions} in a minute");
}

#[test]
fn a_reader_whose_acknowledgements_are_lost_takes_another_tunnel() {
    let mut pair = stubborn();
    pair.tunnels = 2;
    pair.call(b"one");
    pair.run(secs(3));
    let down = incoming(&pair);
    write(&mut pair, 1, down, 240_000);
    until(&mut pair, 5, |p| p.received(0).len() > 30_000);
    let server = pair.server();
    let path = pair.sides[0].dest.remotes[&server].paths.current().unwrap();
    pair.dead = Some(path.outbound);
    let took = until(&mut pair, 30, |p| p.received(0).len() == 240_000);
    let counts = pair.sides[0].dest.counts;
    assert!(took < secs(5), "{took:?}");
    assert_eq!((counts.doubted, counts.paths_failed), (0, 0));
}
