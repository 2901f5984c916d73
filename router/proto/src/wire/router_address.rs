//! Transport addresses of a router (i2p spec/common-structures, RouterAddress; spec/ntcp2,
//! Published Router Info).

use super::cursor::{Reader, Writer};
use super::error::{Result, WireError};
use super::hash::base64_decode;
use super::mapping::{Mapping, MappingView, read_str};
use std::net::{IpAddr, SocketAddr};

/// Ports below this belong to other services: nobody is made to dial them (Java I2P refuses them
/// as well).
pub const PORT_MIN: u16 = 1024;

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

/// A [`RouterAddress`] inside of bytes that were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressView<'a> {
    /// See [`RouterAddress::cost`].
    pub cost: u8,
    /// See [`RouterAddress::expiration`].
    pub expiration: u64,
    /// See [`RouterAddress::style`].
    pub style: &'a str,
    /// See [`RouterAddress::options`].
    pub options: MappingView<'a>,
}

impl RouterAddress {
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

    /// The same, to be read.
    #[must_use]
    pub fn view(&self) -> AddressView<'_> {
        AddressView {
            cost: self.cost,
            expiration: self.expiration,
            style: &self.style,
            options: self.options.view(),
        }
    }

    /// See [`AddressView::host`].
    #[must_use]
    pub fn host(&self) -> Option<IpAddr> {
        self.view().host()
    }

    /// See [`AddressView::port`].
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.view().port()
    }
}

impl From<AddressView<'_>> for RouterAddress {
    fn from(view: AddressView<'_>) -> Self {
        Self {
            cost: view.cost,
            expiration: view.expiration,
            style: view.style.to_owned(),
            options: Mapping::from(view.options),
        }
    }
}

/// The addresses of a RouterInfo, at the front of bytes that were checked.
#[derive(Clone, Copy, Debug)]
pub struct Addresses<'a>(pub(super) &'a [u8]);

impl<'a> Addresses<'a> {
    /// Them all in the published order.
    pub fn iter(self) -> impl Iterator<Item = AddressView<'a>> {
        let mut r = Reader::new(self.0);
        let count = r.u8("RouterInfo.size").unwrap_or(0);
        (0..count).map_while(move |_| AddressView::skim(&mut r).ok())
    }
}

impl<'a> AddressView<'a> {
    /// Reads one address.
    pub fn read(r: &mut Reader<'a>) -> Result<Self> {
        Ok(Self {
            cost: r.u8("RouterAddress.cost")?,
            expiration: r.u64("RouterAddress.expiration")?,
            style: read_str(r, "RouterAddress.transport_style")?,
            options: MappingView::read(r)?,
        })
    }

    /// Reads one address out of bytes that were checked before, without looking for errors in it.
    fn skim(r: &mut Reader<'a>) -> Result<Self> {
        Ok(Self {
            cost: r.u8("RouterAddress.cost")?,
            expiration: r.u64("RouterAddress.expiration")?,
            style: read_str(r, "RouterAddress.transport_style")?,
            options: MappingView::skim(r)?,
        })
    }

    /// The published host, a literal address.
    #[must_use]
    pub fn host(self) -> Option<IpAddr> {
        self.options.get("host")?.parse().ok()
    }

    /// The published port, not zero.
    #[must_use]
    pub fn port(self) -> Option<u16> {
        self.options.get("port")?.parse().ok().filter(|p| *p != 0)
    }

    /// The static key `s`, 32 bytes.
    #[must_use]
    pub fn static_key(self) -> Option<[u8; 32]> {
        base64_decode(self.options.get("s")?)?.try_into().ok()
    }

    /// Whether this is an NTCP2 address of the version that everyone speaks.
    #[must_use]
    pub fn is_ntcp2(self) -> bool {
        (self.style == "NTCP2" || self.style == "NTCP")
            && self
                .options
                .get("v")
                .is_some_and(|v| v.split(',').any(|v| v == "2"))
    }

    /// The dialable form; `None` when the address is not NTCP2 or not published.
    #[must_use]
    pub fn ntcp2(self) -> Option<Ntcp2Address> {
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
