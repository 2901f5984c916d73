//! What is done with a time that somebody says: nothing in here reads a clock or sets one.

use super::{NANOS, ceiling, floor};

/// What is off by less is brought back slowly, more in one step.
pub const SLOWLY: i64 = NANOS / 2;

/// What is off by less is right.
const RIGHT: i64 = 20 * NANOS / 1000;

/// How far a single server moves a clock that somebody has set already.
pub const ALONE: i64 = 600 * NANOS;

/// Where the time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: the machine's own was earlier than what is certain.
    Nobody,
    /// The machine's own clock.
    Machine,
    /// Time servers, and how many of how many agreed.
    Servers(u8, u8),
    /// A visitor of the page, or `ramson ctl`.
    Visitor,
}

impl Source {
    /// Whether it is good enough for the router.
    #[must_use]
    pub fn is_known(self) -> bool {
        self != Self::Nobody
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nobody => f.write_str("not set"),
            Self::Machine => f.write_str("from this machine's own clock"),
            Self::Servers(agree, asked) => write!(f, "from time servers, {agree} of {asked} agree"),
            Self::Visitor => f.write_str("set by hand"),
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is right.
    Keep,
    /// Bring it nearer slowly, by nanoseconds.
    Slew(i64),
    /// Set it, by nanoseconds.
    Step(i64),
    /// Leave it; why.
    Refuse(&'static str),
}

/// At the start: what the machine's clock says, and what was kept, seconds since 1970. The clock to
/// begin with where the machine's is none, and where it comes from.
#[must_use]
pub fn begin(machine: i64, kept: Option<i64>) -> (Option<i64>, Source) {
    let possible = floor()..ceiling();
    let kept = kept
        .filter(|kept| possible.contains(kept))
        .unwrap_or(floor());
    if (kept..ceiling()).contains(&machine) {
        (None, Source::Machine)
    } else {
        (Some(kept), Source::Nobody)
    }
}

/// Of the time that is, nanoseconds since 1970, and the one that `by` says it is.
#[must_use]
pub fn judge(now: i64, said: i64, before: Source, by: Source) -> Verdict {
    if !(floor()..ceiling()).contains(&said.div_euclid(NANOS)) {
        return Verdict::Refuse("that is no time in which this can run");
    }
    let off = said - now;
    if by == Source::Visitor {
        return Verdict::Step(off);
    }
    let alone = matches!(by, Source::Servers(1, _));
    if alone && before.is_known() && off.abs() > ALONE {
        return Verdict::Refuse(
            "a single server says that this clock is off by more than ten minutes, and it may lie",
        );
    }
    match off.abs() {
        0..RIGHT => Verdict::Keep,
        RIGHT..SLOWLY if before.is_known() => Verdict::Slew(off),
        _ => Verdict::Step(off),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_clock_is_taken_where_it_can_be_true() {
        let floor = floor();
        assert_eq!(begin(floor + 5, None), (None, Source::Machine));
        assert_eq!(begin(floor - 1, None), (Some(floor), Source::Nobody));
        assert_eq!(
            begin(0, Some(floor + 99)),
            (Some(floor + 99), Source::Nobody)
        );
        assert_eq!(begin(floor + 98, Some(floor + 99)).1, Source::Nobody);
        assert_eq!(
            begin(floor + 100, Some(floor + 99)),
            (None, Source::Machine)
        );
        assert_eq!(begin(ceiling(), None), (Some(floor), Source::Nobody));
        // What was kept cannot be true itself.
        assert_eq!(begin(0, Some(ceiling())), (Some(floor), Source::Nobody));
        assert_eq!(begin(0, Some(-9)), (Some(floor), Source::Nobody));
    }

    #[test]
    fn small_errors_are_slewed_large_ones_stepped_and_absurd_ones_refused() {
        let now = (floor() + 1_000_000) * NANOS;
        let three = Source::Servers(3, 3);
        let of = |by, off| judge(now, now + off, Source::Machine, by);
        assert_eq!(of(three, NANOS / 100), Verdict::Keep);
        for off in [NANOS / 4, -NANOS / 4] {
            assert_eq!(of(three, off), Verdict::Slew(off));
        }
        for off in [NANOS, -NANOS, 57_600 * NANOS, -57_600 * NANOS] {
            assert_eq!(of(three, off), Verdict::Step(off));
        }
        let refused = |verdict| matches!(verdict, Verdict::Refuse(_));
        // Sixteen hours by one server, in both directions.
        for off in [57_600 * NANOS, -57_600 * NANOS] {
            assert!(refused(of(Source::Servers(1, 1), off)));
        }
        assert_eq!(
            of(Source::Servers(1, 4), 9 * NANOS),
            Verdict::Step(9 * NANOS)
        );
        // Where nothing is known one has to do, and what is near is not certain to be right.
        let off = 57_600 * NANOS;
        let first = |off| judge(now, now + off, Source::Nobody, Source::Servers(1, 1));
        assert_eq!(first(off), Verdict::Step(off));
        assert_eq!(first(NANOS / 4), Verdict::Step(NANOS / 4));
        for said in [floor() * NANOS - 1, ceiling() * NANOS, i64::MIN, i64::MAX] {
            for by in [three, Source::Visitor] {
                assert!(refused(judge(now, said, Source::Nobody, by)));
            }
        }
        assert_eq!(of(Source::Visitor, -off), Verdict::Step(-off));
    }
}
