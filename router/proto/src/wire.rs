//! Bytes and values: parsers and writers of I2P's structures, without any policy.

pub mod any_lease_set;
pub mod cert;
pub mod checked;
pub mod cursor;
pub mod error;
pub mod hash;
pub mod i2np;
pub mod identity;
pub mod inflate;
pub mod lease_set;
pub mod lease_set2;
pub mod mapping;
mod offline;
pub mod router_address;
pub mod router_info;
pub mod su3;
pub mod zip;
