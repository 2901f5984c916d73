//! What the client tells the supervisor, and what it is told: messages of fixed size.

use super::machine::SERVERS_MAX;
use std::net::{IpAddr, Ipv6Addr};

/// First bytes of each: a name and a version.
const MAGIC: [u8; 4] = *b"RGC1";

/// Length of a report.
pub const LEN: usize = 15;

/// Length of a list of servers.
pub const LIST: usize = 4 + 1 + 16 * SERVERS_MAX;

/// What came of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Servers agree.
    Time {
        /// What time it was when the machine's stopwatch began, nanoseconds since 1970.
        base: i64,
        /// How many say so.
        agree: u8,
        /// Of how many.
        asked: u8,
    },
    /// Nobody gives an answer that can be used.
    Silent,
    /// No more than half of those who answer say the same.
    Disagree,
    /// None wants to be asked.
    Refused,
}

impl Report {
    /// The message.
    #[must_use]
    pub fn encode(self) -> [u8; LEN] {
        let (kind, base, agree, asked) = match self {
            Self::Time { base, agree, asked } => (0, base, agree, asked),
            Self::Silent => (1, 0, 0, 0),
            Self::Disagree => (2, 0, 0, 0),
            Self::Refused => (3, 0, 0, 0),
        };
        let mut out = [0; LEN];
        out[..4].copy_from_slice(&MAGIC);
        out[4] = kind;
        out[5..13].copy_from_slice(&base.to_be_bytes());
        (out[13], out[14]) = (agree, asked);
        out
    }

    /// From a message.
    ///
    /// # Errors
    /// Whoever sent it is not our client.
    pub fn decode(bytes: &[u8; LEN]) -> Result<Self, &'static str> {
        let [
            m0,
            m1,
            m2,
            m3,
            kind,
            b0,
            b1,
            b2,
            b3,
            b4,
            b5,
            b6,
            b7,
            agree,
            asked,
        ] = *bytes;
        if [m0, m1, m2, m3] != MAGIC {
            return Err("is no message of the clock's client");
        }
        let base = i64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
        match kind {
            0 if (1..=asked).contains(&agree) => Ok(Self::Time { base, agree, asked }),
            1 => Ok(Self::Silent),
            2 => Ok(Self::Disagree),
            3 => Ok(Self::Refused),
            _ => Err("is no message of the clock's client"),
        }
    }
}

/// The message with the servers to ask; further ones are left out.
#[must_use]
pub fn encode_servers(servers: &[IpAddr]) -> [u8; LIST] {
    let mut out = [0; LIST];
    out[..4].copy_from_slice(&MAGIC);
    let (head, places) = out.split_at_mut(5);
    let mut count = 0;
    for (place, server) in places.chunks_exact_mut(16).zip(servers) {
        let mapped = match server {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => *v6,
        };
        place.copy_from_slice(&mapped.octets());
        count += 1;
    }
    head[4] = count;
    out
}

/// From a message.
///
/// # Errors
/// Whoever sent it is not the supervisor.
pub fn decode_servers(bytes: &[u8; LIST]) -> Result<Vec<IpAddr>, &'static str> {
    let (head, places) = bytes.split_at(5);
    let count = usize::from(head[4]);
    if head[..4] != MAGIC || count > SERVERS_MAX {
        return Err("is no list of servers");
    }
    let address = |place: &[u8]| {
        let octets = <[u8; 16]>::try_from(place).unwrap_or_default();
        Ipv6Addr::from(octets).to_canonical()
    };
    Ok(places.chunks_exact(16).take(count).map(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_messages_arrive_and_others_do_not() {
        let time = Report::Time {
            base: 1_795_651_200_123_456_789,
            agree: 2,
            asked: 3,
        };
        for report in [time, Report::Silent, Report::Disagree, Report::Refused] {
            assert_eq!(Report::decode(&report.encode()), Ok(report));
        }
        let mut bytes = time.encode();
        bytes[13] = 4;
        assert!(Report::decode(&bytes).is_err() && Report::decode(&[0; LEN]).is_err());
        bytes[4] = 9;
        assert!(Report::decode(&bytes).is_err());
        let servers: Vec<IpAddr> = ["192.0.2.1", "2001:db8::1"]
            .map(|a| a.parse().unwrap())
            .into();
        assert_eq!(
            decode_servers(&encode_servers(&servers)),
            Ok(servers.clone())
        );
        let many = servers.repeat(9);
        let read = decode_servers(&encode_servers(&many)).unwrap();
        assert_eq!(read, many[..SERVERS_MAX]);
        assert!(decode_servers(&[0xff; LIST]).is_err());
        assert_eq!(decode_servers(&encode_servers(&[])), Ok(Vec::new()));
    }
}
