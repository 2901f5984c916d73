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

/// Padding in bytes after handshake message 1 or 2 that is accepted; i2pd sends up to 223, Java
/// up to 880.
pub const NTCP2_PADDING_MAX: usize = 1024;
/// Second part of handshake message 3 in bytes, with its tag: a RouterInfo, options and padding.
pub const NTCP2_PART2_MAX: usize = 16 * 1024;
/// Bytes of message blocks that are packed into one frame; a larger message travels alone.
pub const NTCP2_FRAME_TARGET: usize = 16 * 1024;
/// Messages that are packed into one frame, however small they are.
pub const NTCP2_FRAME_MESSAGES: usize = 128;
/// Handshake values remembered against replay; the oldest is forgotten. More than there can be
/// within their time.
pub const NTCP2_REPLAY_MAX: usize = 16_384;
/// Handshakes of callers that are begun in a second; further ones are closed.
pub const HANDSHAKES_PER_SECOND: u64 = 100;
/// Bytes that wait to be sent on one link, with what each message costs beyond its body; the oldest
/// of the lowest class are dropped.
pub const LINK_QUEUE_BYTES: usize = 256 * 1024;
/// Bytes that wait on all links, sealed ones included, above which others' messages are dropped
/// for a link on which more than [`LINK_BYTES_WHEN_FULL`] wait.
pub const LINKS_BYTES: usize = 24 * 1024 * 1024;
/// See [`LINKS_BYTES`].
pub const LINK_BYTES_WHEN_FULL: usize = 8 * 1024;
/// Sealed bytes handed to the shell and not written yet, above which a link seals no more.
pub const LINK_UNSENT_HIGH: usize = 64 * 1024;
/// Routers without a link that messages wait for; one more target is refused, or takes the place
/// of one that is not our own business if it is.
pub const LINK_WAIT_TARGETS: usize = 256;
/// Of those, routers that transit waits for; and those that the transit of one router does.
pub const LINK_WAIT_TRANSIT: usize = 96;
/// See [`LINK_WAIT_TRANSIT`].
pub const LINK_WAIT_PER_CAUSE: usize = 16;
/// Of those, routers that answers we owe wait for.
pub const LINK_WAIT_ANSWERS: usize = 64;
/// Routers whose transit makes us dial that are told apart; the one quiet for longest is forgotten.
pub const LINK_CAUSES: usize = 1024;
/// Bytes that wait for one router without a link, counted alike; the oldest are dropped.
pub const LINK_WAIT_BYTES: usize = 16 * 1024;
/// Connections under way in each direction; one more is refused. A dial of our own takes the place
/// of one that others caused.
pub const LINK_PENDING_MAX: usize = 256;
/// Of the dials, those that transit caused.
pub const LINK_DIALS_TRANSIT: usize = 96;
/// Of the dials, those that answers we owe caused.
pub const LINK_DIALS_ANSWERS: usize = 64;
/// Inbound connections of one host (an IPv4 address, an IPv6 /64) that have not finished their
/// handshake.
pub const LINK_PENDING_PER_IP: usize = 8;
/// The same of one block (an IPv4 /24, an IPv6 /48).
pub const LINK_PENDING_PER_BLOCK: usize = 32;
/// Established inbound links of one host: a 64th of all, or so many. Above, an idle one of the
/// same host gives way, or the new one is refused.
pub const LINKS_PER_IP_MIN: usize = 8;
/// The same of one block: a 16th of all, or so many.
pub const LINKS_PER_BLOCK_MIN: usize = 32;
/// Hosts and blocks whose connections are remembered; some of the oldest that are not connected
/// are forgotten.
pub const LINK_GUARD_SOURCES: usize = 8192;
/// Routers whose messages to the router itself are metered; the one quiet for longest is forgotten.
pub const LINK_METERED: usize = 2048;
/// Addresses of one router that a dial tries.
pub const LINK_DIAL_ADDRESSES: usize = 2;
/// Own inbound tunnels whose last hop's link is kept alive.
pub const LINK_OWN_TUNNELS: usize = 1024;

