//! Elligator2: X25519 public keys as uniformly random strings
//! (i2p spec/ecies, Elligator2; <https://elligator.cr.yp.to/elligator-20130828.pdf>).

use super::x25519::PrivateKey;
use crate::rng::Rng;
use fiat_crypto::curve25519_64 as fiat;

/// The Montgomery coefficient A of Curve25519, little endian.
const A: u32 = 486_662;
/// (p - 1) / 2 = 2^254 - 10.
const HALF_P: [u8; 32] = exponent(0xf6, 0xff, 0x3f);
/// p - 2 = 2^255 - 21.
const P_MINUS_2: [u8; 32] = exponent(0xeb, 0xff, 0x7f);
/// (p + 3) / 8 = 2^252 - 2.
const ROOT: [u8; 32] = exponent(0xfe, 0xff, 0x0f);
/// (p - 1) / 4 = 2^253 - 5: two to this power is a square root of -1.
const QUARTER: [u8; 32] = exponent(0xfb, 0xff, 0x1f);

const fn exponent(low: u8, middle: u8, high: u8) -> [u8; 32] {
    let mut e = [middle; 32];
    e[0] = low;
    e[31] = high;
    e
}

/// A field element modulo 2^255 - 19.
#[derive(Clone, Copy)]
struct Fe(fiat::fiat_25519_tight_field_element);

impl Fe {
    fn small(n: u32) -> Self {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        Self::from_bytes(&bytes)
    }

    /// Little endian; the top bit must be clear.
    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut out = fiat::fiat_25519_tight_field_element([0; 5]);
        fiat::fiat_25519_from_bytes(&mut out, bytes);
        Self(out)
    }

    /// Fully reduced, little endian.
    fn to_bytes(self) -> [u8; 32] {
        let mut out = [0; 32];
        fiat::fiat_25519_to_bytes(&mut out, &self.0);
        out
    }

    fn loose(self) -> fiat::fiat_25519_loose_field_element {
        let mut out = fiat::fiat_25519_loose_field_element([0; 5]);
        fiat::fiat_25519_relax(&mut out, &self.0);
        out
    }

    fn carry(loose: &fiat::fiat_25519_loose_field_element) -> Self {
        let mut out = fiat::fiat_25519_tight_field_element([0; 5]);
        fiat::fiat_25519_carry(&mut out, loose);
        Self(out)
    }

    fn mul(self, other: Self) -> Self {
        let mut out = fiat::fiat_25519_tight_field_element([0; 5]);
        fiat::fiat_25519_carry_mul(&mut out, &self.loose(), &other.loose());
        Self(out)
    }

    fn add(self, other: Self) -> Self {
        let mut out = fiat::fiat_25519_loose_field_element([0; 5]);
        fiat::fiat_25519_add(&mut out, &self.0, &other.0);
        Self::carry(&out)
    }

    fn neg(self) -> Self {
        let mut out = fiat::fiat_25519_loose_field_element([0; 5]);
        fiat::fiat_25519_opp(&mut out, &self.0);
        Self::carry(&out)
    }

    /// To a constant power, little endian.
    fn pow(self, exponent: &[u8; 32]) -> Self {
        let mut out = Self::small(1);
        for byte in exponent.iter().rev() {
            for bit in (0..8).rev() {
                out = out.mul(out);
                if byte >> bit & 1 == 1 {
                    out = out.mul(self);
                }
            }
        }
        out
    }

    fn invert(self) -> Self {
        self.pow(&P_MINUS_2)
    }

    fn equals(self, other: Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }

    fn is_square(self) -> bool {
        let e = self.pow(&HALF_P);
        e.equals(Self::small(1)) || e.equals(Self::small(0))
    }

    /// The square root in 0..=(p-1)/2, when there is one.
    fn sqrt(self) -> Option<Self> {
        let mut r = self.pow(&ROOT);
        if !r.mul(r).equals(self) {
            r = r.mul(Self::small(2).pow(&QUARTER));
        }
        if !r.mul(r).equals(self) {
            return None;
        }
        let (low, high) = (r.to_bytes(), r.neg().to_bytes());
        Some(if low.iter().rev().le(high.iter().rev()) {
            r
        } else {
            r.neg()
        })
    }
}

/// The representative of a public key, for about half of all keys. Bit 0 of `tweak` chooses which
/// of the two representatives, bits 7-6 become the two free top bits.
#[must_use]
pub fn encode(public: &[u8; 32], tweak: u8) -> Option<[u8; 32]> {
    let mut u = *public;
    u[31] &= 0x7f;
    let x = Fe::from_bytes(&u);
    let minus_xa = x.add(Fe::small(A)).neg();
    let two = Fe::small(2);
    let (num, den) = if tweak & 1 == 0 {
        (x, minus_xa)
    } else {
        (minus_xa, x)
    };
    let den = two.mul(den);
    if den.equals(Fe::small(0)) {
        return None;
    }
    let mut out = num.mul(den.invert()).sqrt()?.to_bytes();
    out[31] |= tweak & 0xc0;
    Some(out)
}

/// The public key of a representative; the two top bits are ignored.
#[must_use]
pub fn decode(representative: &[u8; 32]) -> [u8; 32] {
    let mut r = *representative;
    r[31] &= 0x3f;
    let r = Fe::from_bytes(&r);
    let a = Fe::small(A);
    let den = Fe::small(1).add(Fe::small(2).mul(r).mul(r));
    let v = a.mul(den.invert()).neg();
    let v2 = v.mul(v);
    let curve = v2.mul(v).add(a.mul(v2)).add(v);
    let x = if curve.is_square() {
        v
    } else {
        v.neg().add(a.neg())
    };
    x.to_bytes()
}

/// A new key pair whose public key has a representative, with that representative.
#[must_use]
pub fn random_key(rng: &mut Rng) -> (PrivateKey, [u8; 32]) {
    loop {
        let key = PrivateKey::random(rng);
        let tweak = rng.array::<1>()[0];
        if let Some(representative) = encode(key.public(), tweak) {
            return (key, representative);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn representatives_decode_to_their_keys() {
        let mut rng = Rng::from_number(1);
        let mut found = 0;
        for _ in 0..64 {
            let key = PrivateKey::random(&mut rng);
            let (a, b) = (encode(key.public(), 0xc0), encode(key.public(), 1));
            assert_eq!(a.is_some(), b.is_some());
            if let (Some(a), Some(b)) = (a, b) {
                found += 1;
                assert_eq!(a[31] & 0xc0, 0xc0);
                assert_ne!(a[..31], b[..31]);
                assert_eq!(decode(&a), *key.public());
                assert_eq!(decode(&b), *key.public());
            }
        }
        assert!(
            (16..48).contains(&found),
            "{found} of 64 keys have a representative"
        );
    }
}
