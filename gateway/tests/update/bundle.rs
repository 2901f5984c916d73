//! An update of 16 MiB.

use ed25519_dalek::SigningKey;
use ramson_layout::bundle::{Arch, Body, Header};
use ramson_layout::version::Version;
use sha2::{Digest, Sha256};

pub const BOOT: usize = 4 << 20;
pub const ROOT: usize = 12 << 20;

pub fn image(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8 ^ seed).collect()
}

pub fn bundle(key: &SigningKey, change: impl Fn(&mut Header)) -> Vec<u8> {
    let images = [image(BOOT, 1), image(ROOT, 2)];
    let [boot, root] = images.each_ref().map(|image| Body {
        len: image.len() as u64,
        sha256: Sha256::digest(image).into(),
    });
    let mut header = Header {
        arch: Arch::of(std::env::consts::ARCH).unwrap(),
        version: "0.1.0+200".parse().unwrap(),
        from: Version::ZERO,
        boot,
        root,
    };
    change(&mut header);
    let [boot, root] = images;
    [&header.sign(key)[..], &boot, &root].concat()
}
