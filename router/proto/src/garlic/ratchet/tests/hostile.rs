//! Truncated, turned, replayed, flooding.

use super::*;
use crate::garlic::ratchet::new_session::Ephemeral;

/// An NS whose payload is given.
fn new_session_of(t: &mut Two, payload: &[u8]) -> Vec<u8> {
    let e = Ephemeral::random(&mut t.rng);
    let sealed = new_session::seal(&t.a.key, &t.kb.0, &e, payload);
    sealed.unwrap().0
}

fn dated(secs: u64) -> Vec<u8> {
    let block = [Block::DateTime(secs as u32), clove(1, 10)];
    crate::garlic::clove::write_blocks(&block).unwrap()
}

#[test]
fn truncated_and_turned_messages_open_nowhere() {
    let mut t = Two::new(1);
    let mut sealed = vec![t.a_seals(1, false)];
    t.b_opens(&sealed[0]).unwrap();
    sealed.push(t.b_seals(2, false));
    t.a_opens(&sealed[1]).unwrap();
    sealed.push(t.a_seals(3, false));
    for (i, m) in sealed.iter().enumerate() {
        let mut t = Two::new(1);
        t.a_seals(1, false);
        if i > 0 {
            t.b_opens(&sealed[0]).unwrap();
            t.b_seals(2, false);
        }
        if i == 1 {
            core::mem::swap(&mut t.a, &mut t.b);
        }
        for n in 0..m.content.len() {
            t.now = t.now.after(Duration::from_millis(20));
            let cut = &m.content[..n];
            assert!(t.b.open(t.now, &mut t.rng, cut).is_err(), "{i} cut at {n}");
            let mut turned = m.content.clone();
            // Two bits of an encoded ephemeral key mean nothing.
            let key_end = if i == 1 { 39 } else { 31 };
            let bits = if i < 2 && n == key_end { 6 } else { 8 };
            turned[n] ^= 1 << t.rng.below(bits);
            assert!(t.b.open(t.now, &mut t.rng, &turned).is_err(), "{i} {n}");
        }
        let s = t.b.stats();
        let most = limits::RATCHET_REPLIES_EXPECTED as usize;
        assert!(s.tags <= most && s.replay_keys <= 1);
        if i > 0 {
            t.b.open(t.now, &mut t.rng, &m.content).unwrap();
        }
    }
}

#[test]
fn replays_of_new_sessions() {
    let mut t = Two::new(2);
    let ns = t.a_seals(1, false);
    t.b_opens(&ns).unwrap();
    assert_eq!(t.b_opens(&ns).unwrap_err(), OpenError::Replay);
    // Two bits of the sent key mean nothing: turning them makes no other message.
    let mut other = ns.clone();
    other.content[31] ^= 0xc0;
    assert_eq!(t.b_opens(&other).unwrap_err(), OpenError::Replay);
    for _ in 0..10 {
        t.pass(60);
        let again = t.b_opens(&ns).unwrap_err();
        assert!(matches!(again, OpenError::Replay | OpenError::Stale));
    }
}

#[test]
fn times_of_new_sessions() {
    let mut t = Two::new(3);
    let now = t.now.wall.secs();
    for (secs, good) in [
        (now - 301, false),
        (now - 299, true),
        (now + 119, true),
        (now + 121, false),
    ] {
        let content = new_session_of(&mut t, &dated(secs));
        let opened = t.b.open(t.now, &mut t.rng, &content);
        assert_eq!(opened.is_ok(), good, "{secs}");
        if !good {
            assert_eq!(opened, Err(OpenError::Stale));
        }
    }
    let content = new_session_of(&mut t, &[]);
    assert_eq!(
        t.b.open(t.now, &mut t.rng, &content),
        Err(OpenError::Stale),
        "no time at all"
    );
    let content = new_session_of(&mut t, &[11, 0, 200, 1]);
    assert!(matches!(
        t.b.open(t.now, &mut t.rng, &content),
        Err(OpenError::Payload(_))
    ));
}

