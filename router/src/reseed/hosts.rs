//! Reseed hosts of the public network.
//!
//! Source: the lists of i2pd 2.59 (`reseed.urls`) and of Java I2P 2.10 (`Reseeder.java`), without
//! those whose signer's certificate has ended. TLS is by certificates of public authorities.

/// A host and who signs its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Where its file is, without the name of the file.
    pub url: &'static str,
    /// Name of the certificate among those built in.
    pub signer: &'static str,
}

const fn host(url: &'static str, signer: &'static str) -> Host {
    Host { url, signer }
}

/// All of them.
pub const HOSTS: &[Host] = &[
    host("https://reseed2.i2p.net/", "echelon3@mail.i2p"),
    host("https://reseed.diva.exchange/", "reseed@diva.exchange"),
    host("https://reseed-fr.i2pd.xyz/", "r4sas-reseed@mail.i2p"),
    host("https://reseed-pl.i2pd.xyz/", "r4sas-reseed@mail.i2p"),
    host(
        "https://i2pseed.creativecowpat.net:8443/",
        "creativecowpat@mail.i2p",
    ),
    host("https://reseed.i2pgit.org/", "hankhill19580@gmail.com"),
    host("https://coconut.incognet.io/", "rambler@mail.i2p"),
    host("https://www2.mk16.de/", "i2p-reseed@mk16.de"),
    host("https://i2p.novg.net/", "igor@novg.net"),
    host("https://reseed.stormycloud.org/", "admin@stormycloud.org"),
];
