use super::*;

const A: ClientId = ClientId([1; 16]);
const B: ClientId = ClientId([2; 16]);
const PREFIX: [u8; 6] = [0xfc, 1, 2, 3, 4, 5];

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn vip() -> Vip {
    Vip::new([7; 16], "198.18.0.0/15".parse().unwrap(), Some(PREFIX))
}

fn id(n: usize) -> ClientId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&n.to_be_bytes());
    ClientId(id)
}

#[test]
fn a_name_keeps_its_addresses_and_both_lead_back() {
    let (mut vip, now) = (vip(), now());
    let lease = vip.lease(A, "foo.i2p", now).unwrap();
    assert_eq!(vip.lease(A, "foo.i2p", now), Ok(lease));
    assert_eq!(vip.name_of(A, lease.v4.into()), Some("foo.i2p"));
    assert_eq!(vip.name_of(A, lease.v6.unwrap().into()), Some("foo.i2p"));
    assert!(vip.covers(lease.v4.into()) && vip.covers(lease.v6.unwrap().into()));
    assert!(lease.v6.unwrap().octets().starts_with(&PREFIX));
    assert_eq!(
        Vip::new([7; 16], "198.18.0.0/15".parse().unwrap(), None)
            .lease(A, "foo.i2p", now)
            .unwrap()
            .v4,
        lease.v4
    );
}

#[test]
fn views_and_keys_differ() {
    let (mut vip, now) = (vip(), now());
    let a = vip.lease(A, "foo.i2p", now).unwrap();
    let b = vip.lease(B, "foo.i2p", now).unwrap();
    assert_ne!(a.v4, b.v4);
    assert_eq!(vip.name_of(B, a.v4.into()), None);
    let mut other = Vip::new([8; 16], "198.18.0.0/15".parse().unwrap(), None);
    let lease = other.lease(A, "foo.i2p", now).unwrap();
    assert_ne!(lease.v4, a.v4);
    assert_eq!(lease.v6, None);
    assert!(!other.covers(a.v6.unwrap().into()));
}

#[test]
fn addresses_are_distinct_and_not_at_edges() {
    let now = now();
    let mut vip = Vip::new([7; 16], "10.0.0.0/20".parse().unwrap(), Some(PREFIX));
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..NAMES_MAX {
        let lease = vip.lease(A, &format!("{n}.i2p"), now).unwrap();
        assert!(!matches!(lease.v4.octets()[3], 0 | 255));
        assert!(seen.insert(IpAddr::from(lease.v4)) && seen.insert(lease.v6.unwrap().into()));
    }
}

#[test]
fn neighbours_of_an_address_mean_nothing() {
    let (mut vip, now) = (vip(), now());
    let lease = vip.lease(A, "foo.i2p", now).unwrap();
    let mut octets = lease.v6.unwrap().octets();
    octets[7] = 1;
    assert_eq!(vip.name_of(A, Ipv6Addr::from(octets).into()), None);
    assert_eq!(
        vip.name_of(A, Ipv4Addr::from(u32::from(lease.v4) ^ 1).into()),
        None
    );
    assert_eq!(vip.name_of(A, Ipv4Addr::new(203, 0, 113, 1).into()), None);
}

#[test]
fn a_full_view_gives_up_only_what_is_idle() {
    let (mut vip, now) = (vip(), now());
    let first = vip.lease(A, "0.i2p", now).unwrap();
    for n in 1..NAMES_MAX {
        vip.lease(A, &format!("{n}.i2p"), now + Duration::from_secs(1))
            .unwrap();
    }
    assert_eq!(vip.lease(A, "more.i2p", now + GRACE / 2), Err(Full));
    assert!(vip.lease(B, "more.i2p", now).is_ok());
    assert_eq!(vip.open(A, first.v4.into()).as_deref(), Some("0.i2p"));
    let later = now + GRACE + Duration::from_secs(1);
    vip.lease(A, "more.i2p", later).unwrap();
    assert_eq!(vip.name_of(A, first.v4.into()), Some("0.i2p"));
    assert_eq!(vip.clients[&A].slots.len(), NAMES_MAX);
    vip.close(A, first.v4.into(), now);
    vip.lease(A, "again.i2p", later).unwrap();
    assert_eq!(vip.name_of(A, first.v4.into()), None);
}

