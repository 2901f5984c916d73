//! Every bound of the core in one place, with the relations between them asserted.

// --- wire ---------------------------------------------------------------------------------------

/// Largest I2NP message body in bytes that a tunnel can carry (i2p spec/i2np).
pub const I2NP_BODY_MAX: usize = 62_708;
/// Largest RouterInfo in bytes that is parsed; i2pd's own bound is 3072.
pub const ROUTER_INFO_MAX: usize = 4096;
/// Largest LeaseSet in bytes that is parsed.
pub const LEASE_SET_MAX: usize = 8192;
/// Leases of a LeaseSet (i2p spec/common-structures, LeaseSet2).
pub const LEASES_MAX: usize = 16;
/// Transport addresses of a RouterInfo.
pub const ROUTER_ADDRESSES_MAX: usize = 16;
/// Entries of an option mapping.
pub const MAPPING_ENTRIES_MAX: usize = 128;
/// Records of a tunnel build message (i2p spec/tunnel-creation-ecies).
pub const BUILD_RECORDS_MAX: usize = 8;

// --- link ---------------------------------------------------------------------------------------

// --- relay --------------------------------------------------------------------------------------

// --- tunnel -------------------------------------------------------------------------------------

// --- netdb and peer -----------------------------------------------------------------------------

// --- garlic -------------------------------------------------------------------------------------

// --- stream -------------------------------------------------------------------------------------

// --- names and client ---------------------------------------------------------------------------

/// Names of the address book.
pub const HOSTS_MAX: usize = 65_536;
/// Bytes of an HTTP head.
pub const HTTP_HEAD_MAX: usize = 32_768;
/// Header lines of an HTTP head.
pub const HTTP_HEADERS_MAX: usize = 128;

// --- router -------------------------------------------------------------------------------------
