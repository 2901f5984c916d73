use super::*;

fn all() -> impl Iterator<Item = State> {
    let healths = Health::ALL;
    let pairs = healths
        .into_iter()
        .flat_map(move |a| healths.map(|b| (a, b)));
    pairs.flat_map(|(a, b)| {
        let slots = [Slot::A, Slot::B].into_iter();
        slots.flat_map(move |wanted| {
            (0..=TRIES).map(move |tries| State {
                number: 77,
                wanted,
                a,
                b,
                tries,
            })
        })
    })
}

#[test]
fn every_state_is_read_as_written_and_lies_in_one_sector() {
    for state in all().chain([State::FACTORY]) {
        let copy = state.encode();
        assert_eq!(State::decode(&copy), Some(state));
        assert!(copy[512..].iter().all(|b| *b == b'#'));
        // GRUB's order is another one.
        let text = String::from_utf8(copy.to_vec()).unwrap();
        let (head, rest) = text.split_at(HEAD.len());
        let mut lines: Vec<&str> = rest.lines().collect();
        let filler = lines.pop().unwrap();
        lines.reverse();
        let text = format!("{head}{}\n{filler}", lines.join("\n"));
        assert_eq!(
            State::decode(&text.as_bytes().try_into().unwrap()),
            Some(state)
        );
    }
}

#[test]
fn what_is_torn_zeroed_or_changed_does_not_count() {
    let (old, new) = (State::FACTORY, State::FACTORY.spoiled(Slot::B));
    let (old_copy, new_copy) = (old.encode(), new.encode());
    assert_eq!(State::newest([&old_copy, &new_copy]), Some((new, 1)));
    assert_eq!(State::newest([&new_copy, &old_copy]), Some((new, 0)));
    for at in 0..new_copy.len() {
        // Torn after any byte, over zeroes or over what was there.
        for under in [[0; COPY_LEN], old_copy] {
            let mut torn = under;
            torn[..at].copy_from_slice(&new_copy[..at]);
            let read = State::decode(&torn);
            assert!(
                [None, Some(old), Some(new)].contains(&read),
                "{at}: {read:?}"
            );
            assert!(State::newest([&old_copy, &torn]).is_some());
        }
        for bit in 0..8 {
            let mut changed = new_copy;
            changed[at] ^= 1 << bit;
            let read = State::decode(&changed);
            assert!(
                at >= 400 || read.is_none() || read == Some(new),
                "{at}.{bit}"
            );
        }
    }
    let nothing = [0; COPY_LEN];
    assert_eq!(State::newest([&nothing, &nothing]), None);
    assert_eq!(State::newest([&nothing, &old_copy]), Some((old, 1)));
    let last = State {
        number: u32::MAX,
        ..old
    };
    let wrapped = last.good(Slot::A);
    let newest = State::newest([&last.encode(), &wrapped.encode()]);
    assert_eq!(newest, Some((wrapped, 1)));
}

#[test]
fn nothing_but_a_whole_system_is_ever_started() {
    for state in all() {
        match state.next() {
            Some(slot) => assert_ne!(state.health(slot), Health::Bad, "{state:?}"),
            None => assert!(state.a != Health::Good && state.b != Health::Good),
        }
    }
}

#[test]
fn an_update_is_tried_twice_and_then_what_ran_before_runs() {
    let spoiled = State::FACTORY.spoiled(Slot::B);
    assert_eq!((spoiled.next(), spoiled.counted()), (Some(Slot::A), None));
    let mut state = spoiled.trying(Slot::B);
    for tries in 1..=TRIES {
        assert_eq!(state.next(), Some(Slot::B));
        state = state.counted().unwrap();
        assert_eq!(state.tries, tries);
    }
    assert_eq!((state.next(), state.counted()), (Some(Slot::A), None));
    // It had come up the second time.
    let good = state.good(Slot::B);
    assert_eq!((good.next(), good.counted()), (Some(Slot::B), None));
    assert_eq!(good.health(Slot::A), Health::Good);
    // Both fail: the rescue system.
    let lost = State {
        a: Health::Bad,
        ..state
    };
    assert_eq!(lost.next(), None);
}
