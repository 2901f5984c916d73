//! The file that updates a box: both images of a slot behind a signed header, and the keys for it.

use crate::arch::Arch;
use crate::fault::{About, Outcome};
use crate::places;
use crate::programs;
use ed25519_dalek::SigningKey;
use ramson_layout::bundle::{self, Body, Header};
use ramson_layout::key;
use ramson_layout::version::Version;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What a box has to have at least: raised when an update has to go through one in between.
const FROM: Version = Version::ZERO;

/// Images end at a whole block of the disk; what they have behind it is nothing but zeros.
const BLOCK: usize = 4096;

/// What is built: the workspace's release, and when its sources were changed last (in a repository
/// of git; elsewhere all builds of a release are one).
///
/// # Errors
/// The workspace's version is not three numbers.
pub fn version() -> Outcome<Version> {
    let build = programs::last_change().unwrap_or_else(|| "0".to_owned());
    let text = format!("{}+{build}", env!("CARGO_PKG_VERSION"));
    text.parse().about(text)
}

/// The key that signs: of a file, or one for development that is made once in the build directory.
///
/// # Errors
/// The file cannot be read, or is no key.
pub fn signing(file: Option<&Path>) -> Outcome<SigningKey> {
    let path = match file {
        Some(path) => path.to_path_buf(),
        None => places::target().join("image/development.key"),
    };
    if file.is_none() && !path.exists() {
        make(&path)?;
    }
    let text = zeroize::Zeroizing::new(fs::read_to_string(&path).at(&path)?);
    key::secret(&text).ok_or_else(|| format!("{}: 64 hexadecimal digits", path.display()))
}

/// Makes a new key.
fn make(path: &Path) -> Outcome<()> {
    let mut random = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random).about("random numbers")?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).at(folder)?;
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.at(path)?
        .write_all(key::secret_text(&random).as_bytes())
        .at(path)
}

/// What a box needs to know of itself and of whom it trusts: files of its root file system.
///
/// # Errors
/// As [`version`].
pub fn files(key: &SigningKey) -> Outcome<[(&'static str, String); 2]> {
    Ok([
        ("etc/ramson/version", format!("{}\n", version()?)),
        (
            "etc/ramson/update.pub",
            key::public_text(&key.verifying_key()),
        ),
    ])
}

/// Writes the update that puts these two images on a box.
///
/// # Errors
/// They cannot be read, or are larger than any partition for them.
pub fn write(arch: Arch, key: &SigningKey, boot: &Path, root: &Path) -> Outcome<PathBuf> {
    let to = places::built(arch).join("ramson.update");
    write_as(&to, arch, version()?, key, [boot, root])?;
    Ok(to)
}

/// As [`write()`], with another name and version.
///
/// # Errors
/// As [`write()`].
pub fn write_as(
    to: &Path,
    arch: Arch,
    version: Version,
    key: &SigningKey,
    [boot, root]: [&Path; 2],
) -> Outcome<()> {
    let bodies = [(boot, bundle::BOOT_MAX), (root, bundle::ROOT_MAX)].map(|(path, most)| {
        let body = body(path).at(path)?;
        match (1..=most).contains(&body.len) {
            true => Ok(body),
            false => Err(format!("{}: {} bytes", path.display(), body.len)),
        }
    });
    let [boot_body, root_body] = bodies;
    let header = Header {
        arch: bundle::Arch::of(arch.name()).ok_or("an architecture without updates")?,
        version,
        from: FROM,
        boot: boot_body?,
        root: root_body?,
    };
    let mut file = File::create(to).at(to)?;
    file.write_all(&header.sign(key)).at(to)?;
    for (path, body) in [(boot, header.boot), (root, header.root)] {
        let mut image = File::open(path).at(path)?.take(body.len);
        io::copy(&mut image, &mut file).at(path)?;
    }
    file.sync_all().at(to)
}

/// What of an image goes into an update: a FAT of a whole partition has little in it.
fn body(path: &Path) -> io::Result<Body> {
    let mut image = File::open(path)?;
    let mut block = vec![0; BLOCK];
    let (mut at, mut len) = (0, 0);
    loop {
        let n = read_block(&mut image, &mut block)?;
        at += n as u64;
        if block.iter().take(n).any(|b| *b != 0) {
            len = at;
        }
        if n < BLOCK {
            break;
        }
    }
    image.rewind()?;
    let mut hash = Sha256::new();
    let mut left = image.take(len);
    loop {
        let n = read_block(&mut left, &mut block)?;
        hash.update(block.get(..n).unwrap_or_default());
        if n < BLOCK {
            break;
        }
    }
    let sha256 = hash.finalize().into();
    Ok(Body { len, sha256 })
}

/// As much as there is, up to a whole block.
fn read_block(from: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = block.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match from.read(rest)? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_has_both_images_without_the_zeros_behind_them() {
        let dir = std::env::temp_dir().join(format!("ramson-bundle-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let [boot, root, to] = ["boot", "root", "update"].map(|name| dir.join(name));
        let mut fat = vec![0; 1 << 20];
        fat[..9000].fill(7);
        fs::write(&boot, &fat).unwrap();
        fs::write(&root, [9; 5001]).unwrap();
        let key = SigningKey::from_bytes(&[3; 32]);
        let version = version().unwrap();
        write_as(&to, Arch::X86_64, version, &key, [&boot, &root]).unwrap();
        let bytes = fs::read(&to).unwrap();
        let (head, bodies) = bytes.split_first_chunk().unwrap();
        let header = Header::open(head, &key.verifying_key()).unwrap();
        assert_eq!((header.boot.len, header.root.len), (12_288, 5001));
        assert_eq!(header.file_len(), bytes.len() as u64);
        assert_eq!(
            (header.arch, header.version),
            (bundle::Arch::X86_64, version)
        );
        let (one, two) = bodies.split_at(12_288);
        assert_eq!(one, &fat[..12_288]);
        assert_eq!(two, [9; 5001]);
        assert_eq!(header.boot.sha256, <[u8; 32]>::from(Sha256::digest(one)));
        assert_eq!(header.root.sha256, <[u8; 32]>::from(Sha256::digest(two)));
        fs::write(&root, []).unwrap();
        assert!(write_as(&to, Arch::X86_64, version, &key, [&boot, &root]).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_key_is_made_once_and_read_from_then_on() {
        let dir = std::env::temp_dir().join(format!("ramson-key-{}", std::process::id()));
        let path = dir.join("a/key");
        make(&path).unwrap();
        assert!(make(&path).is_err());
        let key = signing(Some(&path)).unwrap();
        let [(_, version), (_, public)] = files(&key).unwrap();
        assert!(version.trim().parse::<Version>().is_ok(), "{version}");
        assert_eq!(key::public(&public), Some(key.verifying_key()));
        fs::write(&path, "no key").unwrap();
        assert!(signing(Some(&path)).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
