//! Every bound of the core in one place, with the relations between them asserted.

use core::time::Duration;

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

/// How long a transit hop is carried: the life of a tunnel and a minute of grace.
pub const HOP_LIFE: Duration = Duration::from_secs(660);
/// How far past its expiration a relayed message is still sent on; clocks differ.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

// --- tunnel -------------------------------------------------------------------------------------

/// Messages of one tunnel that wait for fragments; the oldest is given up for a new one.
pub const REASSEMBLY_MESSAGES_MAX: usize = 64;
/// Bytes of one tunnel's fragments that wait for others; the oldest message is given up.
pub const REASSEMBLY_BYTES_MAX: usize = 256 * 1024;
/// Longest wait for a missing fragment.
pub const REASSEMBLY_TIMEOUT: Duration = Duration::from_secs(9);
const _: () = assert!(REASSEMBLY_BYTES_MAX > I2NP_BODY_MAX + 16);

// --- netdb and peer -----------------------------------------------------------------------------

// --- garlic -------------------------------------------------------------------------------------

// --- stream -------------------------------------------------------------------------------------

/// Bytes of an I2CP payload after gunzip (a streaming packet or a datagram).
pub const ENVELOPE_MAX: usize = 65_535;
/// Streams of one local destination; further ones are refused.
pub const STREAMS_MAX: usize = 4096;
/// Incoming streams of one peer at one local destination; further SYNs are dropped.
pub const STREAMS_PER_PEER_MAX: usize = 128;
/// Sequence numbers that a packet may be ahead of the next expected one; others are dropped.
/// Above the largest window of any known sender (512).
pub const STREAM_AHEAD_MAX: u32 = 1024;
/// NACKs of one packet (one byte on the wire).
pub const STREAM_NACKS_MAX: usize = 255;
/// Packets of unknown streams kept until their SYN comes; the oldest is dropped.
pub const STREAM_EARLY_PACKETS_MAX: usize = 256;
/// Packets of one unknown stream kept until its SYN comes; further ones are dropped.
pub const STREAM_EARLY_PER_STREAM_MAX: usize = 32;
/// Ended streams that are remembered to answer late packets; the oldest is forgotten.
pub const STREAM_ENDED_MAX: usize = 4096;
/// Peers whose round-trip time or SYN rate is remembered; the oldest is forgotten.
pub const STREAM_PEERS_MAX: usize = 2048;
/// Answers to pings and to strays that wait to be sent; further ones are not made.
pub const STREAM_ANSWERS_MAX: usize = 64;

// --- names and client ---------------------------------------------------------------------------

/// Names of the address book.
pub const HOSTS_MAX: usize = 65_536;
/// Bytes of an HTTP head.
pub const HTTP_HEAD_MAX: usize = 32_768;
/// Header lines of an HTTP head.
pub const HTTP_HEADERS_MAX: usize = 128;

// --- router -------------------------------------------------------------------------------------
