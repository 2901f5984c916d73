//! What `routerd` says to damaged files: the file and the reason, and nothing is overwritten.

// Helpers of a test may panic, and real processes need real time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "place/place.rs"]
mod place;

use place::{Place, vector, words};
use std::fs;

#[test]
fn a_corrupt_seed_is_named_and_left_out() {
    let place = Place::new("seed", "[seeds]\ndir = \"../seeds\"\n");
    let seeds = place.file("seeds");
    fs::create_dir_all(&seeds).unwrap();
    fs::copy(vector("router3-bad-signature.dat"), seeds.join("three.dat")).unwrap();
    let good = fs::read(vector("router1.dat")).unwrap();
    fs::write(seeds.join("one.dat"), &good[..good.len() - 1]).unwrap();
    let output = place.start_and_stop();
    assert!(output.status.success(), "{}", words(&output));
    let text = words(&output);
    assert!(text.contains("three.dat: RouterInfo"), "{text}");
    assert!(
        text.contains("one.dat: RouterInfo.signature is truncated"),
        "{text}"
    );
}

#[test]
fn a_forged_or_cut_reseed_file_ends_the_start() {
    let place = Place::new("su3", "[seeds]\nsu3 = \"../seeds.su3\"\n");
    let good = fs::read(vector("i2pseeds.su3")).unwrap();
    let mut forged = good.clone();
    forged[good.len() / 2] ^= 1;
    for bytes in [&forged[..], &good[..good.len() / 2]] {
        fs::write(place.file("seeds.su3"), bytes).unwrap();
        let output = place.run(&[]);
        assert!(!output.status.success());
        assert!(words(&output).contains("seeds.su3: "), "{}", words(&output));
    }
}

#[test]
fn a_damaged_identity_is_never_overwritten() {
    let place = Place::new("keys", "");
    assert!(place.start_and_stop().status.success());
    let path = place.file("data/router.keys");
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let output = place.run(&[]);
    assert!(!output.status.success());
    let text = words(&output);
    assert!(
        text.contains("router.keys") && text.contains("damaged"),
        "{text}"
    );
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_bad_configuration_is_refused_with_its_line() {
    let place = Place::new("config", "[tunnels]\nhops = 9\n");
    for words_of in [&["--check-config"][..], &[]] {
        let output = place.run(words_of);
        assert!(!output.status.success());
        let text = words(&output);
        assert!(
            text.contains("routerd.toml:10: hops must be 0 to 3"),
            "{text}"
        );
    }
    let place = Place::new("good", "");
    let output = place.run(&["--check-config"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("routerd.toml: ok"));
}
