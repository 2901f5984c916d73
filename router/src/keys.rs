//! The router's identity and transport keys, and the file that keeps them: 0600, written whole; a
//! damaged file is reported and never overwritten. Every copy on the way is wiped.

use crate::data_dir::DataDir;
use ramson_proto::config::RouterKeys;
use ramson_proto::crypto::sig::SigningKey;
use ramson_proto::crypto::x25519::PrivateKey;
use ramson_proto::rng::Rng;
use ramson_proto::wire::cert::ENC_X25519;
use ramson_proto::wire::cursor::Reader;
use ramson_proto::wire::hash::sha256;
use ramson_proto::wire::identity::{KeysAndCert, RouterIdentity};
use std::io;
use zeroize::Zeroizing;

/// Name of the file in the data directory.
pub const FILE: &str = "router.keys";
/// Its length: type, three keys, IV, port, padding, checksum.
const LEN: usize = 8 + 3 * 32 + 16 + 2 + 32 + 32;
/// The port chosen at the first start is one of these; below are ports that other routers hold
/// for those of well-known services and do not dial (Java I2P's list ends at 9150).
const PORTS: std::ops::Range<u16> = 9200..31_000;
const MAGIC: &[u8; 8] = b"RMSNKEY1";
/// Bytes between the two keys of the identity: one random block repeated, so that RouterInfos
/// compress well (i2p proposal 161).
const PADDING_BLOCKS: usize = 10;

/// Everything that is secret about the router.
#[derive(Clone)]
pub struct KeyFile {
    /// The identity's keys.
    pub router: RouterKeys,
    /// NTCP2 static key (`s`).
    pub ntcp2: PrivateKey,
    /// NTCP2 obfuscation IV (`i`).
    pub iv: [u8; 16],
    /// TCP port chosen at the first start.
    pub port: u16,
    padding: [u8; 32],
}

impl KeyFile {
    /// New keys, and a random port.
    pub fn generate(rng: &mut Rng) -> Result<Self, String> {
        let port = PORTS.start + rng.below(usize::from(PORTS.end - PORTS.start)) as u16;
        Self::assemble(
            PrivateKey::random(rng),
            SigningKey::random(rng),
            PrivateKey::random(rng),
            rng.array(),
            port,
            rng.array(),
        )
    }

    fn assemble(
        encryption: PrivateKey,
        signing: SigningKey,
        ntcp2: PrivateKey,
        iv: [u8; 16],
        port: u16,
        padding: [u8; 32],
    ) -> Result<Self, String> {
        let filler = padding.repeat(PADDING_BLOCKS);
        let keys =
            KeysAndCert::ed25519(ENC_X25519, encryption.public(), &filler, &signing.public())
                .map_err(|e| e.to_string())?;
        let identity = RouterIdentity(keys);
        Ok(Self {
            router: RouterKeys {
                identity,
                signing,
                encryption,
            },
            ntcp2,
            iv,
            port,
            padding,
        })
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Its final size from the start: growing would leave copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(LEN));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(self.router.encryption.expose());
        out.extend_from_slice(self.router.signing.expose());
        out.extend_from_slice(self.ntcp2.expose());
        out.extend_from_slice(&self.iv);
        out.extend_from_slice(&self.port.to_be_bytes());
        out.extend_from_slice(&self.padding);
        let sum = sha256(&[&out]);
        out.extend_from_slice(&sum);
        out
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut r = Reader::new(bytes);
        let bad = |e: ramson_proto::wire::error::WireError| e.to_string();
        if &r.array::<8>("the file's type").map_err(bad)? != MAGIC {
            return Err("is not a key file of this router".to_owned());
        }
        let mut key = |name| r.array::<32>(name).map(Zeroizing::new).map_err(bad);
        let encryption = PrivateKey::new(*key("the encryption key")?);
        let signing = SigningKey::new(*key("the signing key")?);
        let ntcp2 = PrivateKey::new(*key("the NTCP2 key")?);
        let iv = r.array("the NTCP2 IV").map_err(bad)?;
        let port = r.u16("the port").map_err(bad)?;
        let padding = r.array("the padding").map_err(bad)?;
        let sum = sha256(&[r.since(0)]);
        if r.array("the checksum").map_err(bad)? != sum {
            return Err("the checksum does not match: the file is damaged".to_owned());
        }
        r.finish("the file").map_err(bad)?;
        Self::assemble(encryption, signing, ntcp2, iv, port, padding)
    }

    /// Reads the file, or answers `None` when there is none.
    ///
    /// # Errors
    /// File and reason.
    pub fn load(dir: &DataDir) -> Result<Option<Self>, String> {
        let path = dir.path(FILE);
        let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        match dir.read(FILE, LEN) {
            Ok(bytes) => Self::parse(&bytes).map(Some).map_err(|e| {
                named(&format!(
                    "{e}. Restore it from a backup, or move it away for a new identity"
                ))
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(named(&e)),
        }
    }

    /// Reads the file, or makes it when there is none.
    ///
    /// # Errors
    /// File and reason. A file that exists is never replaced.
    pub fn load_or_create(dir: &DataDir, rng: &mut Rng) -> Result<Self, String> {
        if let Some(keys) = Self::load(dir)? {
            return Ok(keys);
        }
        let keys = Self::generate(rng)?;
        dir.write(FILE, &keys.to_bytes())
            .map_err(|e| format!("{}: {e}", dir.path(FILE).display()))?;
        Ok(keys)
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
    fn kept_over_a_restart_and_never_overwritten() {
        let place = std::env::temp_dir().join(format!("ramson-keys-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        let dir = DataDir::open(&place, Log::new(Level::Error)).unwrap();
        let path = dir.path(FILE);
        let mut rng = Rng::from_number(1);
        let a = KeyFile::load_or_create(&dir, &mut rng).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let b = KeyFile::load_or_create(&dir, &mut rng).unwrap();
        assert_eq!(a.router.identity, b.router.identity);
        assert_eq!((a.iv, a.port), (b.iv, b.port));
        assert_eq!(a.to_bytes().len(), LEN);
        let good = fs::read(&path).unwrap();
        let mut bytes = good.clone();
        bytes[20] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let e = KeyFile::load_or_create(&dir, &mut rng).err().unwrap();
        assert!(e.contains("router.keys") && e.contains("damaged"), "{e}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
        bytes.truncate(50);
        fs::write(&path, &bytes).unwrap();
        let e = KeyFile::load_or_create(&dir, &mut rng).err().unwrap();
        assert!(e.contains("truncated"), "{e}");
        fs::write(&path, [&good[..], b"x"].concat()).unwrap();
        let e = KeyFile::load_or_create(&dir, &mut rng).err().unwrap();
        assert!(e.contains("longer than"), "{e}");
        fs::remove_dir_all(&place).unwrap();
    }

    /// Java I2P dials none of 9001, 9030, 9050, 9100, 9150, nor most below.
    #[test]
    fn the_port_is_one_that_others_dial() {
        let mut rng = Rng::from_number(2);
        for _ in 0..2000 {
            let port = KeyFile::generate(&mut rng).unwrap().port;
            assert!(PORTS.contains(&port), "{port}");
        }
    }
}
