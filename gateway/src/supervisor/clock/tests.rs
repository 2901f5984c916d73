use super::*;
use crate::clock::floor;

struct Place {
    dir: PathBuf,
    config: Config,
}

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("ramson-clock-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut config = Config::default();
        config.paths.state_dir = dir.join("state");
        config.paths.admin_sock = dir.join("run/admin.sock");
        Self { dir, config }
    }

    /// A clock whose machine says this many seconds more than the floor, at its start.
    fn clock(&self, ahead: i64) -> Clock {
        let file = self.dir.join("clock");
        let now = Hand::Machine.now();
        std::fs::write(&file, ((floor() + ahead) * NANOS - now).to_string()).unwrap();
        self.same()
    }

    fn same(&self) -> Clock {
        let hand = Hand::File(self.dir.join("clock"));
        Clock::new(&self.config, "clock".into(), Some((1, 1)), hand).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Seconds more than the floor.
fn ahead(clock: &Clock) -> i64 {
    (clock.hand.now() + NANOS / 2) / NANOS - floor()
}

/// Servers say this many seconds more than the floor.
fn report(ahead: f64, agree: u8) -> Report {
    let stopwatch = i64::try_from(crate::clock::serve::stopwatch().as_nanos()).unwrap();
    let base = floor() * NANOS + (ahead * 1e9) as i64 - stopwatch;
    Report::Time {
        base,
        agree,
        asked: 3,
    }
}

#[tokio::test]
async fn a_machine_without_a_clock_begins_at_what_is_certain_and_waits() {
    let place = Place::new("floor");
    let mut clock = place.clock(-800_000_000);
    assert!(!clock.is_known() && ahead(&clock) == 0);
    assert!(clock.status().contains("not set, the router waits"));
    // Another supervisor does not take that for the machine's own.
    let again = place.same();
    assert!(!again.is_known());
    // Servers set it forth; it is kept, and no start goes behind that.
    let changed = clock.hear(report(90_000.0, 2));
    assert!(changed.router && clock.is_known() && ahead(&clock) == 90_000);
    assert!(place.same().is_known());
    drop(clock);
    let after = place.clock(-800_000_000);
    assert_eq!(ahead(&after), 90_000);
    assert!(!after.is_known());
}

#[tokio::test]
async fn jumps_in_both_directions_and_what_is_absurd() {
    let place = Place::new("jumps");
    let mut clock = place.clock(500_000);
    assert!(clock.is_known());
    assert!(clock.hear(report(400_000.0, 2)).router);
    assert_eq!(ahead(&clock), 400_000);
    // One server, sixteen hours off; all servers, before this was built; and by hand.
    for odd in [report(457_600.0, 1), report(-5.0, 3)] {
        assert_eq!(clock.hear(odd), Changed::default());
        assert_eq!(ahead(&clock), 400_000);
    }
    assert!(clock.said.contains("no time in which this can run"));
    assert!(clock.set_by_hand(floor() - 1).1.starts_with("error: "));
    assert_eq!(clock.set_by_hand(floor() + 7).1, clock.status());
    assert_eq!(ahead(&clock), 7);
    // A few seconds are set, and nobody else has to know.
    assert_eq!(clock.hear(report(9.0, 1)), Changed::default());
    assert_eq!(ahead(&clock), 9);
    for silent in [Report::Silent, Report::Disagree, Report::Refused] {
        assert_eq!(clock.hear(silent), Changed::default());
    }
    assert!(clock.is_known() && ahead(&clock) == 9);
}

#[tokio::test]
async fn what_is_nearly_right_is_brought_nearer_slowly() {
    let place = Place::new("slew");
    let mut clock = place.clock(1000);
    let drift = || {
        let text = std::fs::read_to_string(place.dir.join("clock")).unwrap();
        text.split_whitespace().nth(1).unwrap_or("0").to_owned()
    };
    let now = clock.hand.now();
    let off = (now - floor() * NANOS) as f64 / 1e9;
    clock.hear(report(off - 0.25, 3));
    assert_eq!(drift(), "-500");
    let pause = clock.tend();
    assert!((490.0..510.0).contains(&pause.as_secs_f64()), "{pause:?}");
    clock.slow_until = Some(Instant::now());
    clock.tend();
    assert_eq!(drift(), "0");
    // A step ends it, too.
    clock.hear(report(off + 0.25, 3));
    assert_eq!(drift(), "500");
    clock.hear(report(off + 2.0, 3));
    assert_eq!(drift(), "0");
}

#[tokio::test]
async fn a_damaged_time_is_none_and_a_clock_of_others_is_left_alone() {
    let place = Place::new("others");
    std::fs::create_dir_all(place.dir.join("state")).unwrap();
    std::fs::write(place.dir.join("state/time"), b"short").unwrap();
    assert_eq!(ahead(&place.clock(-5)), 0);
    let hand = Hand::File(place.dir.join("clock"));
    let mut clock = Clock::new(&place.config, "clock".into(), None, hand).unwrap();
    assert!(clock.is_known() && clock.set_by_hand(floor()).1.starts_with("error: "));
    clock.stop();
    assert_eq!(clock.status(), "clock: kept by something else\n");
}
