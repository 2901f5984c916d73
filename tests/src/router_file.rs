//! Reads what peers write: `router.info` (common structures, RouterInfo) and I2P key files.
//!
//! A second, deliberately simple reader beside the router's own: it judges nothing and trusts its
//! input, because the peers of the bench are ours. No signature is checked here.

use data_encoding::{BASE32_NOPAD, BASE64};
use sha2::{Digest, Sha256};

use crate::fault::{Fault, Outcome};

/// What the bench wants to know of a router.
pub struct RouterFile {
    /// Base64 (I2P alphabet) of the identity's SHA-256.
    pub hash: String,
    pub addresses: usize,
    pub caps: String,
    pub version: String,
}

/// Parses a `router.info` file.
pub fn parse(bytes: &[u8]) -> Outcome<RouterFile> {
    read_fields(bytes).ok_or_else(|| Fault::new("router.info is cut short"))
}

fn read_fields(bytes: &[u8]) -> Option<RouterFile> {
    let identity = bytes.get(..identity_len(bytes)?)?;
    let mut rest = bytes.get(identity.len() + 8..)?;
    let (&count, tail) = rest.split_first()?;
    rest = tail;
    for _ in 0..count {
        rest = rest.get(9..)?;
        take_string(&mut rest)?;
        take_mapping(&mut rest)?;
    }
    let (&peers, tail) = rest.split_first()?;
    rest = tail.get(32 * usize::from(peers)..)?;
    let options = take_mapping(&mut rest)?;
    let option = |name: &str| {
        let found = options.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    Some(RouterFile {
        hash: base64(&Sha256::digest(identity)),
        addresses: usize::from(count),
        caps: option("caps"),
        version: option("router.version"),
    })
}

/// The identity or destination at the start of a key file or RouterInfo.
pub fn destination(bytes: &[u8]) -> Outcome<&[u8]> {
    identity_len(bytes)
        .and_then(|length| bytes.get(..length))
        .ok_or_else(|| Fault::new("key file is cut short"))
}

/// `<52 characters>.b32.i2p` of a destination.
pub fn b32_name(destination: &[u8]) -> String {
    let text = BASE32_NOPAD.encode(&Sha256::digest(destination));
    format!("{}.b32.i2p", text.to_lowercase())
}

/// Base64 in I2P's alphabet.
pub fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes).replace('+', "-").replace('/', "~")
}

fn identity_len(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(385..387)?;
    Some(387 + usize::from(u16::from_be_bytes(length.try_into().ok()?)))
}

fn take_string(rest: &mut &[u8]) -> Option<String> {
    let (&length, tail) = rest.split_first()?;
    let text = tail.get(..usize::from(length))?;
    *rest = tail.get(usize::from(length)..)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn take_mapping(rest: &mut &[u8]) -> Option<Vec<(String, String)>> {
    let size = u16::from_be_bytes(rest.get(..2)?.try_into().ok()?);
    let mut body = rest.get(2..2 + usize::from(size))?;
    *rest = rest.get(2 + usize::from(size)..)?;
    let mut pairs = Vec::new();
    while !body.is_empty() {
        let key = take_string(&mut body)?;
        body = body.get(1..)?;
        let value = take_string(&mut body)?;
        body = body.get(1..)?;
        pairs.push((key, value));
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut body = Vec::new();
        for (key, value) in pairs {
            body.push(key.len() as u8);
            body.extend_from_slice(key.as_bytes());
            body.push(b'=');
            body.push(value.len() as u8);
            body.extend_from_slice(value.as_bytes());
            body.push(b';');
        }
        let mut out = (body.len() as u16).to_be_bytes().to_vec();
        out.extend(body);
        out
    }

    #[test]
    fn reads_router_info() {
        let mut file = vec![7; 384];
        file.extend([5, 0, 4, 0, 7, 0, 4]);
        file.extend([0; 8]);
        file.extend([1, 10]);
        file.extend([0; 8]);
        file.extend(b"\x05NTCP2");
        file.extend(mapping(&[("caps", "4"), ("host", "10.1.0.1")]));
        file.push(0);
        file.extend(mapping(&[("caps", "XfR"), ("router.version", "0.9.65")]));
        let read = parse(&file).unwrap();
        assert_eq!((read.addresses, read.caps.as_str()), (1, "XfR"));
        assert_eq!(read.version, "0.9.65");
        assert_eq!(read.hash, base64(&Sha256::digest(&file[..391])));
        for cut in [0, 386, 400, 430, file.len() - 3] {
            assert!(parse(&file[..cut]).is_err(), "cut at {cut}");
        }
    }
}
