use super::*;
use crate::rng::Rng;
use crate::wire::identity::KeysAndCert;

fn destination(key: &SigningKey) -> Destination {
    Destination(KeysAndCert::ed25519(4, &[1; 256], &[2; 96], &key.public()).unwrap())
}

#[test]
fn every_option_has_its_place() {
    let mut rng = Rng::from_number(1);
    let (own, transient) = (SigningKey::random(&mut rng), SigningKey::random(&mut rng));
    let from = destination(&own);
    let mut w = Writer::new();
    w.u32(2_000_000_000).u16(7).put(&transient.public());
    let offline = Offline {
        expires: 2_000_000_000,
        kind: SigType::Ed25519,
        key: transient.public().to_vec(),
        signature: own.sign(&[w.as_slice()]).to_vec(),
    };
    let p = Packet {
        send_id: 1,
        recv_id: 2,
        seq: 3,
        ack_through: 4,
        nacks: vec![1, 2],
        resend_delay: 9,
        flags: SYN,
        delay: Some(CHOKE),
        from: Some(from.clone()),
        max_size: Some(1812),
        offline: Some(offline.clone()),
        payload: b"hello".to_vec(),
        ..Packet::default()
    };
    let bytes = p.write(Some(&transient)).unwrap();
    let again = Packet::parse(&bytes).unwrap();
    assert!(again.has(SYN | DELAY | FROM | MAX_SIZE | OFFLINE | SIGNED));
    assert_eq!(again.write(None).unwrap(), bytes);
    let before = Date::from_secs(1_999_999_999);
    let key = PeerKey::new(&from, again.offline.as_ref(), before).unwrap();
    assert!(again.verify(&bytes, &key));
    assert!(!again.verify(&bytes, &PeerKey::new(&from, None, before).unwrap()));
    let after = Date::from_secs(2_000_000_001);
    assert!(PeerKey::new(&from, again.offline.as_ref(), after).is_none());
    let forged = Offline {
        expires: 2_100_000_000,
        ..offline
    };
    assert!(PeerKey::new(&from, Some(&forged), before).is_none());
    for n in 0..bytes.len() - 5 {
        assert!(Packet::parse(&bytes[..n]).is_err(), "{n}");
    }
    assert_eq!(
        Packet::parse(&bytes[..bytes.len() - 5]).unwrap().payload,
        b""
    );
}

#[test]
fn a_syn_names_its_receiver() {
    let (me, you) = (DestHash([1; 32]), DestHash([2; 32]));
    let mut p = Packet {
        flags: SYN,
        ..Packet::default()
    };
    assert!(p.is_for(&me));
    p.set_replay_hash(&me);
    assert!(p.is_for(&me) && !p.is_for(&you));
    assert_eq!(p.write(None).unwrap()[16], 8);
}

#[test]
fn too_many_nacks_are_not_written() {
    let p = Packet {
        nacks: vec![0; 256],
        ..Packet::default()
    };
    assert!(p.write(None).is_err());
}
