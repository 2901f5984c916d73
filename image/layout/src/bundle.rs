//! An update: one file, its header first, so that all can be judged before a byte is written; then
//! the image of the boot partition and that of the root file system, of the sizes and with the
//! SHA-256 that the header says. The header is signed, and by its hashes what follows is, too.

use crate::version::{self, Version};
use ed25519_dalek::{SIGNATURE_LENGTH, Signature, Signer, SigningKey, VerifyingKey};
use std::fmt;

/// First bytes.
const MAGIC: [u8; 8] = *b"RAMSONUP";

/// The only format that there is.
const FORMAT: u16 = 1;

/// Bytes that are signed; those behind the last field are zero.
const SIGNED: usize = 256;

/// Bytes of a whole header.
pub const LEN: usize = SIGNED + SIGNATURE_LENGTH;

/// Longest images, bytes: no partition of ours is larger.
pub const BOOT_MAX: u64 = 64 << 20;
/// See [`BOOT_MAX`].
pub const ROOT_MAX: u64 = 256 << 20;

/// The machine that a system is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// `x86_64`
    X86_64,
    /// `aarch64`
    Aarch64,
}

impl Arch {
    /// Both.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// As Rust calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Of its name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name)
    }

    const fn code(self) -> u16 {
        match self {
            Self::X86_64 => 1,
            Self::Aarch64 => 2,
        }
    }
}

/// One of the two images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    /// Bytes.
    pub len: u64,
    /// Of all of them.
    pub sha256: [u8; 32],
}

/// What an update says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The machine it is for.
    pub arch: Arch,
    /// What it is.
    pub version: Version,
    /// What a box has to have at least to take it.
    pub from: Version,
    /// The boot partition's image, which comes first.
    pub boot: Body,
    /// The root file system.
    pub root: Body,
}

/// Why one is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It does not begin as one.
    Foreign,
    /// It is of a format that is not known here.
    Format(u16),
    /// Nobody who is trusted has signed it.
    Signature,
    /// It is signed and says what makes no sense: the field.
    Field(&'static str),
    /// It is for another machine.
    Arch(Arch),
    /// It is older than what runs.
    Older(Version, Version),
    /// What runs is too old for it.
    TooOld(Version, Version),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("this file is no update"),
            Self::Format(n) => write!(f, "the update has format {n}, which this box cannot read"),
            Self::Signature => f.write_str("the update is not signed by whom this box trusts"),
            Self::Field(name) => write!(f, "the update's header is wrong: {name}"),
            Self::Arch(arch) => write!(f, "the update is for {}, not for this box", arch.name()),
            Self::Older(update, here) => {
                write!(f, "the update has {update}, older than {here}, which runs")
            }
            Self::TooOld(from, here) => write!(
                f,
                "the update can be made from {from} on; {here}, which runs, needs one in between"
            ),
        }
    }
}

impl Header {
    /// The header as it stands in the file.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> [u8; LEN] {
        let mut signed = Vec::with_capacity(LEN);
        signed.extend(MAGIC);
        signed.extend(FORMAT.to_be_bytes());
        signed.extend(self.arch.code().to_be_bytes());
        signed.extend(self.version.to_bytes());
        signed.extend(self.from.to_bytes());
        for body in [self.boot, self.root] {
            signed.extend(body.len.to_be_bytes());
            signed.extend(body.sha256);
        }
        signed.resize(SIGNED, 0);
        let signature = key.sign(&signed).to_bytes();
        let mut bytes = [0; LEN];
        let all = signed.into_iter().chain(signature);
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads one that `key` has signed; nothing in it is looked at before.
    ///
    /// # Errors
    /// It is none, or not signed, or makes no sense.
    pub fn open(bytes: &[u8; LEN], key: &VerifyingKey) -> Result<Self, Unfit> {
        let mut fields = Fields(bytes);
        if fields.take()? != MAGIC {
            return Err(Unfit::Foreign);
        }
        let format = u16::from_be_bytes(fields.take()?);
        if format != FORMAT {
            return Err(Unfit::Format(format));
        }
        let (signed, signature) = bytes.split_at(SIGNED);
        let signature = Signature::from_slice(signature).map_err(|_| Unfit::Signature)?;
        let verified = key.verify_strict(signed, &signature);
        verified.map_err(|_| Unfit::Signature)?;
        let code = u16::from_be_bytes(fields.take()?);
        let arch = Arch::ALL.into_iter().find(|arch| arch.code() == code);
        let header = Self {
            arch: arch.ok_or(Unfit::Field("architecture"))?,
            version: Version::from_bytes(fields.take::<{ version::LEN }>()?),
            from: Version::from_bytes(fields.take::<{ version::LEN }>()?),
            boot: fields.body(BOOT_MAX, "length of the boot image")?,
            root: fields.body(ROOT_MAX, "length of the root file system")?,
        };
        let rest = fields.0.len() - SIGNATURE_LENGTH;
        let rest = fields.0.get(..rest).unwrap_or_default();
        if rest.iter().any(|b| *b != 0) {
            return Err(Unfit::Field("bytes behind the last field"));
        }
        Ok(header)
    }

    /// Whether a box of this architecture, on which `here` runs, may take it. The same version is
    /// not older.
    ///
    /// # Errors
    /// Why not.
    pub fn fits(&self, arch: Arch, here: Version) -> Result<(), Unfit> {
        if self.arch != arch {
            return Err(Unfit::Arch(self.arch));
        }
        if self.version < here {
            return Err(Unfit::Older(self.version, here));
        }
        if here < self.from {
            return Err(Unfit::TooOld(self.from, here));
        }
        Ok(())
    }

    /// Bytes of the whole file.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        // Both are bounded.
        self.boot.len + self.root.len + LEN as u64
    }
}

/// What is left of a header.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unfit> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Unfit::Foreign)?;
        self.0 = rest;
        Ok(*first)
    }

    fn body(&mut self, most: u64, name: &'static str) -> Result<Body, Unfit> {
        let len = u64::from_be_bytes(self.take()?);
        if !(1..=most).contains(&len) {
            return Err(Unfit::Field(name));
        }
        let sha256 = self.take()?;
        Ok(Body { len, sha256 })
    }
}

#[cfg(test)]
mod tests;
