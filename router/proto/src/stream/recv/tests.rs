use super::*;

const SIZE: usize = 1100;
/// Twenty packets may be unread.
const LIMIT: usize = 20 * SIZE * UNREAD;

fn at(ms: u64) -> Instant {
    Instant(1_000_000 + ms * 1000)
}

/// A side that got packets `0..n` and gave them to a reader that has consumed none.
fn unread(n: u32) -> RecvSide {
    let mut side = RecvSide::new(LIMIT);
    for seq in 0..n {
        give(&mut side, seq, false);
    }
    side
}

fn give(side: &mut RecvSide, seq: u32, close: bool) -> Verdict {
    let delay = Duration::from_millis(50);
    let verdict = side.accept(at(0), seq, vec![0; SIZE], close, delay);
    while side.take_ready(65_536).is_some() {}
    verdict
}

#[test]
fn what_nobody_reads_is_acknowledged_as_it_is_read() {
    let mut side = unread(50);
    assert_eq!(side.acknowledge(at(1)), (19, vec![]));
    side.consume(at(2), 10 * SIZE + 1);
    assert_eq!(side.deadline(), Some(at(2) + READING));
    assert_eq!(side.acknowledge(at(22)), (29, vec![]));
    side.consume(at(30), 20 * SIZE);
    assert_eq!(
        side.deadline(),
        Some(at(30)),
        "everything may be acknowledged"
    );
    assert_eq!(side.acknowledge(at(30)), (49, vec![]));
    assert_eq!(side.deadline(), None);
}

#[test]
fn a_paused_reader_lets_a_packet_go_now_and_then() {
    let mut side = unread(50);
    assert_eq!(side.acknowledge(at(1)).0, 19);
    for n in 1..4 {
        let due = side.deadline().unwrap();
        assert_eq!(due, at(0) + Duration::from_secs(20) * n);
        assert_eq!(side.acknowledge(due).0, 19 + n);
    }
}

#[test]
fn repeated_packets_are_answered_seldom_while_nobody_reads() {
    let mut side = unread(50);
    side.acknowledge(at(1));
    assert_eq!(give(&mut side, 30, false), Verdict::Duplicate);
    assert_eq!(side.deadline(), Some(at(0) + REPEATED));
    let mut side = unread(5);
    side.acknowledge(at(1));
    assert_eq!(give(&mut side, 3, false), Verdict::Duplicate);
    assert_eq!(side.deadline(), Some(at(5)));
}

#[test]
fn missing_packets_are_named_when_the_reader_is_quick_enough() {
    let mut side = unread(50);
    assert_eq!(give(&mut side, 55, false), Verdict::New);
    assert_eq!(side.acknowledge(at(1)), (19, vec![]));
    side.consume(at(2), 50 * SIZE);
    assert_eq!(side.acknowledge(at(2)), (55, (50..55).collect()));
}

#[test]
fn the_end_is_acknowledged_at_once() {
    let mut side = unread(50);
    give(&mut side, 50, true);
    assert_eq!(side.deadline(), Some(at(0)));
    assert_eq!(side.acknowledge(at(0)), (50, vec![]));
}

#[test]
fn what_has_no_room_is_dropped() {
    let mut side = unread(99);
    assert_eq!(give(&mut side, 99, false), Verdict::New);
    assert_eq!(give(&mut side, 100, false), Verdict::Dropped);
    assert_eq!(give(&mut side, 101, false), Verdict::Dropped);
    side.consume(at(1), SIZE);
    assert_eq!(give(&mut side, 100, false), Verdict::New);
    assert_eq!(side.acknowledge(at(1)), (20, vec![]));
}

#[test]
fn small_packets_take_little_memory() {
    let mut side = unread(30);
    for seq in 30..50_030 {
        let payload = vec![0; (seq % 2) as usize];
        side.accept(at(0), seq, payload, false, Duration::ZERO);
        while side.take_ready(65_536).is_some() {}
    }
    assert!(side.withhold.len() < 80, "{}", side.withhold.len());
    side.consume(at(0), 30 * SIZE);
    let (through, _) = side.acknowledge(at(0));
    assert!((30_000..50_030).contains(&through), "{through}");
    side.consume(at(0), 25_000);
    assert_eq!(side.acknowledge(at(0)).0, 50_029);
}
