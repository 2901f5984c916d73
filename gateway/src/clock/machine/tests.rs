use super::*;
use crate::clock::wire::tests::answer;
use std::collections::BTreeMap;

fn address(n: u8) -> IpAddr {
    [192, 0, 2, n].into()
}

/// A machine that has begun a round, and the number of each question.
fn asking(count: u8) -> (Machine, BTreeMap<IpAddr, u64>) {
    let mut machine = Machine::default();
    let servers: Vec<_> = (1..=count).map(address).collect();
    machine.set_servers(&servers, Duration::ZERO);
    let asked = ask(&mut machine, Duration::ZERO);
    (machine, asked)
}

fn ask(machine: &mut Machine, now: Duration) -> BTreeMap<IpAddr, u64> {
    let mut next = 40;
    let (packets, report) = machine.handle_timeout(now, &mut || {
        next += 1;
        next
    });
    assert_eq!(report, None);
    let number = |p: [u8; LEN]| u64::from_be_bytes(p[40..].try_into().unwrap());
    packets.into_iter().map(|(to, p)| (to, number(p))).collect()
}

fn ended(machine: &mut Machine) -> Report {
    let due = machine.deadline().unwrap();
    let (packets, report) = machine.handle_timeout(due, &mut || 0);
    assert!(packets.is_empty());
    report.unwrap()
}

const SOON: Duration = Duration::from_millis(20);

/// Seconds since 1970 that a good server says.
fn now() -> i64 {
    floor() + 1000
}

fn base(report: Report) -> i64 {
    match report {
        Report::Time { base, .. } => (base + NANOS / 2) / NANOS,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_that_lies_does_not_count_where_three_are_asked() {
    for lie in [-57_600, 57_600, 2] {
        for liar in 1..=3 {
            let (mut machine, asked) = asking(3);
            for n in 1..=3 {
                let secs = if n == liar { now() + lie } else { now() };
                machine.handle_packet(address(n), &answer(asked[&address(n)], secs), SOON);
            }
            // All have answered: no more is waited for.
            assert_eq!(machine.deadline(), Some(SOON));
            let report = ended(&mut machine);
            assert!(
                matches!(
                    report,
                    Report::Time {
                        agree: 2,
                        asked: 3,
                        ..
                    }
                ),
                "{report:?}"
            );
            assert_eq!(base(report), now());
        }
    }
}

#[test]
fn two_that_differ_tell_nothing() {
    let (mut machine, asked) = asking(2);
    machine.handle_packet(address(1), &answer(asked[&address(1)], now()), SOON);
    machine.handle_packet(address(2), &answer(asked[&address(2)], now() + 5), SOON);
    assert_eq!(ended(&mut machine), Report::Disagree);
}

#[test]
fn silence_is_asked_again_ever_more_rarely() {
    let (mut machine, _) = asking(2);
    let mut last = Duration::ZERO;
    for _ in 0..14 {
        let at = machine.deadline().unwrap();
        assert_eq!(ended(&mut machine), Report::Silent);
        let pause = machine.deadline().unwrap() - at;
        assert!(pause > last || pause == CALM, "{pause:?} after {last:?}");
        last = pause;
        let next = machine.deadline().unwrap();
        assert_eq!(ask(&mut machine, next).len(), 2);
    }
    assert_eq!(last, CALM);
}

#[test]
fn good_rounds_are_rare() {
    let (mut machine, mut asked) = asking(1);
    for pause in [NEXT, CALM, CALM] {
        let at = machine.deadline().unwrap();
        machine.handle_packet(
            address(1),
            &answer(asked[&address(1)], now()),
            at - WAIT + SOON,
        );
        let at = machine.deadline().unwrap();
        assert!(matches!(ended(&mut machine), Report::Time { agree: 1, .. }));
        assert_eq!(machine.deadline(), Some(at + pause));
        asked = ask(&mut machine, at + pause);
    }
    // Another list is asked at once, the same one is not.
    let due = machine.deadline();
    machine.set_servers(&[address(1)], SOON);
    assert_eq!(machine.deadline(), due);
    machine.set_servers(&[address(2)], SOON);
    assert_eq!(machine.deadline(), Some(SOON));
    machine.set_servers(&[], SOON);
    assert_eq!(machine.deadline(), None);
}

#[test]
fn who_sends_kisses_is_left_alone() {
    let (mut machine, asked) = asking(2);
    let kiss = |n, code: &[u8; 4]| {
        let mut bytes = answer(asked[&address(n)], now());
        bytes[1] = 0;
        bytes[12..16].copy_from_slice(code);
        bytes
    };
    machine.handle_packet(address(1), &kiss(1, b"RATE"), SOON);
    machine.handle_packet(address(2), &kiss(2, b"DENY"), SOON);
    assert_eq!(ended(&mut machine), Report::Refused);
    let next = machine.deadline().unwrap();
    assert!(ask(&mut machine, next).is_empty());
    assert_eq!(ended(&mut machine), Report::Refused);
    // After hours the first one is asked again, the second one is not.
    let later = SOON + SLOWER;
    machine.due = Some(later);
    assert_eq!(
        ask(&mut machine, later).into_keys().collect::<Vec<_>>(),
        [address(1)]
    );
}

#[test]
fn forged_late_and_absurd_answers_are_none() {
    let (mut machine, asked) = asking(2);
    let number = asked[&address(1)];
    let good = answer(number, now());
    // Of another sender, with another number, of times that cannot be.
    machine.handle_packet(address(9), &good, SOON);
    machine.handle_packet(address(2), &good, SOON);
    machine.handle_packet(address(1), &answer(number + 77, now()), SOON);
    machine.handle_packet(address(1), &answer(number, ceiling() + 9), SOON);
    // An absurd one with the right number was the answer.
    machine.handle_packet(address(1), &good, SOON);
    assert_eq!(machine.deadline(), Some(WAIT));
    assert_eq!(ended(&mut machine), Report::Silent);
    // Nothing counts between rounds, nor twice, nor after too long a way.
    machine.handle_packet(address(1), &good, SOON);
    let next = machine.deadline().unwrap();
    let asked = ask(&mut machine, next);
    let late = next + Duration::from_millis(2600);
    machine.handle_packet(address(1), &answer(asked[&address(1)], now()), late);
    machine.handle_packet(address(2), &answer(asked[&address(2)], now()), next + SOON);
    machine.handle_packet(
        address(2),
        &answer(asked[&address(2)], now() + 9),
        next + SOON,
    );
    let report = ended(&mut machine);
    assert!(matches!(
        report,
        Report::Time {
            agree: 1,
            asked: 2,
            ..
        }
    ));
    assert_eq!(base(report), now() - i64::try_from(next.as_secs()).unwrap());
}

#[test]
fn a_way_there_and_back_is_taken_in_half() {
    let (mut machine, asked) = asking(1);
    let at = Duration::from_millis(800);
    machine.handle_packet(address(1), &answer(asked[&address(1)], now()), at);
    let Report::Time { base, .. } = ended(&mut machine) else {
        panic!();
    };
    assert_eq!(base, now() * NANOS - 400_000_000);
}
