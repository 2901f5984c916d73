use super::*;
use crate::config::{Config, RouterKeys};
use crate::crypto::sig::SigningKey;
use crate::crypto::x25519::PrivateKey;
use crate::rng::Rng;
use crate::router::boot::Saved;
use crate::router::input::{ClientCmd, ClientId};
use crate::router::output::{ClientEvent, Output};
use crate::time::Date;
use crate::wire::cert::ENC_X25519;
use crate::wire::hash::{DestHash, RouterHash};
use crate::wire::identity::{KeysAndCert, RouterIdentity};

const ID: ClientId = ClientId(1);

fn start(wall: Date) -> (Router, Now) {
    let mut rng = Rng::from_number(1);
    let (encryption, signing) = (PrivateKey::random(&mut rng), SigningKey::random(&mut rng));
    let (filler, public) = (rng.bytes(320), signing.public());
    let keys = KeysAndCert::ed25519(ENC_X25519, encryption.public(), &filler, &public);
    let keys = RouterKeys {
        identity: RouterIdentity(keys.unwrap()),
        signing,
        encryption,
    };
    let now = Now {
        wall,
        ..Now::default()
    };
    let router = Router::new(Config::default(), keys, Saved::default(), rng, now);
    (router.unwrap(), now)
}

fn open(router: &mut Router, now: Now) {
    let open = ClientCmd::Open {
        id: ID,
        tag: b"t".to_vec(),
        host: DestHash([1; 32]).b32(),
        port: 80,
    };
    router.handle_client(now, open);
}

/// What a client that opens a stream now is told to be missing, and after how many seconds.
fn told(router: &mut Router, now: Now) -> (Missing, u64) {
    open(router, now);
    for secs in 0..100 {
        let later = now.after(Duration::from_secs(secs));
        if secs > 0 {
            router.handle_timeout(later);
        }
        while let Some(output) = router.poll_output() {
            match output {
                Output::Client(ClientEvent::NotReady { id: ID, readiness }) => {
                    return (readiness.missing, secs);
                }
                Output::Client(ClientEvent::Refused { why, .. }) => panic!("{why:?}"),
                _ => {}
            }
        }
    }
    panic!("never told");
}

fn missing(why: Refusal) -> Missing {
    match why {
        Refusal::NotReady(r) => r.missing,
        other => panic!("{other:?}"),
    }
}

const GOOD: Date = Date::from_secs(1_790_000_000);

#[test]
fn a_router_that_knows_nobody_says_so_at_once() {
    let (mut router, now) = start(GOOD);
    assert_eq!(told(&mut router, now), (Missing::Routers, 0));
    // Who cannot show a page waits on, and is told no other cause in the end.
    for secs in 1..100 {
        router.handle_timeout(now.after(Duration::from_secs(secs)));
        while let Some(output) = router.poll_output() {
            if let Output::Client(ClientEvent::Refused { why, .. }) = output {
                assert_eq!(missing(why), Missing::Routers);
                return assert!(secs > 15, "{secs}");
            }
        }
    }
    panic!("it waits for ever");
}

#[test]
fn a_clock_that_cannot_be_right_is_named_at_once() {
    let (mut router, now) = start(Date::from_secs(60));
    assert_eq!(told(&mut router, now), (Missing::Clock, 0));
}

#[test]
fn without_tunnels_the_router_and_no_site_is_the_cause() {
    let (mut router, now) = start(GOOD);
    let peer = RouterHash([2; 32]);
    router.connected.insert(peer);
    let (missing, secs) = told(&mut router, now);
    assert_eq!(missing, Missing::Tunnels);
    assert!(secs <= 3, "{secs}");
    // Later nobody waits for a start.
    let later = now.after(Duration::from_secs(600));
    assert_eq!(told(&mut router, later), (Missing::Tunnels, 0));
}

#[test]
fn a_site_is_not_blamed_for_what_the_router_lacks() {
    let (mut router, now) = start(GOOD);
    router.connected.insert(RouterHash([2; 32]));
    let first = router.dests.iter().next().map(|(pool, _)| pool);
    let pool = first.unwrap_or(PoolId(1));
    let why = router.cause(now, pool, Refusal::NoLeaseSet);
    assert_eq!(missing(why), Missing::Tunnels);
    router.connected.clear();
    let why = router.cause(now, pool, Refusal::NoAnswer);
    assert_eq!(missing(why), Missing::Routers);
}
