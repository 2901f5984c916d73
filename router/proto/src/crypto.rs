//! One narrow file per primitive; nothing above this level names a cryptography crate.

pub mod aead;
pub mod aes;
pub mod chacha;
pub mod elligator2;
pub mod hkdf;
pub mod legacy;
pub mod noise;
pub mod sig;
pub mod siphash;
pub mod tunnel_aes;
pub mod x25519;