/// An NS without a static key: opened, nothing remembered but the key against replays.
#[test]
fn unbound_new_sessions() {
    let mut t = Two::new(4);
    let e = Ephemeral::random(&mut t.rng);
    let mut noise = new_session::initial(&t.kb.0);
    noise.mix_hash(e.key.public());
    let key = noise.mix_key(&e.key.agree(&t.kb.0).unwrap());
    let mut content = e.representative.to_vec();
    content.extend(noise.seal(&key, 0, &[0; 32]));
    content.extend(noise.seal(&key, 1, &dated(t.now.wall.secs())));
    let opened = t.b.open(t.now, &mut t.rng, &content).unwrap();
    assert_eq!((opened.peer, ids(&opened)), (None, vec![1]));
    let s = t.b.stats();
    assert_eq!((s.peers, s.replay_keys), (0, 1));
    assert_eq!(
        t.b.open(t.now, &mut t.rng, &content),
        Err(OpenError::Replay)
    );
}

#[test]
fn small_order_keys() {
    let mut t = Two::new(5);
    let bad = PeerKey([0; 32]);
    let sealed = t.a.seal(t.now, &mut t.rng, &bad, &[], false);
    assert_eq!(sealed.unwrap_err(), SealError::BadKey);
    assert_eq!(t.a.stats().peers, 0);
}

#[test]
fn too_large_messages_change_nothing() {
    let mut t = Two::new(6);
    let big = [clove(1, 62_000), clove(2, 5_000)];
    for kind in [SentKind::NewSession, SentKind::Existing] {
        let sealed = t.a.seal(t.now, &mut t.rng, &t.kb, &big, true);
        assert_eq!(sealed.unwrap_err(), SealError::TooLarge);
        let sealed = t.a_seals(1, false);
        assert_eq!(sealed.kind, kind);
        t.b_opens(&sealed).unwrap();
        if kind == SentKind::NewSession {
            t.b_to_a(SentKind::NewSessionReply);
        }
    }
    t.b_to_a(SentKind::Existing);
    let fits = [clove(1, 62_000)];
    t.a.seal(t.now, &mut t.rng, &t.kb, &fits, true).unwrap();
}

/// Noise costs at most the metered attempts; sessions go on meanwhile.
#[test]
fn floods_of_noise_are_metered() {
    let mut t = Two::new(7);
    t.meet();
    let mut metered = 0;
    for _ in 0..1000 {
        let noise = t.rng.bytes(200);
        let refused = t.b.open(t.now, &mut t.rng, &noise).unwrap_err();
        metered += u32::from(refused == OpenError::Metered);
    }
    assert!(metered > 750, "{metered}");
    t.a_to_b(SentKind::Existing);
    t.pass(1);
    let stranger = Ratchets::new(PrivateKey::random(&mut t.rng));
    t.ka = PeerKey(*stranger.public());
    t.a = stranger;
    t.a_to_b(SentKind::NewSession);
}

/// Strangers without end: bounded, and they cost no session and no handshake of ours.
#[test]
fn floods_of_strangers_are_bounded() {
    let mut t = Two::new(8);
    t.meet();
    let callee = PrivateKey::random(&mut t.rng);
    let callee = PeerKey(*callee.public());
    t.b.seal(t.now, &mut t.rng, &callee, &[], false).unwrap();
    for i in 0..400 {
        t.pass(u64::from(i % 10 == 0));
        let mut stranger = Ratchets::new(PrivateKey::random(&mut t.rng));
        let ns = stranger.seal(t.now, &mut t.rng, &t.kb, &[], false).unwrap();
        let opened = t.b.open(t.now, &mut t.rng, &ns.content).unwrap();
        let (peer, rng) = (opened.peer.unwrap(), &mut t.rng);
        for _ in 0..3 {
            t.b.seal(t.now, rng, &peer, &[], false).unwrap();
        }
    }
    let s = t.b.stats();
    assert_eq!(s.peers, limits::RATCHET_STRANGERS_MAX + 2);
    assert!(s.evicted > 250, "{s:?}");
    let each = s.bytes / limits::RATCHET_STRANGERS_MAX;
    assert!(each < 6_000, "{each} bytes each");
    assert!(matches!(
        t.b.state(t.now, &callee),
        SessionState::Pending { .. }
    ));
    t.a_to_b(SentKind::Existing);
    t.pass(200);
    let s = t.b.stats();
    assert_eq!((s.peers, s.sessions), (1, 1), "{s:?}");
}

