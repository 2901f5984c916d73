//! Address helpers: links that bring the destination of their host along
//! (i2p docs/api/i2ptunnel, `i2paddresshelper`).
//!
//! Anybody can write such a link, so a new name is taken only from a person: from the form of a
//! page of ours, with a token that binds who was asked about which name and which destination.

use crate::crypto::hkdf::hmac_sha256;
use crate::names::{NameError, hosts::Hosts, resolve};
use crate::wire::hash::DestHash;
use subtle::ConstantTimeEq;

/// The parameter's name.
const PARAMETER: &str = "i2paddresshelper";

/// The field of the form that holds the token.
pub const FIELD: &str = "ramson-token";

/// Most bytes of such a form.
pub const FORM_MAX: usize = 256;

/// What a link brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// The destination, unless what is said is none.
    pub dest: Result<DestHash, NameError>,
    /// The request's target without the helper.
    pub clean: String,
}

/// The helper of a request's target, if it has one.
#[must_use]
pub fn find(target: &str) -> Option<Helper> {
    let (path, query) = target.split_once('?')?;
    let is_helper = |part: &&str| {
        let name = part.split('=').next().unwrap_or_default();
        name.eq_ignore_ascii_case(PARAMETER)
    };
    let value = query.split('&').find(is_helper)?;
    let value = value.split_once('=').map_or("", |(_, value)| value);
    let rest: Vec<&str> = query.split('&').filter(|part| !is_helper(part)).collect();
    let clean = if rest.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", rest.join("&"))
    };
    let dest = decoded(value).ok_or(NameError::Bad);
    let dest = dest.and_then(|value| resolve(&value, &Hosts::default()));
    Some(Helper {
        // Names that only an address book knows are no addresses.
        dest: dest.map_err(|e| match e {
            NameError::Unknown => NameError::Bad,
            e => e,
        }),
        clean,
    })
}

/// Percent-decoded; `None` if that is not text.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = value.bytes();
    let mut out = Vec::with_capacity(value.len());
    while let Some(b) = bytes.next() {
        out.push(if b == b'%' {
            let pair = [bytes.next()?, bytes.next()?];
            u8::from_str_radix(str::from_utf8(&pair).ok()?, 16).ok()?
        } else {
            b
        });
    }
    String::from_utf8(out).ok()
}

/// Binds a client, a name and a destination, under a key that nobody else has: 64 characters.
#[must_use]
pub fn token(key: &[u8; 32], tag: &[u8], name: &str, dest: &DestHash) -> String {
    let len = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes();
    let name = name.to_ascii_lowercase();
    let parts: [&[u8]; 5] = [
        &len(tag),
        tag,
        &len(name.as_bytes()),
        name.as_bytes(),
        &dest.0,
    ];
    let mac = hmac_sha256(key, &parts);
    data_encoding::HEXLOWER.encode(&mac)
}

/// Whether a form's body brings this token.
#[must_use]
pub fn brings(form: &[u8], token: &str) -> bool {
    let field = |part: &&[u8]| part.starts_with(FIELD.as_bytes());
    let found = form.split(|b| *b == b'&').find(field);
    let value = found.and_then(|part| part.strip_prefix(FIELD.as_bytes())?.strip_prefix(b"="));
    value.is_some_and(|value| value.ct_eq(token.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEST: &str = include_str!("../../../../tests/vectors/destination.b64");

    #[test]
    fn a_helper_is_found_and_taken_out() {
        let known = resolve(DEST.trim(), &Hosts::default()).unwrap();
        let b32 = known.b32();
        let encoded = DEST.trim().replace('=', "%3D").replace('~', "%7e");
        for (target, clean) in [
            (format!("/?i2paddresshelper={}", DEST.trim()), "/"),
            (format!("/a?i2paddresshelper={encoded}"), "/a"),
            (format!("/a?x=1&i2paddresshelper={b32}&y"), "/a?x=1&y"),
            (format!("/a?I2PAddressHelper={}", b32.to_uppercase()), "/a"),
        ] {
            let found = find(&target).unwrap();
            assert_eq!(
                (found.dest, found.clean.as_str()),
                (Ok(known), clean),
                "{target}"
            );
        }
        for bad in ["", "x", "site.i2p", "%", "%zz", "%ff", "short.b32.i2p"] {
            let found = find(&format!("/a?i2paddresshelper={bad}&b=c")).unwrap();
            assert_eq!(
                (found.dest, found.clean.as_str()),
                (Err(NameError::Bad), "/a?b=c")
            );
        }
        for none in [
            "/",
            "/i2paddresshelper=x",
            "/?x=i2paddresshelper",
            "/?xi2paddresshelper=y",
        ] {
            assert_eq!(find(none), None, "{none}");
        }
    }

    #[test]
    fn a_token_is_for_one_client_one_name_and_one_destination() {
        let (key, dest) = ([1; 32], DestHash([2; 32]));
        let good = token(&key, b"tag", "a.i2p", &dest);
        assert_eq!(token(&key, b"tag", "A.i2p", &dest), good);
        for other in [
            token(&[2; 32], b"tag", "a.i2p", &dest),
            token(&key, b"ta", "ga.i2p", &dest),
            token(&key, b"tag", "b.i2p", &dest),
            token(&key, b"tag", "a.i2p", &DestHash([3; 32])),
        ] {
            assert_ne!(other, good);
        }
        assert!(brings(format!("ramson-token={good}").as_bytes(), &good));
        assert!(brings(format!("x=y&ramson-token={good}").as_bytes(), &good));
        for bad in ["", "ramson-token=", "ramson-token", "token=", &good] {
            assert!(!brings(bad.as_bytes(), &good), "{bad}");
        }
        assert!(!brings(format!("ramson-token={good}0").as_bytes(), &good));
    }
}
