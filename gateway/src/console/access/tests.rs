use super::*;
use crate::console::clock;

const CODE: [u8; 8] = *b"12345678";
const GOOD: (&str, &str) = ("correct horse", "correct horse");

fn at(now: Instant, secs: u64) -> Instant {
    now + Duration::from_secs(secs)
}

fn fresh(now: Instant, code: Option<[u8; 8]>) -> Access {
    let window = Window {
        until: at(now, 900),
        code,
        replaces: false,
    };
    Access::new(None, window, now)
}

#[test]
fn the_first_password_needs_the_code_and_the_first_minutes() {
    let now = clock();
    let mut access = fresh(now, Some(CODE));
    assert_eq!(access.set_first("1234 5679", GOOD, now), Err(Denied::Wrong));
    assert_eq!(access.set_first("", GOOD, now), Err(Denied::Wrong));
    let short = access.set_first("12345678", ("short", "short"), now);
    assert_eq!(short, Err(Denied::Length));
    let other = access.set_first("12345678", ("correct horse", "Correct horse"), now);
    assert_eq!(other, Err(Denied::Differ));
    assert_eq!(
        access.set_first("12345678", GOOD, at(now, 900)),
        Err(Denied::Closed)
    );
    let hash = access.set_first("1234-5678", GOOD, now).unwrap();
    assert!(hash.starts_with("$argon2id$") && !hash.contains("horse"));
    // Used up: whoever still knows the code gets nothing for it.
    assert_eq!(access.set_first("12345678", GOOD, now), Err(Denied::Closed));
}

#[test]
fn a_code_cannot_be_tried_out() {
    let now = clock();
    let mut access = fresh(now, Some(CODE));
    for n in 0..CODE_TRIES {
        let tried = access.set_first(&format!("{n:08}"), GOOD, now);
        assert_eq!(tried, Err(Denied::Wrong));
    }
    assert_eq!(access.set_first("12345678", GOOD, now), Err(Denied::Closed));
}

#[test]
fn without_a_screen_the_first_visitor_sets_it_and_only_while_there_is_none() {
    let now = clock();
    let mut access = fresh(now, None);
    let hash = access.set_first("", GOOD, now).unwrap();
    let window = fresh(now, None).window;
    let mut again = Access::new(Some(hash.clone()), window.clone(), now);
    assert_eq!(again.set_first("", GOOD, now), Err(Denied::Closed));
    // One that is lost is replaced when root says so.
    let replaces = Window {
        code: Some(CODE),
        replaces: true,
        ..window
    };
    let mut lost = Access::new(Some(hash), replaces, now);
    let new = ("another one", "another one");
    assert!(lost.set_first("12345678", new, now).is_ok());
    assert_eq!(lost.log_in(GOOD.0, "d", [1; 32], now), Err(Denied::Wrong));
    assert!(lost.log_in(new.0, "d", [1; 32], now).is_ok());
}

#[test]
fn tries_are_limited_by_device_and_in_all() {
    let now = clock();
    let mut access = fresh(now, None);
    access.set_first("", GOOD, now).unwrap();
    let mut log_in = |password: &str, device: &str, now| {
        let done = access.log_in(password, device, [7; 32], now);
        done.map(|_| ())
    };
    for _ in 0..5 {
        assert_eq!(log_in("wrong", "thief", now), Err(Denied::Wrong));
    }
    assert_eq!(log_in(GOOD.0, "thief", now), Err(Denied::TooOften));
    // Others are not kept out by it; after some minutes he may try again.
    assert_eq!(log_in(GOOD.0, "owner", now), Ok(()));
    assert_eq!(log_in(GOOD.0, "thief", at(now, 301)), Ok(()));
    let later = at(now, 1000);
    let refused = (0..100)
        .filter(|n| log_in("wrong", &format!("made up {n}"), later) == Err(Denied::TooOften))
        .count();
    assert_eq!(refused, 80);
    assert_eq!(log_in(GOOD.0, "owner", at(later, 2)), Ok(()));
}

#[test]
fn sessions_end_by_time_by_word_and_with_the_password() {
    let now = clock();
    let mut access = fresh(now, None);
    access.set_first("", GOOD, now).unwrap();
    let id = access.log_in(GOOD.0, "d", [3; 32], now).unwrap();
    assert_eq!(access.token(&id, at(now, 1799)), Some([3; 16]));
    assert_eq!(access.token(&[4; 16], now), None);
    assert_eq!(access.token(&id, at(now, 1799 + 1800)), None);
    let id = access.begin([5; 32], now);
    for minute in 1..720 {
        assert!(access.token(&id, at(now, 60 * minute)).is_some());
    }
    assert_eq!(access.token(&id, at(now, 60 * 720)), None);
    let id = access.begin([6; 32], now);
    access.log_out(&id);
    assert_eq!(access.token(&id, now), None);
    let id = access.begin([6; 32], now);
    let new = ("another one", "another one");
    assert_eq!(access.change("x", new, "d", now), Err(Denied::Wrong));
    assert!(access.change(GOOD.0, new, "d", now).is_ok());
    assert_eq!(access.token(&id, now), None);
}

#[test]
fn sessions_are_bounded_and_the_idle_go_first() {
    let now = clock();
    let mut access = fresh(now, None);
    let ids: Vec<_> = (0..20u8)
        .map(|n| {
            let mut random = [n; 32];
            random[31] = 0;
            access.begin(random, at(now, u64::from(n)))
        })
        .collect();
    let alive = ids
        .iter()
        .filter(|id| access.token(id, at(now, 30)).is_some())
        .count();
    assert_eq!(alive, SESSIONS_MAX);
    assert!(access.token(&ids[0], at(now, 30)).is_none());
    assert!(access.token(&ids[19], at(now, 30)).is_some());
}