const _: () = assert!(ROUTER_INFO_MAX + 64 < NTCP2_PART2_MAX);
const _: () = assert!(I2NP_BODY_MAX + 64 < 65_519);
const _: () = assert!(I2NP_BODY_MAX < LINK_QUEUE_BYTES);
const _: () = assert!(2 * (LINK_WAIT_TRANSIT + LINK_WAIT_ANSWERS) < 3 * LINK_WAIT_TARGETS);
const _: () = assert!(2 * (LINK_DIALS_TRANSIT + LINK_DIALS_ANSWERS) < 3 * LINK_PENDING_MAX);
const _: () = assert!(LINK_GUARD_SOURCES > 8 * LINK_PENDING_MAX);

// --- relay --------------------------------------------------------------------------------------

/// How long a transit hop is carried: the life of a tunnel and a minute of grace.
pub const HOP_LIFE: Duration = Duration::from_secs(660);
const _: () = assert!(HOP_LIFE.as_secs() >= 600);
/// Bytes of the replay filter of transit at most. They are used when there were as many cells;
/// above (about 16 MB/s of transit) cells are remembered for less than a tunnel's life.
pub const REPLAY_BYTES: usize = 64 * 1024 * 1024;
/// How far past its expiration a relayed message is still sent on; clocks differ.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

// --- tunnel -------------------------------------------------------------------------------------

/// Messages of one tunnel that wait for fragments; the oldest is given up for a new one.
pub const REASSEMBLY_MESSAGES_MAX: usize = 64;
/// Bytes of one tunnel's fragments that wait for others, with what each fragment and message costs
/// beyond its payload; the oldest message is given up.
pub const REASSEMBLY_BYTES_MAX: usize = 256 * 1024;
/// Longest wait for a missing fragment.
pub const REASSEMBLY_TIMEOUT: Duration = Duration::from_secs(9);
const _: () = assert!(REASSEMBLY_BYTES_MAX > I2NP_BODY_MAX + 16);

/// Routers of a tunnel of ours: an inbound build needs one record for ourselves.
pub const TUNNEL_HOPS_MAX: u8 = BUILD_RECORDS_MAX as u8 - 1;
/// Tunnels that a pool keeps in each direction.
pub const POOL_QUANTITY_MAX: u8 = 16;
/// Pools: the exploratory one, spares, and one for each local destination.
pub const POOLS_MAX: usize = 64;
/// Client destinations that may be configured, the spare one among them: each has its pool, and
/// the exploratory one is always there.
pub const CLIENT_DESTINATIONS_MAX: usize = POOLS_MAX - 1;
const _: () = assert!(POOLS_MAX * POOL_QUANTITY_MAX as usize <= LINK_OWN_TUNNELS);
const _: () = assert!(CLIENT_DESTINATIONS_MAX < PUBLISHING_MAX);
/// Tunnel builds under way at once in all pools; more have to wait.
pub const TUNNEL_BUILDS_MAX: usize = 96;
/// Tunnel tests under way at once; more have to wait.
pub const TUNNEL_TESTS_MAX: usize = 256;
/// Messages that one call may send through a tunnel of ours.
pub const TUNNEL_SEND_MAX: usize = 256;

/// Life of build messages and of their replies.
pub const BUILD_LIFE: Duration = Duration::from_secs(60);

// --- netdb and peer -----------------------------------------------------------------------------

