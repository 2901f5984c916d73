//! Moments as people write them.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// `2026-11-26 20:05:11`, in UTC.
#[must_use]
pub fn show(secs: i64) -> String {
    let Ok(at) = OffsetDateTime::from_unix_timestamp(secs) else {
        return "a time that cannot be".into();
    };
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// Of `2026-11-26T20:05` or `2026-11-26 20:05:11`, in UTC. Without seconds the middle of the minute
/// is meant.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' '])?;
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split(':').map(number);
    let (hour, minute) = (time.next()??, time.next()??);
    let second = time.next().unwrap_or(Some(30))?;
    if date.next().is_some() || time.next().is_some() {
        return None;
    }
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let small = |n: u16| u8::try_from(n).ok();
    let date = Date::from_calendar_date(i32::from(year), month, small(day)?).ok()?;
    let time = Time::from_hms(small(hour)?, small(minute)?, small(second)?).ok()?;
    Some(
        PrimitiveDateTime::new(date, time)
            .assume_utc()
            .unix_timestamp(),
    )
}

fn number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        for secs in [0, 951_782_399, 1_795_651_200, 2_147_483_648, 4_102_444_799] {
            assert_eq!(parse(&show(secs)), Some(secs));
        }
        assert_eq!(show(1_795_651_211), "2026-11-26 00:00:11");
        assert_eq!(parse("2026-11-26T00:00"), Some(1_795_651_230));
        for odd in [
            "",
            "2026-11-26",
            "2026-13-26T00:00",
            "2026-02-29T00:00",
            "2026-11-26T24:00",
            "2026-11-26T+1:00",
            "2026-11-26T00:00:00:00",
            "99999-11-26T00:00",
            "-1-1-1T0:0",
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
        assert!(show(i64::MAX).contains("cannot"));
    }
}
