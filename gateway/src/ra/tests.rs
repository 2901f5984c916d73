use super::*;

const MAC: [u8; 6] = [2, 0, 0x5e, 0x10, 0, 1];

fn facts() -> Facts {
    Facts {
        own: "fd77:1::1/64".parse().unwrap(),
        virtual6: [0xfc, 1, 2, 3, 4, 5],
        mac: MAC,
    }
}

/// Options as type and body.
fn options(bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let (mut rest, mut all) = (bytes, Vec::new());
    while let [kind, units, ..] = rest {
        let (one, more) = rest.split_at(usize::from(*units) * 8);
        all.push((*kind, &one[2..]));
        rest = more;
    }
    all
}

#[test]
fn what_is_advertised() {
    let bytes = advertisement(&facts(), false);
    assert_eq!(bytes[..8], [134, 0, 0, 0, 64, 0x40, 0x07, 0x08]);
    let all = options(&bytes[16..]);
    let kinds: Vec<_> = all.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [1, 3, 24, 25]);
    assert_eq!(all[0].1, MAC);
    let (prefix, route, resolver) = (all[1].1, all[2].1, all[3].1);
    assert_eq!(prefix[..2], [64, 0xc0]);
    assert_eq!(
        prefix[14..],
        "fd77:1::".parse::<Ipv6Addr>().unwrap().octets()
    );
    assert_eq!(route[..2], [48, 0]);
    assert_eq!(route[6..12], facts().virtual6);
    assert_eq!(resolver[6..], facts().own.addr().octets());
}

#[test]
fn at_the_end_it_is_no_router_any_more() {
    let bytes = advertisement(&facts(), true);
    assert_eq!(bytes[6..8], [0, 0]);
    let all = options(&bytes[16..]);
    // Addresses stay for what is open, but nothing new begins with them.
    assert_eq!(all[1].1[2..10], [0, 1, 0x51, 0x80, 0, 0, 0, 0]);
    assert!(all[2].1[2..6] == [0; 4] && all[3].1[2..6] == [0; 4]);
}

#[test]
fn neighbours_are_answered_as_a_router() {
    let target: Ipv6Addr = "fe80::1".parse().unwrap();
    let mut question = vec![135, 0, 0, 0, 0, 0, 0, 0];
    question.extend(target.octets());
    assert_eq!(asked(&question), Asked::Neighbour(target));
    assert_eq!(asked(&question[..20]), Asked::Nothing);
    assert_eq!(asked(&[133, 0, 0, 0, 0, 0, 0, 0]), Asked::Router);
    for odd in [&[][..], &[133, 0], &[133, 1, 0, 0, 0, 0, 0, 0], &[134; 40]] {
        assert_eq!(asked(odd), Asked::Nothing);
    }
    let answer = neighbour(target, true, MAC);
    assert_eq!(answer[..8], [136, 0, 0, 0, 0xe0, 0, 0, 0]);
    assert_eq!(options(&answer[24..]), [(2, &MAC[..])]);
    assert_eq!(neighbour(target, false, MAC)[4], 0xa0);
}
