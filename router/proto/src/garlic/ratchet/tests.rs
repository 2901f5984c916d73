//! Two destinations against each other, recorded conversations, hostile input.

mod recorded;

use super::*;
use crate::time::Date;

#[test]
fn two_meet() {
    let mut rng = Rng::from_number(1);
    let mut a = Ratchets::new(PrivateKey::random(&mut rng));
    let mut b = Ratchets::new(PrivateKey::random(&mut rng));
    let now = Now {
        mono: Instant(1_000_000),
        wall: Date::from_secs(1_800_000_000),
    };
    let (ka, kb) = (PeerKey(*a.public()), PeerKey(*b.public()));
    let ns = a.seal(now, &mut rng, &kb, &[], false).unwrap();
    assert_eq!(b.open(now, &mut rng, &ns.content).unwrap().peer, Some(ka));
    let nsr = b.seal(now, &mut rng, &ka, &[], false).unwrap();
    assert_eq!(nsr.kind, SentKind::NewSessionReply);
    assert_eq!(
        a.open(now, &mut rng, &nsr.content).unwrap().kind,
        SentKind::NewSessionReply
    );
    let es = a.seal(now, &mut rng, &kb, &[], true).unwrap();
    assert_eq!(es.kind, SentKind::Existing);
    b.open(now, &mut rng, &es.content).unwrap();
    assert_eq!(b.state(&ka), SessionState::Established);
    let es2 = b.seal(now, &mut rng, &ka, &[], true).unwrap();
    assert_eq!(
        a.open(now, &mut rng, &es2.content).unwrap().acked,
        vec![es.ack.unwrap()]
    );
}
