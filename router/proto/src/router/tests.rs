use super::Router;
use super::boot::Saved;
use super::input::LinkEvent;
use crate::config::{Config, RouterKeys};
use crate::crypto::sig::SigningKey;
use crate::crypto::x25519::PrivateKey;
use crate::rng::Rng;
use crate::time::Now;
use crate::wire::cert::ENC_X25519;
use crate::wire::identity::{KeysAndCert, RouterIdentity};

mod caps;
mod costs;
mod links;
mod shares;
mod time;

fn router(config: Config) -> Router {
    router_at(config, Now::default())
}

fn router_at(config: Config, now: Now) -> Router {
    start(config, 1, Saved::default(), now)
}

fn start(config: Config, seed: u64, saved: Saved, now: Now) -> Router {
    let mut rng = Rng::from_number(seed);
    let (encryption, signing) = (PrivateKey::random(&mut rng), SigningKey::random(&mut rng));
    let (filler, public) = (rng.bytes(320), signing.public());
    let keys = KeysAndCert::ed25519(ENC_X25519, encryption.public(), &filler, &public);
    let keys = RouterKeys {
        identity: RouterIdentity(keys.unwrap()),
        signing,
        encryption,
    };
    Router::new(config, keys, saved, rng, now).unwrap()
}

#[test]
fn transit_is_busy_near_its_limit_and_until_well_below() {
    let now = Now::default();
    let mut router = router(Config {
        transit_bytes_per_sec: 1000,
        ..Config::default()
    });
    let mut busy = |transit_bytes_per_sec, limited| {
        let load = LinkEvent::Load {
            transit_bytes_per_sec,
            limited,
        };
        router.handle_link(now, load);
        router.snapshot(now).transit_busy
    };
    let loads = [
        (899, false),
        (900, false),
        (700, false),
        (699, false),
        (0, true),
        (0, false),
    ];
    let seen = loads.map(|(bytes, limited)| busy(bytes, limited));
    assert_eq!(seen, [false, true, true, false, true, false]);
}