/// Routers that a DatabaseLookup may exclude (i2p spec/i2np).
pub const LOOKUP_EXCLUDED_MAX: usize = 512;
/// Bytes of a reseed file.
pub const SU3_MAX: usize = 4 * 1024 * 1024;
/// RouterInfos of a reseed file.
pub const RESEED_ROUTERS_MAX: usize = 1000;
/// RouterInfos kept. When full, a stranger of the router goes that gave us the most, the one
/// published longest ago.
pub const ROUTERS_MAX: usize = 6000;
/// Serialised bytes of all RouterInfos kept; when reached, the same rule holds.
pub const ROUTERS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Routers that proved to be some and are not pushed out; with so many no more are noted.
pub const ROUTERS_PROVEN_MAX: usize = 3000;
/// Strangers that one router gave us; the one published longest ago gives way. This bound and the
/// next two hold for bytes too, at [`ROUTER_INFO_USUAL`] each.
pub const ROUTERS_PER_GIVER: usize = 256;
/// Strangers that say to be in one public network (/16 of IPv4, /32 of IPv6); the same rule.
pub const ROUTERS_PER_NET: usize = 128;
/// Strangers that called us and hung up; the same rule.
pub const ROUTERS_CALLERS_MAX: usize = 1024;
/// Bytes of a RouterInfo that shares are reckoned with.
pub const ROUTER_INFO_USUAL: usize = 1536;
/// RouterInfos that are handed to the disk at once.
pub const WRITES_PER_TURN: usize = 64;
/// Links whose rates are remembered; the one that asked for nothing for longest is forgotten.
pub const METERED_LINKS_MAX: usize = 2048;
/// Floodfills that the answers to one destination's lookups named; the oldest gives way.
pub const REFERRED_MAX: usize = 32;
/// LeaseSets kept as a floodfill. When full, one that came by the link that brought the most
/// goes, the one that ends first.
pub const LEASE_SETS_MAX: usize = 4096;
/// Serialised bytes of them; when reached, the same rule holds.
pub const LEASE_SETS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// LeaseSets among them that came by one link; the one that ends first gives way.
pub const LEASE_SETS_PER_GIVER: usize = 512;
/// Serialised bytes of these; the same rule.
pub const LEASE_SETS_BYTES_PER_GIVER: usize = 1024 * 1024;
/// LeaseSets that one client destination looked up; the one that ends first gives way.
pub const CLIENT_LEASE_SETS_MAX: usize = 256;
/// Serialised bytes of them; the same rule. Each destination has this room for itself.
pub const CLIENT_LEASE_SETS_BYTES_MAX: usize = 256 * 1024;
/// Lookups that callers wait for; when full, new ones fail at once.
pub const LOOKUPS_MAX: usize = 256;
/// Of those, lookups of one context.
pub const LOOKUPS_PER_CONTEXT: usize = 64;
/// Lookups that the netDb started for itself; further ones are left out.
pub const OWN_LOOKUPS_MAX: usize = 128;
/// Of those, lookups of one context.
pub const OWN_LOOKUPS_PER_CONTEXT: usize = 48;
/// Lookups that messages of others wait for; when full, new ones fail at once.
pub const OTHERS_LOOKUPS_MAX: usize = 16;
/// Floodfills asked in one lookup.
pub const LOOKUP_STEPS: usize = 10;
/// Questions of one lookup in flight.
pub const LOOKUP_PARALLEL: usize = 2;
/// Routers of one search reply that are followed.
pub const SEARCH_REPLY_FOLLOWED: usize = 16;
/// Routers that are followed in all answers to one lookup.
pub const LOOKUP_FOLLOWED: usize = 32;
/// Published values being confirmed at once, one for each destination.
pub const PUBLISHING_MAX: usize = 64;
/// Floodfills tried for one publication.
pub const PUBLISH_ATTEMPTS: usize = 15;
/// Outputs of the netDb that wait; answers to others are dropped from half of it on, floods from a
/// quarter on, our own when full.
pub const NETDB_OUTPUTS_MAX: usize = 2048;
/// Floodfills remembered for not answering; the one soonest forgiven goes.
pub const STRIKES_MAX: usize = 512;
/// Peer profiles kept. When full, the one not touched for longest goes.
pub const PROFILES_MAX: usize = 4096;
/// Routers dialled after a start because they had a link before it; the latest come first.
pub const RETURN_DIALS_MAX: usize = 64;
/// Routers or addresses banned at once. When full, the ban that ends first goes.
pub const BANS_MAX: usize = 1024;

const _: () = assert!(LOOKUPS_PER_CONTEXT < LOOKUPS_MAX && LOOKUP_PARALLEL < LOOKUP_STEPS);
// There is always a stranger to go, and a LeaseSet that was asked for always has room.
const _: () = assert!(ROUTERS_PROVEN_MAX + ROUTERS_CALLERS_MAX < ROUTERS_MAX);
const _: () = assert!(LEASE_SET_MAX < CLIENT_LEASE_SETS_BYTES_MAX);

// --- garlic -------------------------------------------------------------------------------------

