//! Life of sessions: handshakes lost and doubled, restarts, acknowledgements, expiry.

use super::*;
use SentKind::{Existing, NewSession, NewSessionReply};

#[test]
fn states_of_a_handshake() {
    let mut t = Two::new(1);
    assert_eq!(t.a.state(t.now, &t.kb), SessionState::None);
    let since = t.now.mono;
    let ns = t.a_seals(1, true);
    assert_eq!((ns.kind, ns.ack), (NewSession, None));
    let pending = |sent| SessionState::Pending { since, sent };
    assert_eq!(t.a.state(t.now, &t.kb), pending(1));
    t.pass(2);
    t.a_seals(2, false);
    assert_eq!(t.a.state(t.now, &t.kb), pending(2));
    t.b_opens(&ns).unwrap();
    assert_eq!(t.b.state(t.now, &t.ka), SessionState::Owes);
    t.b_to_a(NewSessionReply);
    assert_eq!(t.a.state(t.now, &t.kb), SessionState::Established);
    assert_eq!(t.b.state(t.now, &t.ka), SessionState::Owes);
    t.a_to_b(Existing);
    assert_eq!(t.b.state(t.now, &t.ka), SessionState::Established);
}

#[test]
fn a_new_session_begins_with_the_time_and_asks_for_nothing() {
    let mut t = Two::new(2);
    let blocks = [Block::AckRequest, clove(1, 10), Block::Ack(vec![(0, 0)])];
    let sealed = t.a.seal(t.now, &mut t.rng, &t.kb, &blocks, true).unwrap();
    let opened = t.b_opens(&sealed).unwrap();
    assert!(matches!(opened.blocks[0], Block::DateTime(1_800_000_000)));
    assert!(matches!(opened.blocks[1], Block::Clove(_)));
    assert!(opened.blocks.len() == 2 || matches!(opened.blocks[2], Block::Padding(_)));
}

/// Any reply to any of several New Sessions works, and all bring their data.
#[test]
fn replies_to_several_new_sessions() {
    for order in 0..24_usize {
        let mut t = Two::new(3 + order as u64);
        let (first, second) = (t.a_seals(1, false), t.a_seals(2, false));
        t.b_opens(&first).unwrap();
        let mut replies = vec![t.b_seals(11, false), t.b_seals(12, false)];
        t.b_opens(&second).unwrap();
        replies.extend([t.b_seals(13, false), t.b_seals(14, false)]);
        assert!(replies.iter().all(|r| r.kind == NewSessionReply));
        let mut rng = Rng::from_number(order as u64);
        rng.shuffle(&mut replies);
        let mut seen = Vec::new();
        for reply in &replies {
            let opened = t.a_opens(reply).unwrap();
            seen.extend(ids(&opened));
            if rng.below(2) == 0 {
                t.a_to_b(Existing);
            }
            assert!(t.a_opens(reply).is_err());
        }
        seen.sort_unstable();
        assert_eq!(seen, [11, 12, 13, 14]);
        t.a_to_b(Existing);
        t.b_to_a(Existing);
        assert_eq!(t.a.stats().sessions, 1);
        assert_eq!(t.b.stats().sessions, 1);
    }
}

#[test]
fn more_than_twelve_replies_become_a_new_session() {
    let mut t = Two::new(40);
    t.a_to_b(NewSession);
    for _ in 0..12 {
        t.b_to_a(NewSessionReply);
    }
    assert_eq!(t.b_seals(1, false).kind, NewSession);
    t.a_to_b(Existing);
    t.b_to_a(Existing);
}

#[test]
fn both_call_at_once() {
    for seed in 50..60 {
        let mut t = Two::new(seed);
        let (x, y) = (t.a_seals(1, false), t.b_seals(2, false));
        t.a_opens(&y).unwrap();
        t.b_opens(&x).unwrap();
        let (x, y) = (t.a_seals(3, false), t.b_seals(4, false));
        assert_eq!((x.kind, y.kind), (NewSessionReply, NewSessionReply));
        t.a_opens(&y).unwrap();
        t.b_opens(&x).unwrap();
        for i in 0..40 {
            let (x, y) = (t.a_seals(10 + i, true), t.b_seals(90 + i, true));
            t.pass(30);
            assert_eq!(t.a_opens(&y).unwrap().kind, Existing);
            assert_eq!(t.b_opens(&x).unwrap().kind, Existing);
        }
        assert_eq!(t.a.stats().sessions, 1, "both came to use the same one");
        assert_eq!(t.b.stats().sessions, 1);
    }
}

