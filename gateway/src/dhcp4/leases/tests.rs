use super::*;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Eight addresses, .8 to .15.
fn leases() -> Leases {
    let net: Ipv4Net = "192.168.77.1/24".parse().unwrap();
    let first = u32::from(net.network()) + 8;
    Leases::new(
        [1; 16],
        net,
        (first, first + 7),
        Duration::from_secs(43_200),
        vec![],
    )
}

fn asker(leases: &Leases, n: u8, now: Instant) -> Asker {
    let mac = [2, 0, 0, 0, 0, n];
    let device = leases.device(None, mac);
    Asker { device, mac, now }
}

fn nobody(_: Ipv4Addr) -> Option<[u8; 6]> {
    None
}

/// A device that is seen to use what it got.
fn settle(leases: &mut Leases, n: u8, now: Instant) -> Option<Ipv4Addr> {
    let who = asker(leases, n, now);
    let address = leases.offer(who, None, &nobody)?;
    leases.lease(who, address, &|_| Some(who.mac))?;
    Some(address)
}

#[test]
fn leases_are_distinct_and_stay_with_their_device() {
    let (mut leases, now) = (leases(), now());
    let all: Vec<_> = (0..8)
        .map(|n| settle(&mut leases, n, now).unwrap())
        .collect();
    let mut distinct = all.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((distinct.len(), leases.live(now)), (8, 8));
    assert_eq!(settle(&mut leases, 8, now), None, "nothing is free");
    for (n, address) in (0..8).zip(&all) {
        assert_eq!(settle(&mut leases, n, now), Some(*address));
    }
    // Ended leases go to others, the one that ended first.
    leases.release(asker(&leases, 3, now).device, now);
    assert_eq!(settle(&mut leases, 8, now), Some(all[3]));
    assert_eq!(settle(&mut leases, 3, now), None);
}

/// A device that makes up others cannot keep real ones out.
#[test]
fn made_up_devices_give_way() {
    let (mut leases, start) = (leases(), now());
    let real = settle(&mut leases, 200, start).unwrap();
    let mut now = start;
    for n in 0..100 {
        let who = asker(&leases, n, now);
        if let Some(address) = leases.offer(who, None, &nobody) {
            leases.lease(who, address, &nobody);
        }
        now += Duration::from_millis(200);
    }
    assert!(settle(&mut leases, 201, now + UNSETTLED).is_some());
    assert_eq!(settle(&mut leases, 200, now), Some(real));
    // One that is seen in use does not, however young its lease is.
    let who = asker(&leases, 202, now);
    let address = leases.offer(who, None, &nobody);
    let used = address.map(|a| leases.lease(who, a, &nobody).map(|_| a));
    let later = now + 2 * UNSETTLED;
    let seen = |a: Ipv4Addr| (Some(Some(a)) == used).then_some(who.mac);
    for n in 100..108 {
        let other = asker(&leases, n, later);
        leases.offer(other, None, &seen);
    }
    assert_eq!(leases.address(who.device), used.flatten());
}

#[test]
fn settled_leases_and_names_come_back_after_a_restart() {
    let (mut before, now) = (leases(), now());
    let address = settle(&mut before, 1, now).unwrap();
    let device = asker(&before, 1, now).device;
    before.name(device, Some("laptop"));
    let unsettled = asker(&before, 2, now);
    before.offer(unsettled, None, &nobody).unwrap();
    let bytes = RefCell::new(before).snapshot();
    let mut after = leases();
    after.restore(&bytes, now);
    assert_eq!(after.names(now), [("laptop".to_owned(), address)]);
    assert_eq!(
        (after.address(device), after.address(unsettled.device)),
        (Some(address), None)
    );
    // Another LAN has no place for them.
    let net: Ipv4Net = "10.77.77.1/24".parse().unwrap();
    let pool = (u32::from(net.network()) + 1, u32::from(net.broadcast()) - 1);
    let mut moved = Leases::new([1; 16], net, pool, FIRST, vec![]);
    moved.restore(&bytes, now);
    moved.restore(b"nonsense", now);
    assert_eq!(moved.live(now), 0);
}

/// Who takes one address after the other only to say that it is somebody else's leaves the others
/// theirs.
#[test]
fn addresses_that_are_declined_one_after_the_other_leave_others_theirs() {
    let net: Ipv4Net = "192.168.77.1/24".parse().unwrap();
    let pool = (u32::from(net.network()) + 1, u32::from(net.broadcast()) - 1);
    let (mut leases, start) = (Leases::new([1; 16], net, pool, FIRST, vec![]), now());
    for n in 0..600u32 {
        let at = start + Duration::from_millis(u64::from(n) * 100);
        let who = asker(&leases, 7, at);
        let address = leases.offer(who, None, &nobody).unwrap();
        leases.decline(who.device, address, at);
        assert!(leases.foreign.len() <= FOREIGN_MAX);
    }
    let at = start + Duration::from_secs(61);
    assert!(settle(&mut leases, 9, at).is_some());
    // What was declined last is still not given out.
    let (last, _) = leases
        .foreign
        .iter()
        .max_by_key(|(_, until)| **until)
        .unwrap();
    let wanted = Ipv4Addr::from(*last);
    assert_ne!(
        leases.offer(asker(&leases, 10, at), Some(wanted), &nobody),
        Some(wanted)
    );
}

/// A LAN whose every address somebody uses does not make one message cost thousands of questions.
#[test]
fn the_kernel_is_asked_a_bounded_number_of_times() {
    let net: Ipv4Net = "10.0.0.1/20".parse().unwrap();
    let pool = (u32::from(net.network()) + 1, u32::from(net.broadcast()) - 1);
    let mut leases = Leases::new([1; 16], net, pool, FIRST, vec![]);
    let asked = std::cell::Cell::new(0);
    let everywhere = |_| {
        asked.set(asked.get() + 1);
        Some([6; 6])
    };
    let who = asker(&leases, 1, now());
    assert_eq!(leases.offer(who, None, &everywhere), None);
    assert!((1..=ASKED + 1).contains(&asked.get()), "{}", asked.get());
}
