//! Hashes and ids that name things: routers, destinations, tunnels, messages.

use core::fmt;
use data_encoding::{Encoding, Specification};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// SHA-256 of the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut h = Sha256::new();
    for p in parts {
        h.update(p);
    }
    h.finalize().into()
}

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [a, b, c, d, ..] = self.0;
                write!(f, "{}", base64(&[a, b, c, d]).trim_end_matches('='))
            }
        }
    };
}

hash_type!(
    /// SHA-256 of a RouterIdentity. `Debug` prints the first six base64 characters.
    RouterHash
);
hash_type!(
    /// SHA-256 of a Destination. `Debug` prints the first six base64 characters.
    DestHash
);

impl DestHash {
    /// The `….b32.i2p` name: 52 base32 characters and the suffix (i2p docs/naming).
    #[must_use]
    pub fn b32(&self) -> String {
        let mut s = data_encoding::BASE32_NOPAD
            .encode(&self.0)
            .to_ascii_lowercase();
        s.push_str(".b32.i2p");
        s
    }
}

/// Id of a tunnel at one router; zero is "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId(pub u32);

/// Id of an I2NP message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u32);

static BASE64: LazyLock<Option<Encoding>> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols
        .push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~");
    spec.padding = Some('=');
    spec.encoding().ok()
});

/// I2P's base64: `-` and `~` in place of `+` and `/`, padded.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    BASE64.as_ref().map(|e| e.encode(bytes)).unwrap_or_default()
}

/// Decodes I2P's base64; `None` for any other character, length or padding.
#[must_use]
pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
    BASE64.as_ref()?.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_uses_the_i2p_alphabet() {
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "-~~-");
        assert_eq!(base64_decode("-~~-"), Some(vec![0xfb, 0xff, 0xfe]));
        assert_eq!(base64_decode("+//+"), None);
    }
}
