use super::*;

fn at(ms: u64) -> Instant {
    Instant(1_000_000 + ms * 1000)
}

/// The far side is choked when everything has been acknowledged, and the end of that is lost.
#[test]
fn a_choked_sender_asks_now_and_then() {
    let mut side = SendSide::new(100_000, Window::new(12, 64), Rtt::default());
    side.write(&[7; 50_000]);
    side.fresh(at(0), Kind::Syn, 1000);
    side.on_ack(at(50), 0, &[]);
    side.set_choked(at(50), true);
    assert!(side.next(at(50), 1000).is_none());
    let mut waits = Vec::new();
    let mut now = at(50);
    for seq in 1..8 {
        let due = side.deadline(true).unwrap();
        waits.push(due.since(now).as_secs());
        now = due;
        assert_eq!(side.on_timer(now, 10), Fired::Nothing);
        assert!(side.wants_probe());
        assert_eq!(side.fresh(now, Kind::Data, 1000).seq, seq);
        side.on_ack(now, seq, &[]);
        side.set_choked(now, true);
    }
    assert_eq!(waits, [1, 2, 4, 8, 10, 10, 10]);
    side.set_choked(now, false);
    assert!(side.next(now, 1000).is_some());
}