#[test]
fn acknowledgements() {
    let mut t = Two::new(60);
    t.meet();
    let asked: Vec<Sealed> = (0..5).map(|i| t.a_seals(i, true)).collect();
    for m in [4, 1, 3] {
        t.b_opens(&asked[m]).unwrap();
    }
    assert_eq!(t.b.wants_reply(), None);
    assert!(t.b.deadline().unwrap() <= t.now.mono + Duration::from_millis(200));
    t.pass(1);
    assert_eq!(t.b.wants_reply(), Some(t.ka));
    assert_eq!(t.b.wants_reply(), None);
    let empty = t.b.seal(t.now, &mut t.rng, &t.ka, &[], false).unwrap();
    let ids = |ms: &[usize]| -> Vec<AckId> { ms.iter().map(|m| asked[*m].ack.unwrap()).collect() };
    let opened = t.a_opens(&empty).unwrap();
    assert_eq!(opened.acked, ids(&[4, 1, 3]));
    t.b_opens(&asked[0]).unwrap();
    assert_eq!(t.b_to_a(Existing).acked, ids(&[0]));
    assert_eq!(t.b_to_a(Existing).acked, []);
}

/// The called side lost everything: a fresh handshake takes the place of the old session.
#[test]
fn the_called_side_restarts() {
    let mut t = Two::new(70);
    t.meet();
    t.pass(60);
    t.b = Ratchets::new(t.b.key.clone());
    let lost = t.a_seals(1, false);
    assert_eq!(t.b_opens(&lost).unwrap_err(), OpenError::Sealed);
    let afresh = t.a_seals_afresh(2);
    assert_eq!(ids(&t.b_opens(&afresh).unwrap()), [2]);
    t.b_to_a(NewSessionReply);
    t.a_to_b(Existing);
    t.b_to_a(Existing);
    assert_eq!(t.a.stats().sessions, 2);
    t.pass(200);
    t.a_to_b(Existing);
    assert_eq!(t.a.stats().sessions, 1);
}

/// The calling side lost everything and calls again: we answer it, and use the new session once
/// it is confirmed; late messages of the old one still open.
#[test]
fn the_calling_side_restarts() {
    let mut t = Two::new(71);
    t.meet();
    t.pass(60);
    let late = t.a_seals(5, false);
    t.a = Ratchets::new(t.a.key.clone());
    t.a_to_b(NewSession);
    assert_eq!(t.b.state(t.now, &t.ka), SessionState::Owes);
    t.b_to_a(NewSessionReply);
    t.a_to_b(Existing);
    assert_eq!(ids(&t.b_opens(&late).unwrap()), [5]);
    t.b_to_a(Existing);
    t.pass(200);
    t.b_to_a(Existing);
    assert_eq!(t.b.stats().sessions, 1);
}

#[test]
fn idle_sessions_end() {
    let mut t = Two::new(80);
    t.meet();
    t.pass(470);
    t.a_to_b(Existing);
    t.b_to_a(Existing);
    t.pass(500);
    assert_eq!(
        t.a.state(t.now, &t.kb),
        SessionState::None,
        "not sent with after 8 minutes"
    );
    let late = t.b_seals(1, false);
    assert_eq!(late.kind, NewSession);
    t.pass(200);
    for side in [&t.a, &t.b] {
        assert_eq!(side.stats().sessions, 0);
    }
    t.pass(200);
    for side in [&mut t.a, &mut t.b] {
        let s = side.stats();
        assert_eq!((s.peers, s.tags, s.sets), (0, 0, 0));
    }
    t.pass(500);
    t.pass(500);
    assert_eq!(t.a.deadline(), None);
    t.meet();
}

#[test]
fn unanswered_new_sessions_are_forgotten() {
    let mut t = Two::new(81);
    for i in 0..20 {
        t.a_seals(i, false);
    }
    let s = t.a.stats();
    assert_eq!((s.sets, s.tags), (16, 16 * 96));
    t.pass(100);
    assert!(matches!(
        t.a.state(t.now, &t.kb),
        SessionState::Pending { sent: 16, .. }
    ));
    t.pass(100);
    assert_eq!(t.a.state(t.now, &t.kb), SessionState::None);
    assert_eq!(t.a.stats().tags, 0);
}

#[test]
fn forgetting_a_peer_leaves_nothing() {
    let mut t = Two::new(82);
    t.meet();
    t.a.forget(&t.kb);
    let s = t.a.stats();
    assert_eq!((s.peers, s.sessions, s.tags, s.sets), (0, 0, 0, 0));
    let sealed = t.b_seals(1, false);
    assert!(t.a_opens(&sealed).is_err());
}

#[test]
fn a_termination_ends_the_session() {
    let mut t = Two::new(83);
    t.meet();
    let end = [Block::Termination(0)];
    let sealed = t.a.seal(t.now, &mut t.rng, &t.kb, &end, false).unwrap();
    t.b_opens(&sealed).unwrap();
    assert_eq!(t.b.state(t.now, &t.ka), SessionState::None);
}

/// i2pd and Java answer a New Session under the session that they have while it is young.
#[test]
fn a_new_session_that_is_not_taken_up_costs_nothing() {
    let mut t = Two::new(84);
    t.meet();
    let afresh = t.a_seals_afresh(1);
    assert_eq!(afresh.kind, NewSession);
    assert_eq!(t.a.state(t.now, &t.kb), SessionState::Established);
    t.a_to_b(Existing);
    t.b_to_a(Existing);
    t.pass(200);
    t.a_to_b(Existing);
}