#[test]
fn closing_restarts_the_grace() {
    let (mut vip, now) = (vip(), now());
    let lease = vip.lease(A, "foo.i2p", now).unwrap();
    vip.open(A, lease.v6.unwrap().into()).unwrap();
    vip.close(A, lease.v6.unwrap().into(), now + GRACE);
    let view = vip.clients.get_mut(&A).unwrap();
    assert!(!view.evict(now + GRACE + GRACE / 2));
    assert!(view.evict(now + GRACE + GRACE));
    assert!(view.names.is_empty() && view.tails.is_empty());
}

#[test]
fn active_clients_are_not_pushed_out() {
    let (mut vip, now) = (vip(), now());
    for n in 0..CLIENTS_MAX {
        let lease = vip.lease(id(n), "foo.i2p", now).unwrap();
        vip.open(id(n), lease.v4.into()).unwrap();
        vip.close(id(n), lease.v4.into(), now);
    }
    assert_eq!(vip.lease(id(CLIENTS_MAX), "foo.i2p", now), Err(Full));
    vip.lease(id(0), "foo.i2p", now + GRACE).unwrap();
    vip.lease(id(CLIENTS_MAX), "foo.i2p", now + GRACE).unwrap();
    assert_eq!(vip.clients.len(), CLIENTS_MAX);
    assert!(vip.clients.contains_key(&id(0)));
}

/// Identities that only ask cost nobody the gateway for long, least of all who uses it.
#[test]
fn clients_that_only_ask_give_way() {
    let (mut vip, now) = (vip(), now());
    let used = vip.lease(id(0), "foo.i2p", now).unwrap();
    vip.open(id(0), used.v4.into()).unwrap();
    vip.close(id(0), used.v4.into(), now);
    for n in 1..CLIENTS_MAX {
        vip.lease(id(n), "foo.i2p", now).unwrap();
    }
    assert_eq!(vip.lease(A, "foo.i2p", now + UNUSED / 2), Err(Full));
    let lease = vip.lease(A, "foo.i2p", now + UNUSED).unwrap();
    assert_eq!(vip.name_of(A, lease.v4.into()), Some("foo.i2p"));
    assert_eq!(vip.name_of(id(0), used.v4.into()), Some("foo.i2p"));
}

#[test]
fn names_of_all_clients_are_bounded_and_shared() {
    let (mut vip, now) = (vip(), now());
    let greedy = |vip: &mut Vip, n, now| {
        let names = (0..NAMES_MAX).map(|name| vip.lease(id(n), &format!("{name}.i2p"), now));
        names.filter(Result::is_ok).count()
    };
    let total = |vip: &Vip| {
        vip.clients
            .values()
            .map(|view| view.slots.len())
            .sum::<usize>()
    };
    for n in 0..33 {
        assert!(greedy(&mut vip, n, now) >= 100, "client {n}");
    }
    for n in 33..CLIENTS_MAX {
        greedy(&mut vip, n, now);
    }
    assert_eq!(total(&vip), NAMES_TOTAL_MAX);
    // The idle ones of those that have most make room.
    assert!(greedy(&mut vip, CLIENTS_MAX - 1, now + GRACE) >= 50);
    assert_eq!(total(&vip), NAMES_TOTAL_MAX);
}

fn kept(vip: Vip) -> Vec<u8> {
    use crate::saved::Keep;
    std::cell::RefCell::new(vip).snapshot()
}

