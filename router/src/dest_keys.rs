//! Private-key files of destinations, as Java I2P and i2pd write them (`eepPriv.dat`): destination,
//! encryption key, signing key, and what belongs to keys that sign for others. The encryption key
//! is of old and unused; LeaseSets have keys of their own, new at every start.

use crate::data_dir::DataDir;
use ramson_proto::config::DestinationKeys;
use ramson_proto::crypto::sig::SigningKey;
use ramson_proto::crypto::x25519::PrivateKey;
use ramson_proto::rng::Rng;
use ramson_proto::router::boot::client_keys;
use ramson_proto::wire::cert::SigType;
use ramson_proto::wire::cursor::Reader;
use ramson_proto::wire::identity::Destination;
use std::io;
use zeroize::Zeroizing;

/// Longer than any such file is.
pub const LEN_MAX: usize = 8 * 1024;
/// Bytes of a private ElGamal key.
const ELGAMAL: usize = 256;

/// What a file holds.
pub struct DestFile {
    destination: Destination,
    signing: SigningKey,
}

impl DestFile {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// Why it cannot be served.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut r = Reader::new(bytes);
        let bad = |e: ramson_proto::wire::error::WireError| e.to_string();
        let destination = Destination::read(&mut r).map_err(bad)?;
        let keys = destination.keys();
        let encryption = match keys.certificate().enc_type() {
            0 => ELGAMAL,
            1..=4 => 32,
            other => return Err(format!("has a key of the unknown encryption type {other}")),
        };
        r.take(encryption, "the encryption key").map_err(bad)?;
        let kind = keys.sig_type();
        if kind != SigType::Ed25519 {
            return Err(format!(
                "signs with {kind:?}, and only destinations that sign with Ed25519 can be served"
            ));
        }
        let seed = r.array::<32>("the signing key").map_err(bad)?;
        let seed = Zeroizing::new(seed);
        if *seed == [0; 32] {
            return Err(
                "has an offline signing key: only those can be served that hold the \
                 destination's own"
                    .to_owned(),
            );
        }
        let signing = SigningKey::new(*seed);
        if keys.signing_key() != signing.public() {
            return Err("is damaged: its signing key is not the destination's".to_owned());
        }
        r.finish("the file").map_err(bad)?;
        Ok(Self {
            destination,
            signing,
        })
    }

    /// The destination.
    #[must_use]
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Its keys, with a new one for LeaseSets.
    #[must_use]
    pub fn keys(&self, rng: &mut Rng) -> DestinationKeys {
        DestinationKeys {
            destination: self.destination.clone(),
            signing: self.signing.clone(),
            encryption: PrivateKey::random(rng),
        }
    }

    /// Reads a file of the data directory, or answers `None` when there is none.
    ///
    /// # Errors
    /// File and reason.
    pub fn load(dir: &DataDir, name: &str) -> Result<Option<Self>, String> {
        let named = |e: &dyn std::fmt::Display| format!("{}: {e}", dir.path(name).display());
        match dir.read(name, LEN_MAX) {
            Ok(bytes) => Self::parse(&bytes).map(Some).map_err(|e| named(&e)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(named(&e)),
        }
    }

    /// Reads a file, or makes it when there is none.
    ///
    /// # Errors
    /// File and reason. A file that exists is never replaced.
    pub fn load_or_create(dir: &DataDir, name: &str, rng: &mut Rng) -> Result<Self, String> {
        if let Some(file) = Self::load(dir, name)? {
            return Ok(file);
        }
        let keys = client_keys(rng).ok_or("no keys could be made")?;
        let file = Self {
            destination: keys.destination,
            signing: keys.signing,
        };
        let write = dir.write(name, &file.to_bytes(rng));
        write.map_err(|e| format!("{}: {e}", dir.path(name).display()))?;
        Ok(file)
    }

    /// The bytes of a new file.
    fn to_bytes(&self, rng: &mut Rng) -> Zeroizing<Vec<u8>> {
        let public = self.destination.as_bytes();
        // Its final size from the start: growing would leave copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(public.len() + ELGAMAL + 32));
        out.extend_from_slice(public);
        for _ in 0..ELGAMAL / 32 {
            out.extend_from_slice(&rng.array::<32>());
        }
        out.extend_from_slice(self.signing.expose());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;
    use ramson_proto::trace::Level;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn made_once_and_never_overwritten() {
        let place = std::env::temp_dir().join(format!("ramson-dest-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        let dir = DataDir::open(&place, Log::new(Level::Error)).unwrap();
        let mut rng = Rng::from_number(1);
        assert!(DestFile::load(&dir, "a.dat").unwrap().is_none());
        let a = DestFile::load_or_create(&dir, "a.dat", &mut rng).unwrap();
        let path = dir.path("a.dat");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let b = DestFile::load_or_create(&dir, "a.dat", &mut rng).unwrap();
        assert_eq!(a.destination, b.destination);
        let (one, two) = (a.keys(&mut rng), a.keys(&mut rng));
        assert_ne!(one.encryption.public(), two.encryption.public());

        let good = fs::read(&path).unwrap();
        let refused = |bytes: &[u8], why: &str| {
            fs::write(&path, bytes).unwrap();
            let e = DestFile::load_or_create(&dir, "a.dat", &mut Rng::from_number(2));
            let e = e.err().unwrap();
            assert!(e.contains("a.dat") && e.contains(why), "{e}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        };
        for cut in [0, 100, 391, good.len() - 1] {
            refused(&good[..cut], "truncated");
        }
        refused(&[&good[..], b"x"].concat(), "");
        let mut other = good.clone();
        *other.last_mut().unwrap() ^= 1;
        refused(&other, "damaged");
        let start = good.len() - 32;
        refused(&[&good[..start], &[0; 32]].concat(), "offline");
        refused(&[&[0; 384][..], &[0, 0, 0], &[1; 300]].concat(), "DsaSha1");
        fs::remove_dir_all(&place).unwrap();
    }
}
