//! Bounds of ratchets.

pub use crate::limits::*;
use core::time::Duration;

/// Peers of one destination with ratchet state; the least recently used gives way.
pub const RATCHET_PEERS_MAX: usize = 512;
/// Peers of which only a New Session is known; they give way among themselves.
pub const RATCHET_STRANGERS_MAX: usize = 128;
/// Sessions with one peer: the current one and those that still receive; the oldest gives way.
pub const RATCHET_SESSIONS_PER_PEER: usize = 3;
/// New Sessions of ours to one peer that wait for replies; the oldest gives way.
pub const RATCHET_SENT_PER_PEER: usize = 8;
/// New Sessions of ours to all peers that wait for replies; the oldest gives way.
pub const RATCHET_SENT_MAX: usize = 256;
/// New Sessions of one peer that are kept; the oldest gives way.
pub const RATCHET_GOT_PER_PEER: usize = 4;
/// Replies to one New Session: i2pd expects as many tags.
pub const RATCHET_REPLIES_MAX: usize = 12;
/// Tags expected ahead of the last received one, at least and at most.
pub const RATCHET_WINDOW_MIN: u32 = 24;
/// See [`RATCHET_WINDOW_MIN`].
pub const RATCHET_WINDOW_MAX: u32 = 1024;
/// Tags of a new set that are expected at once when the set before had a large window.
pub const RATCHET_WINDOW_NEXT: u32 = 512;
/// Tags of all sets of a destination above which windows shrink to the least.
pub const RATCHET_TAGS_MAX: usize = 131_072;
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
/// Sessions begun from both sides within this time are taken for simultaneous.
pub const RATCHET_TOGETHER: Duration = Duration::from_secs(10);

const _: () = assert!(RATCHET_STRANGERS_MAX < RATCHET_PEERS_MAX);
const _: () = assert!(RATCHET_SEND_IDLE.as_secs() < RATCHET_RECEIVE_IDLE.as_secs());
const _: () = assert!(RATCHET_NEXT_KEY_AT < 65_536 / 2);