#[test]
fn views_come_back_after_a_restart() {
    let (mut before, now) = (vip(), now());
    let (a, b) = (
        before.lease(A, "foo.i2p", now),
        before.lease(B, "foo.i2p", now),
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    let bytes = kept(before);
    // Another key would draw other addresses: these are remembered, not drawn again.
    let mut after = Vip::new([8; 16], "198.18.0.0/15".parse().unwrap(), Some(PREFIX));
    after.restore(&bytes, now);
    assert_eq!(after.name_of(A, a.v4.into()), Some("foo.i2p"));
    assert_eq!(after.name_of(B, b.v6.unwrap().into()), Some("foo.i2p"));
    assert_eq!(after.name_of(B, a.v4.into()), None);
    assert_eq!(after.lease(A, "foo.i2p", now), Ok(a));
    // A smaller range keeps what fits it; nonsense changes nothing.
    let mut small = Vip::new([7; 16], "10.0.0.0/20".parse().unwrap(), None);
    small.restore(&bytes, now);
    let index = |v4: Ipv4Addr| u32::from(v4) & 0x1_ffff;
    assert_eq!(small.names(A), usize::from(index(a.v4) < 4096));
    small.restore(b"nonsense", now);
    small.restore(&bytes[..bytes.len() - 1], now);
    assert_eq!(small.names(A), usize::from(index(a.v4) < 4096));
}

#[test]
fn a_shared_view_is_everybodys_and_holds_more() {
    let now = now();
    let mut vip = vip().shared(true);
    let lease = vip.lease(A, "foo.i2p", now).unwrap();
    assert_eq!(vip.lease(B, "foo.i2p", now), Ok(lease));
    assert_eq!(vip.open(B, lease.v4.into()).as_deref(), Some("foo.i2p"));
    for n in 0..2 * NAMES_MAX {
        vip.lease(A, &format!("{n}.i2p"), now + GRACE).unwrap();
    }
    // What one of them has open stays although others ask for more than there is.
    let later = now + GRACE + GRACE;
    for n in 1..NAMES_TOTAL_MAX {
        vip.lease(A, &format!("more{n}.i2p"), later).unwrap();
    }
    assert_eq!(vip.names(B), NAMES_TOTAL_MAX);
    assert_eq!(vip.name_of(A, lease.v4.into()), Some("foo.i2p"));
    // Views of single clients are of no use to it, nor the other way round.
    let mut single = super::Vip::new([7; 16], "198.18.0.0/15".parse().unwrap(), None);
    single.restore(&kept(vip), now);
    assert_eq!(single.names(A), 0);
}

/// One device that asks for two hundred thousand names takes no more than its share, no other's
/// address moves, and what it asked for last still works.
#[test]
fn two_hundred_thousand_names_of_one_device_disturb_nobody() {
    let (mut vip, start) = (vip(), now());
    let others: Vec<_> = (0..50)
        .map(|n| (id(n), vip.lease(id(n), "garden.i2p", start).unwrap()))
        .collect();
    let (mut given, mut last) = (0, None);
    for n in 0..200_000_u32 {
        // As fast as the rules let one device ask.
        let at = start + Duration::from_millis(u64::from(n) * 10 / 3);
        if let Ok(lease) = vip.lease(A, &format!("name{n}.i2p"), at) {
            (given, last) = (given + 1, Some((n, lease)));
        }
        if n % 1000 == 0 {
            assert!(vip.names(A) <= NAMES_MAX);
            for (client, lease) in &others {
                assert_eq!(vip.lease(*client, "garden.i2p", at), Ok(*lease));
            }
        }
    }
    assert!(given >= NAMES_MAX);
    let (n, lease) = last.unwrap();
    assert_eq!(
        vip.name_of(A, lease.v4.into()),
        Some(format!("name{n}.i2p").as_str())
    );
    let held: usize = vip.clients.values().map(|view| view.slots.len()).sum();
    assert!(held <= NAMES_MAX + others.len(), "{held}");
    let at = start + Duration::from_secs(700);
    assert!(vip.lease(id(60), "bar.i2p", at).is_ok());
    assert!(kept(vip).len() < 64 * (NAMES_MAX + others.len() + 1));
}