/// An authenticated peer cannot make a session large: keys ahead of need, keys out of order.
#[test]
fn next_keys_out_of_order_are_ignored() {
    use crate::garlic::clove::NextKey;
    let mut t = Two::new(9);
    t.meet();
    let before = t.b.stats();
    for id in [1, 5, 0x7fff] {
        for flags in 0..8 {
            let block = Block::NextKey(NextKey {
                key: (flags & 1 == 1).then(|| *PrivateKey::random(&mut t.rng).public()),
                reverse: flags & 2 != 0,
                request_reverse: flags & 4 != 0,
                id,
            });
            let p = t.a.peers.get_mut(&t.kb).unwrap();
            let content = p.sessions[0].seal_raw(&[block]);
            t.b.open(t.now, &mut t.rng, &content).unwrap();
        }
    }
    let after = t.b.stats();
    assert_eq!(after.sets, before.sets);
    t.a_to_b(SentKind::Existing);
    t.b_to_a(SentKind::Existing);
    for id in 0..40_u16 {
        let set = id + 1;
        let fresh = set == 1 || set.is_multiple_of(2);
        let block = Block::NextKey(NextKey {
            key: fresh.then(|| *PrivateKey::random(&mut t.rng).public()),
            reverse: false,
            request_reverse: !set.is_multiple_of(2),
            id: set / 2,
        });
        let p = t.a.peers.get_mut(&t.kb).unwrap();
        let content = p.sessions[0].seal_raw(&[block]);
        if t.b.open(t.now, &mut t.rng, &content).is_err() {
            break;
        }
    }
    let s = t.b.stats();
    assert!(s.sets <= before.sets + 2 && s.tags < 400, "{s:?}");
}

/// What an idle session costs.
#[test]
fn memory_of_idle_sessions() {
    let mut t = Two::new(10);
    let mut rng = Rng::from_number(99);
    let calls = 100;
    for _ in 0..calls {
        t.a = Ratchets::new(PrivateKey::random(&mut rng));
        t.ka = PeerKey(*t.a.public());
        t.meet();
        for _ in 0..20 {
            t.a_to_b(SentKind::Existing);
        }
        t.pass(1);
    }
    t.pass(200);
    let s = t.b.stats();
    assert_eq!(s.sessions, calls);
    let each = s.bytes / calls;
    assert!(each < 3_000, "{each} bytes per idle session");
    assert!(s.tags / calls < 64, "{s:?}");
}

/// Peers that skip as many messages as they can: keys and tags of all of them are bounded.
#[test]
fn skipped_keys_are_bounded() {
    let mut t = Two::new(11);
    for _ in 0..80 {
        t.a = Ratchets::new(PrivateKey::random(&mut t.rng));
        t.ka = PeerKey(*t.a.public());
        t.meet();
        t.pass(1);
        for gap in [20, 39, 77, 150, 299, 590, 1000] {
            for i in 0..gap {
                t.a_seals(i, false);
            }
            // Windows are small once there are many tags: then such a gap ends the session.
            let last = t.a_seals(gap, false);
            let _ = t.b_opens(&last);
        }
    }
    let s = t.b.stats();
    assert_eq!(s.sessions, 80);
    assert!(s.skipped_keys > 50_000, "{s:?}");
    assert!(s.skipped_keys <= limits::RATCHET_KEYS_MAX, "{s:?}");
    assert!(s.tags < limits::RATCHET_TAGS_MAX + 2048, "{s:?}");
    t.pass(300);
    t.pass(300);
    t.pass(300);
    let s = t.b.stats();
    assert_eq!((s.skipped_keys, s.tags, s.sets), (0, 0, 0));
}

/// Late messages of an ended session ask for nothing that would begin another.
#[test]
fn ended_sessions_owe_nothing() {
    let mut t = Two::new(12);
    t.meet();
    let late = t.a_seals(1, true);
    let end = [Block::Termination(0)];
    let end = t.a.seal(t.now, &mut t.rng, &t.kb, &end, false).unwrap();
    t.b_opens(&end).unwrap();
    t.b_opens(&late).unwrap();
    t.pass(2);
    assert_eq!(t.b.wants_reply(), None);
}
