//! Transport addresses of a router (i2p spec/common-structures, RouterAddress; spec/ntcp2,
//! Published Router Info).

use super::cursor::{Reader, Writer};
use super::error::{Result, WireError};
use super::hash::base64_decode;
use super::mapping::{Mapping, read_string};
use std::net::{IpAddr, SocketAddr};

/// One address as published: cost, transport style and options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterAddress {
    /// Lower is preferred.
    pub cost: u8,
    /// Eight bytes that are always zero today; kept as they came.
    pub expiration: u64,
    /// `NTCP2`, `SSU2` or a style that is carried along.
    pub style: String,
    /// The options.
    pub options: Mapping,
}

/// What dialling a router over NTCP2 needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ntcp2Address {
    /// Where it listens.
    pub socket: SocketAddr,
    /// Its static X25519 key (`s`).
    pub static_key: [u8; 32],
    /// Its obfuscation IV (`i`).
    pub iv: [u8; 16],
    /// Its cost.
    pub cost: u8,
}

impl RouterAddress {
    /// Reads one address.
    pub fn read(r: &mut Reader<'_>) -> Result<Self> {
        let cost = r.u8("RouterAddress.cost")?;
        let expiration = r.u64("RouterAddress.expiration")?;
        let style = read_string(r, "RouterAddress.transport_style")?;
        Ok(Self {
            cost,
            expiration,
            style,
            options: Mapping::read(r)?,
        })
    }

    /// Writes the address.
    ///
    /// # Errors
    /// The style or an option is too long.
    pub fn write(&self, w: &mut Writer) -> Result<()> {
        let n = u8::try_from(self.style.len())
            .map_err(|_| WireError::too_large("RouterAddress.transport_style"))?;
        w.u8(self.cost)
            .u64(self.expiration)
            .u8(n)
            .put(self.style.as_bytes());
        self.options.write(w)
    }

    /// The published host, a literal address.
    #[must_use]
    pub fn host(&self) -> Option<IpAddr> {
        self.options.get("host")?.parse().ok()
    }

    /// The published port, not zero.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.options.get("port")?.parse().ok().filter(|p| *p != 0)
    }

    /// The static key `s`, 32 bytes.
    #[must_use]
    pub fn static_key(&self) -> Option<[u8; 32]> {
        base64_decode(self.options.get("s")?)?.try_into().ok()
    }

    /// Whether this is an NTCP2 address of the version that everyone speaks.
    #[must_use]
    pub fn is_ntcp2(&self) -> bool {
        (self.style == "NTCP2" || self.style == "NTCP")
            && self
                .options
                .get("v")
                .is_some_and(|v| v.split(',').any(|v| v == "2"))
    }

    /// The dialable form; `None` when the address is not NTCP2 or not published.
    #[must_use]
    pub fn ntcp2(&self) -> Option<Ntcp2Address> {
        if !self.is_ntcp2() {
            return None;
        }
        Some(Ntcp2Address {
            socket: SocketAddr::new(self.host()?, self.port()?),
            static_key: self.static_key()?,
            iv: base64_decode(self.options.get("i")?)?.try_into().ok()?,
            cost: self.cost,
        })
    }
}