/// Peers of one destination with ratchet state; the least recently used gives way.
pub const RATCHET_PEERS_MAX: usize = 512;
/// Peers of which only a New Session is known; they give way among themselves.
pub const RATCHET_STRANGERS_MAX: usize = 128;
/// Sessions with one peer: the current one and those that still receive; the oldest gives way.
pub const RATCHET_SESSIONS_PER_PEER: usize = 3;
/// New Sessions of ours to one peer that wait for replies; the oldest gives way. The first that a
/// router takes is the one that it goes on answering.
pub const RATCHET_SENT_PER_PEER: usize = 16;
/// New Sessions of ours to all peers that wait for replies; the oldest gives way.
pub const RATCHET_SENT_MAX: usize = 256;
/// New Sessions of one peer that are kept; the oldest gives way.
pub const RATCHET_GOT_PER_PEER: usize = 4;
/// Replies to one New Session: i2pd expects as many tags.
pub const RATCHET_REPLIES_MAX: usize = 12;
/// Replies to one New Session of ours that are expected from the beginning: i2pd and Java take a
/// tag for each try, and while their answers go into dead tunnels all tries are lost. With fewer a
/// peer that comes out of it is not understood until it forgets the session.
pub const RATCHET_REPLIES_EXPECTED: u32 = 96;
/// Replies to one New Session of ours that are opened: a window of data may come before the first
/// message of ours shows that a reply arrived.
pub const RATCHET_REPLIES_OPENED_MAX: u32 = 192;
/// How long after a New Session replies to it go before everything else.
pub const RATCHET_REPLY_LIFE: Duration = Duration::from_secs(30);
/// Tags expected ahead of the last received one, at least and at most.
pub const RATCHET_WINDOW_MIN: u32 = 24;
/// See [`RATCHET_WINDOW_MIN`].
pub const RATCHET_WINDOW_MAX: u32 = 1024;
/// Tags of a new set that are expected at once when the set before had a large window.
pub const RATCHET_WINDOW_NEXT: u32 = 512;
/// Tags of all sets of a destination above which windows shrink to the least.
pub const RATCHET_TAGS_MAX: usize = 131_072;
/// Message keys of skipped messages of a destination; above, the oldest of the set gives way.
pub const RATCHET_KEYS_MAX: usize = 65_536;
/// Inbound tag sets of one session; the oldest gives way.
pub const RATCHET_SETS_MAX: usize = 3;
/// Messages of a tag set after which its sender asks for the next key (i2p spec/ecies).
pub const RATCHET_NEXT_KEY_AT: u32 = 4096;
/// Acknowledgements of one session that are waited for; the oldest is given up.
pub const RATCHET_ACKS_ASKED_MAX: usize = 64;
/// Ephemeral keys of New Sessions remembered against replays.
pub const RATCHET_REPLAY_MAX: usize = 16_384;
/// Attempts to open a New Session per second, and at once.
pub const RATCHET_NS_PER_SECOND: u32 = 100;
/// See [`RATCHET_NS_PER_SECOND`].
pub const RATCHET_NS_BURST: u32 = 200;
/// How late a New Session may be, and how early.
pub const RATCHET_NS_OLD: Duration = Duration::from_secs(300);
/// See [`RATCHET_NS_OLD`].
pub const RATCHET_NS_AHEAD: Duration = Duration::from_secs(120);
/// Life of a New Session's state on either side.
pub const RATCHET_HANDSHAKE_LIFE: Duration = Duration::from_secs(180);
/// Life of a tag set or session once another is in use.
pub const RATCHET_OLD_SET_LIFE: Duration = Duration::from_secs(180);
/// A session is not sent with after this idle time; the peer listens somewhat longer.
pub const RATCHET_SEND_IDLE: Duration = Duration::from_secs(480);
/// A session is forgotten after this idle time.
pub const RATCHET_RECEIVE_IDLE: Duration = Duration::from_secs(600);
/// A session that got no answer to so many messages in this time, while something came by another
/// one, is passed over.
pub const RATCHET_UNANSWERED: u32 = 3;
/// See [`RATCHET_UNANSWERED`].
pub const RATCHET_SILENT: Duration = Duration::from_secs(5);
/// Sessions begun from both sides within this time are taken for simultaneous.
pub const RATCHET_TOGETHER: Duration = Duration::from_secs(10);

