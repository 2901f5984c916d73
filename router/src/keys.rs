//! Secret files: the router's identity and transport keys. 0600, written whole by a temporary
//! file, fsync and rename; a damaged file is reported and never overwritten.

use ramson_proto::config::RouterKeys;
use ramson_proto::crypto::sig::SigningKey;
use ramson_proto::crypto::x25519::PrivateKey;
use ramson_proto::rng::Rng;
use ramson_proto::wire::cert::ENC_X25519;
use ramson_proto::wire::cursor::{Reader, Writer};
use ramson_proto::wire::hash::sha256;
use ramson_proto::wire::identity::{KeysAndCert, RouterIdentity};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

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
    /// New keys, and a random port above the registered ones of common services.
    pub fn generate(rng: &mut Rng) -> Result<Self, String> {
        let port = 9000 + rng.below(22_000) as u16;
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

    fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.put(MAGIC)
            .put(self.router.encryption.expose())
            .put(self.router.signing.expose());
        w.put(self.ntcp2.expose())
            .put(&self.iv)
            .u16(self.port)
            .put(&self.padding);
        let sum = sha256(&[w.as_slice()]);
        w.put(&sum);
        w.into_vec()
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut r = Reader::new(bytes);
        let bad = |e: ramson_proto::wire::error::WireError| e.to_string();
        if &r.array::<8>("the file's type").map_err(bad)? != MAGIC {
            return Err("is not a key file of this router".to_owned());
        }
        let encryption = PrivateKey::new(r.array("the encryption key").map_err(bad)?);
        let signing = SigningKey::new(r.array("the signing key").map_err(bad)?);
        let ntcp2 = PrivateKey::new(r.array("the NTCP2 key").map_err(bad)?);
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

    /// Reads the file, or makes it when there is none.
    ///
    /// # Errors
    /// File and reason. A file that exists is never replaced.
    pub fn load_or_create(path: &Path, rng: &mut Rng) -> Result<Self, String> {
        let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        match fs::read(path) {
            Ok(bytes) => Self::parse(&bytes).map_err(|e| {
                named(&format!(
                    "{e}. Restore it from a backup, or move it away for a new identity"
                ))
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let keys = Self::generate(rng)?;
                write_secret(path, &keys.to_bytes()).map_err(|e| named(&e))?;
                Ok(keys)
            }
            Err(e) => Err(named(&e)),
        }
    }
}

/// Writes a file of mode 0600 that is there whole or not at all.
pub fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temp = path.with_extension("new");
    match fs::remove_file(&temp) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temp)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temp, path)?;
    if let Some(dir) = path.parent() {
        fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn kept_over_a_restart_and_never_overwritten() {
        let dir = std::env::temp_dir().join(format!("ramson-keys-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("router.keys");
        let _ = fs::remove_file(&path);
        let mut rng = Rng::from_number(1);
        let a = KeyFile::load_or_create(&path, &mut rng).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let b = KeyFile::load_or_create(&path, &mut rng).unwrap();
        assert_eq!(a.router.identity, b.router.identity);
        assert_eq!((a.iv, a.port), (b.iv, b.port));
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let e = KeyFile::load_or_create(&path, &mut rng).err().unwrap();
        assert!(e.contains("router.keys") && e.contains("damaged"), "{e}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
        bytes.truncate(50);
        fs::write(&path, &bytes).unwrap();
        let e = KeyFile::load_or_create(&path, &mut rng).err().unwrap();
        assert!(e.contains("truncated"), "{e}");
        fs::remove_dir_all(&dir).unwrap();
    }
}
