//! Made-up routers for tests.

use crate::crypto::sig::SigningKey;
use crate::crypto::x25519::PrivateKey;
use crate::rng::Rng;
use crate::time::Date;
use crate::wire::cert::ENC_X25519;
use crate::wire::hash::base64;
use crate::wire::identity::{KeysAndCert, RouterIdentity};
use crate::wire::mapping::Mapping;
use crate::wire::router_address::RouterAddress;
use crate::wire::router_info::RouterInfo;
use std::sync::Arc;

/// What a made-up router says about itself.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) number: u64,
    pub(crate) caps: &'static str,
    pub(crate) host: Option<String>,
    pub(crate) port: u16,
    pub(crate) version: &'static str,
    pub(crate) family: Option<&'static str>,
    pub(crate) net_id: u8,
    pub(crate) published: Date,
}

impl Draft {
    /// Router `number` at 10.`number`.0.1, `caps` as given, net 77.
    pub(crate) fn new(number: u64, caps: &'static str, published: Date) -> Self {
        Self {
            number,
            caps,
            host: Some(format!("{}.{}.0.1", 10 + number / 250, number % 250 + 1)),
            port: 14_000,
            version: "0.9.67",
            family: None,
            net_id: 77,
            published,
        }
    }

    pub(crate) fn build(&self) -> Arc<RouterInfo> {
        let mut rng = Rng::from_number(self.number);
        let signing = SigningKey::random(&mut rng);
        let enc = PrivateKey::random(&mut rng);
        let filler = vec![7; 320];
        let keys = KeysAndCert::ed25519(ENC_X25519, enc.public(), &filler, &signing.public());
        let mut options = Mapping::new();
        options
            .set("caps", self.caps)
            .set("netId", self.net_id.to_string())
            .set("router.version", self.version);
        if let Some(family) = self.family {
            options.set("family", family);
        }
        let mut address = Mapping::new();
        address.set("s", base64(&[9; 32])).set("v", "2");
        if let Some(host) = &self.host {
            address
                .set("host", host)
                .set("port", self.port.to_string())
                .set("i", base64(&[3; 16]));
        }
        let address = RouterAddress {
            cost: 3,
            expiration: 0,
            style: "NTCP2".to_owned(),
            options: address,
        };
        let identity = RouterIdentity(keys.unwrap());
        let info =
            RouterInfo::build(&identity, self.published, &[address], &options, &signing).unwrap();
        Arc::new(info)
    }
}