const _: () = assert!(RATCHET_STRANGERS_MAX < RATCHET_PEERS_MAX);
const _: () = assert!(RATCHET_SEND_IDLE.as_secs() < RATCHET_RECEIVE_IDLE.as_secs());
const _: () = assert!(RATCHET_NEXT_KEY_AT < 65_536 / 2);
const _: () = assert!(RATCHET_REPLY_LIFE.as_secs() * 2 < RATCHET_HANDSHAKE_LIFE.as_secs());
const _: () = assert!(RATCHET_REPLIES_EXPECTED < RATCHET_REPLIES_OPENED_MAX);
const _: () = assert!(RATCHET_SENT_MAX * RATCHET_REPLIES_OPENED_MAX as usize <= RATCHET_TAGS_MAX);

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
/// Bytes that all streams of the router together hold for their readers. No destination gets more
/// than is left for the others, acknowledgements are held back before it is used up, and when it
/// is, each stream still takes [`STREAM_RECEIVE_LEAST`].
pub const STREAM_RECEIVE_BUDGET: usize = 24 << 20;
/// Bytes that every stream may hold whatever the others do.
pub const STREAM_RECEIVE_LEAST: usize = 16 * 1024;
/// What a packet that is kept costs beyond its payload.
pub const STREAM_PACKET_COST: usize = 128;
/// Bytes of packets of unknown streams kept until their SYN comes, for ports where somebody
/// listens; the oldest is dropped.
pub const STREAM_EARLY_BYTES_MAX: usize = 512 * 1024;
/// Of those, bytes of one peer; further ones are dropped.
pub const STREAM_EARLY_PER_PEER_MAX: usize = STREAM_EARLY_BYTES_MAX / 4;
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
/// Bytes of an address book; a larger file is refused as a whole.
pub const HOSTS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bad lines of an address book that are named; the rest is counted.
pub const HOSTS_BAD_LINES_MAX: usize = 32;
/// Bytes of the head of an HTTP request; a larger one is refused.
pub const HTTP_HEAD_MAX: usize = 32_768;
/// Header lines of an HTTP request; more are refused.
pub const HTTP_HEADERS_MAX: usize = 128;
/// Bytes of the head of an HTTP answer, half of what Chromium takes; a larger one is refused.
pub const HTTP_ANSWER_HEAD_MAX: usize = 131_072;
/// Header lines of an HTTP answer; more are refused.
pub const HTTP_ANSWER_HEADERS_MAX: usize = 1024;
/// Bytes of the line before a chunk of an HTTP body; a longer one is malformed.
pub const HTTP_CHUNK_LINE_MAX: usize = 1024;
/// Connections to the HTTP proxy at once; one more is closed.
pub const HTTP_CONNECTIONS_MAX: usize = 1024;

// --- router -------------------------------------------------------------------------------------

/// One-time garlic tags that are expected at once.
pub const ONE_TIME_TAGS_MAX: usize = 1024;
/// Peers whose rates are counted within one second.
pub const RATED_PEERS_MAX: usize = 2048;
/// Routers whose clocks are compared with ours; the one heard longest ago gives way.
pub const CLOCK_PEERS_MAX: usize = 33;
/// Closest hops whose lost links are remembered, so that they are dialled at growing intervals;
/// the one whose pause ends first gives way.
pub const REDIALS_MAX: usize = 512;
/// Messages of ours to ourselves that wait.
pub const LOOPBACK_MAX: usize = 256;
/// Client streams at once; one destination's clients get more only while they hold less than half
/// of what is left.
pub const CLIENT_STREAMS_MAX: usize = 1024;
/// Bytes of a client that its stream has not taken.
pub const CLIENT_BUFFER_MAX: usize = 256 * 1024;
/// Remotes of one local destination. When full, the one not used for longest goes of those that
/// nothing goes on with; without such a one, none is added.
pub const REMOTES_MAX: usize = 256;
/// Of those, remotes that we did not ask for: they are known only because they talked to us.
pub const REMOTES_STRANGERS_MAX: usize = 192;
const _: () = assert!(REMOTES_STRANGERS_MAX < REMOTES_MAX);
/// Bytes that the cloves of one message may unpack to; the others are dropped.
pub const INFLATED_PER_MESSAGE: usize = ENVELOPE_MAX + 1024;
/// What one clove costs of that at least.
pub const INFLATED_LEAST: usize = 1024;
/// LeaseSets of one message that are looked at; i2pd and Java bundle one.
pub const BUNDLED_PER_MESSAGE: usize = 2;
/// Signatures of bundled LeaseSets of strangers that are checked per second, and at once; others
/// are dropped.
pub const BUNDLED_CHECKS_PER_SECOND: u32 = 20;
/// See [`BUNDLED_CHECKS_PER_SECOND`].
pub const BUNDLED_CHECKS_BURST: u32 = 60;
/// Messages that wait for a session with one remote.
pub const REMOTE_QUEUE_MAX: usize = 600;
/// Messages that are sent at once under a session that the remote has not confirmed.
pub const REPLIES_PER_TURN: usize = 4;
