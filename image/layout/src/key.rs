//! Keys of updates as text: 64 digits of hexadecimal, a line.

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use ed25519_dalek::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

fn bytes(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let decoded = Zeroizing::new(HEX.decode(text.trim().as_bytes()).ok()?);
    let mut bytes = Zeroizing::new([0; 32]);
    if decoded.len() != bytes.len() {
        return None;
    }
    bytes.copy_from_slice(&decoded);
    Some(bytes)
}

/// What a box trusts; `None` when the text is no key.
#[must_use]
pub fn public(text: &str) -> Option<VerifyingKey> {
    let key = VerifyingKey::from_bytes(&*bytes(text)?).ok()?;
    // Such a key would take signatures that nobody made.
    (!key.is_weak()).then_some(key)
}

/// What signs; `None` when the text is no key.
#[must_use]
pub fn secret(text: &str) -> Option<SigningKey> {
    Some(SigningKey::from_bytes(&*bytes(text)?))
}

/// The line for the box.
#[must_use]
pub fn public_text(key: &VerifyingKey) -> String {
    HEX.encode(key.as_bytes()) + "\n"
}

/// The line to be kept secret.
#[must_use]
pub fn secret_text(random: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(HEX.encode(random) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_written_and_weak_ones_are_none() {
        let secret = secret(&secret_text(&[7; 32])).unwrap();
        let text = public_text(&secret.verifying_key());
        assert_eq!(public(&text), Some(secret.verifying_key()));
        for bad in ["", "00", &"0".repeat(64), &"1".repeat(66), &text[1..]] {
            assert_eq!(public(bad), None, "{bad}");
        }
    }
}
