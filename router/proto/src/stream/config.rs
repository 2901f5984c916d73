//! What can be set about the streams of a destination.

use core::time::Duration;

/// Settings of [`super::Streams`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Largest payload of a packet in bytes. 1812 fills two tunnel messages inside a ratchet
    /// session (i2p proposal 155).
    pub mtu: u16,
    /// Packets that may be on their way before the peer is known.
    pub window_start: u32,
    /// Packets that may ever be on their way: 512 × 1812 bytes carry 4.6 MB/s at 200 ms and
    /// 2.3 MB/s at 400 ms. More would outrun the tags that i2pd's ratchet looks ahead.
    pub window_max: u32,
    /// Bytes written that are kept until they are acknowledged.
    pub send_buffer: usize,
    /// Bytes received that the application has not consumed. Beyond a fifth of it
    /// acknowledgements are withheld; the rest takes the largest window of a peer (i2pd: 512
    /// packets, 886 kB).
    pub receive_buffer: usize,
    /// How long a SYN or the answer to one waits for bytes to carry.
    pub syn_hold: Duration,
    /// How long a SYN may stay unanswered, resends included: whoever waits for a site that does
    /// not answer hears of it within half a minute.
    pub connect_timeout: Duration,
    /// Silence of the peer after which it has to show that it is there.
    pub keepalive: Duration,
    /// Idleness of both directions after which CLOSE is said when one side is done.
    pub close_idle: Duration,
    /// Timeouts in a row without a sign of life until a stream is given up.
    pub resends_max: u32,
    /// How long what was sent may stay without any answer, resends included: a stream that stands
    /// still for so long ends, although other things may be heard of the peer.
    pub stall_max: Duration,
    /// Streams at the same time, at most [`crate::limits::STREAMS_MAX`].
    pub streams_max: usize,
    /// Incoming streams of one peer at the same time.
    pub per_peer_max: usize,
    /// SYNs a second of one peer that are looked at; three seconds' worth may come at once.
    pub syn_rate_peer: u32,
    /// SYNs a second of all peers that are looked at; three seconds' worth may come at once.
    pub syn_rate: u32,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            mtu: 1812,
            window_start: 12,
            window_max: 512,
            send_buffer: 1 << 20,
            receive_buffer: 5 << 18,
            syn_hold: Duration::from_millis(15),
            connect_timeout: Duration::from_secs(28),
            keepalive: Duration::from_secs(90),
            close_idle: Duration::from_secs(60),
            resends_max: 10,
            stall_max: Duration::from_secs(180),
            streams_max: 2048,
            per_peer_max: 64,
            syn_rate_peer: 20,
            syn_rate: 100,
        }
    }
}
