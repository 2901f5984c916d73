//! NTP's packet (RFC 5905, section 7.3) as a client of few words uses it: the question has nothing
//! in it but a random number that the answer has to bring back, and tells nothing of this clock.

use super::{NANOS, floor};
use std::time::Duration;

/// Bytes of a packet without extensions.
pub const LEN: usize = 48;

/// Where servers listen.
pub const PORT: u16 = 123;

/// Seconds from NTP's beginning to 1970, and of one of its eras.
const TO_1970: i64 = 2_208_988_800;
const ERA: i64 = 1 << 32;

/// How far from the source of its time a server may be: farther ones are lost themselves.
const DISTANCE_MAX: Duration = Duration::from_millis(1500);

/// What a server says. Times are nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Its time.
    Time {
        /// When the question came.
        received: i64,
        /// When the answer left.
        sent: i64,
        /// How far that may be from true time.
        distance: Duration,
    },
    /// Asked too often.
    Slower,
    /// Does not want to be asked.
    Refused,
}

/// A question of version 4, with this number in place of a time.
#[must_use]
pub fn question(number: u64) -> [u8; LEN] {
    let mut packet = [0; LEN];
    packet[0] = (4 << 3) | 3;
    packet[40..].copy_from_slice(&number.to_be_bytes());
    packet
}

/// The answer to the question of this number.
///
/// # Errors
/// Why it is none, or none that can be used.
pub fn parse(bytes: &[u8], number: u64) -> Result<Answer, &'static str> {
    let packet: &[u8; LEN] = bytes.first_chunk().ok_or("is too short")?;
    let word = |at: usize| {
        let mut four = [0; 4];
        four.copy_from_slice(&packet[at..at + 4]);
        u32::from_be_bytes(four)
    };
    let (leap, version, mode) = (packet[0] >> 6, (packet[0] >> 3) & 7, packet[0] & 7);
    if mode != 4 || !(3..=4).contains(&version) {
        return Err("is no answer of a server");
    }
    if u64::from(word(24)) << 32 | u64::from(word(28)) != number {
        return Err("answers another question");
    }
    match packet[1] {
        // A kiss of death (section 7.4): its code is where others name their source.
        0 if &packet[12..16] == b"RATE" => return Ok(Answer::Slower),
        0 => return Ok(Answer::Refused),
        1..=15 => {}
        _ => return Err("is of a server without a source"),
    }
    if leap == 3 {
        return Err("is of a server that does not know the time itself");
    }
    let short = |at| Duration::from_secs_f64(f64::from(word(at)) / 65_536.0);
    let distance = short(4) / 2 + short(8);
    if distance > DISTANCE_MAX {
        return Err("is of a server too far from its source");
    }
    let (received, sent) = (moment(word(32), word(36)), moment(word(40), word(44)));
    if word(40) == 0 || sent < received {
        return Err("was sent before it was asked for");
    }
    Ok(Answer::Time {
        received,
        sent,
        distance,
    })
}

/// Of the era in which it is not before the floor.
fn moment(secs: u32, fraction: u32) -> i64 {
    let secs = i64::from(secs) - TO_1970;
    let eras = (floor() - secs + ERA - 1).div_euclid(ERA);
    let nanos = (i64::from(fraction) * NANOS) >> 32;
    (secs + eras * ERA) * NANOS + nanos
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An answer of this time, seconds since 1970.
    pub(crate) fn answer(number: u64, secs: i64) -> [u8; LEN] {
        let mut packet = [0; LEN];
        packet[0] = (4 << 3) | 4;
        packet[1] = 2;
        packet[24..32].copy_from_slice(&number.to_be_bytes());
        let ntp = u32::try_from((secs + TO_1970).rem_euclid(ERA)).unwrap();
        for at in [32, 40] {
            packet[at..at + 4].copy_from_slice(&ntp.to_be_bytes());
        }
        packet
    }

    #[test]
    fn a_time_is_read_in_its_era() {
        // 2036 and 2038 have nothing to say here.
        for secs in [
            floor(),
            floor() + 1,
            2_085_978_495,
            2_085_978_497,
            2_200_000_000,
        ] {
            let mut packet = answer(7, secs);
            packet[44] = 0x80;
            let Answer::Time { received, sent, .. } = parse(&packet, 7).unwrap() else {
                panic!("{secs}");
            };
            assert_eq!(received, secs * NANOS);
            assert_eq!(sent, secs * NANOS + NANOS / 2);
        }
        let asked = question(0x0102_0304_0506_0708);
        assert_eq!(asked[0], 0x23);
        assert!(asked[1..40].iter().all(|b| *b == 0));
        assert_eq!(asked[40..], [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn what_is_no_use_is_refused() {
        let good = answer(7, floor() + 5);
        assert!(parse(&good, 7).is_ok() && parse(&good, 8).is_err());
        let with = |at: usize, byte: u8| {
            let mut bytes = good;
            bytes[at] = byte;
            parse(&bytes, 7)
        };
        // A client's, another version, without a leap second's knowledge, strata, distances.
        for (at, byte) in [
            (0, 0x23),
            (0, 0x14),
            (0, 0xe4),
            (1, 16),
            (1, 255),
            (5, 4),
            (9, 2),
        ] {
            assert!(with(at, byte).is_err(), "{at} {byte}");
        }
        // Left before it came.
        assert!(with(35, good[35] + 1).is_err());
        let mut kiss = good;
        kiss[1] = 0;
        assert_eq!(parse(&kiss, 7), Ok(Answer::Refused));
        kiss[12..16].copy_from_slice(b"RATE");
        assert_eq!(parse(&kiss, 7), Ok(Answer::Slower));
        assert!(parse(&kiss, 8).is_err());
        for end in 0..LEN {
            assert!(parse(&good[..end], 7).is_err());
        }
        crate::mutate::each(&good, |bytes| {
            let _ = parse(bytes, 7);
        });
    }
}