/// The peer took up a New Session and then forgot it: what it uses is what we use.
#[test]
fn a_superseded_session_that_the_peer_uses_comes_back() {
    let mut t = Two::new(85);
    t.meet();
    let mut old = t.b.peers.get_mut(&t.ka).unwrap().sessions.remove(0);
    let afresh = t.a_seals_afresh(1);
    t.b_opens(&afresh).unwrap();
    t.b_to_a(NewSessionReply);
    t.a_to_b(Existing);
    let b = t.b.peers.get_mut(&t.ka).unwrap();
    let used = b.sessions[0].id();
    old.supersede(t.now.mono);
    b.sessions.insert(0, old);
    let newest = |r: &Ratchets, k: &PeerKey, now: Now| {
        let p = &r.peers[k];
        let i = p.current(now.mono, r.is_lower(k)).unwrap();
        p.sessions[i].is_superseded()
    };
    assert!(!newest(&t.a, &t.kb, t.now));
    for n in 0..5 {
        t.pass(4);
        t.a_seals(n, false);
        let b = t.b.peers.get_mut(&t.ka).unwrap();
        let old = b.sessions.iter_mut().find(|s| s.id() != used).unwrap();
        let content = old.seal(t.now.mono, &mut t.rng, &[clove(n, 9)], None);
        let opened = t.a.open(t.now, &mut t.rng, &content.unwrap()).unwrap();
        assert_eq!(ids(&opened), [n]);
    }
    assert!(newest(&t.a, &t.kb, t.now));
    t.a_to_b(Existing);
    // It is not dropped while it is used, however long that takes.
    for n in 0..20 {
        t.pass(60);
        let b = t.b.peers.get_mut(&t.ka).unwrap();
        let old = b.sessions.iter_mut().find(|s| s.id() != used).unwrap();
        let content = old.seal(t.now.mono, &mut t.rng, &[clove(n, 9)], None);
        t.a.open(t.now, &mut t.rng, &content.unwrap()).unwrap();
        t.a_to_b(Existing);
    }
}

/// A reply that is due goes before everything else for a while only, however often it is sent.
#[test]
fn replies_that_nobody_takes_give_way() {
    let mut t = Two::new(86);
    t.meet();
    let afresh = t.a_seals_afresh(1);
    t.b_opens(&afresh).unwrap();
    for n in 0..4 {
        assert_eq!(t.b_seals(n, false).kind, NewSessionReply);
        t.pass(8);
    }
    t.b_to_a(Existing);
    t.pass(60);
    t.b_to_a(Existing);
    t.pass(100);
    assert_eq!(
        t.b.peers[&t.ka].got.len(),
        0,
        "repeats do not renew its life"
    );
}

/// A window of data may come as replies before anything of ours has arrived.
#[test]
fn a_window_of_replies_is_opened() {
    let mut t = Two::new(87);
    let ns = t.a_seals(1, false);
    t.b_opens(&ns).unwrap();
    let got = &t.b.peers[&t.ka].got[0];
    let mut tags = new_session::reply_tags(&got.noise);
    for n in 0..40 {
        let (_, tag) = tags.next_tag().unwrap();
        let ephemeral = Ephemeral::random(&mut t.rng);
        let payload = payload::assemble(&[clove(n, 9)], 0, 72, &mut t.rng).unwrap();
        let got = &t.b.peers[&t.ka].got[0];
        let alice = (&got.ephemeral, &t.ka.0);
        let sealed = new_session::seal_reply(&got.noise, alice, &tag, &ephemeral, &payload);
        let opened = t.a.open(t.now, &mut t.rng, &sealed.unwrap().0).unwrap();
        assert_eq!(ids(&opened), [n]);
    }
}

/// The peer has answered into dead tunnels for a while, with a new tag at each try.
#[test]
fn replies_before_this_one_may_all_be_lost() {
    for lost in [0, 20, 80] {
        let mut t = Two::new(88);
        let ns = t.a_seals(1, false);
        t.b_opens(&ns).unwrap();
        let got = &t.b.peers[&t.ka].got[0];
        let mut tags = new_session::reply_tags(&got.noise);
        for _ in 0..lost {
            tags.next_tag().unwrap();
        }
        let (_, tag) = tags.next_tag().unwrap();
        let ephemeral = Ephemeral::random(&mut t.rng);
        let payload = payload::assemble(&[clove(7, 9)], 0, 72, &mut t.rng).unwrap();
        let alice = (&got.ephemeral, &t.ka.0);
        let sealed = new_session::seal_reply(&got.noise, alice, &tag, &ephemeral, &payload);
        let opened = t.a.open(t.now, &mut t.rng, &sealed.unwrap().0).unwrap();
        assert_eq!(ids(&opened), [7], "{lost} lost");
    }
}
