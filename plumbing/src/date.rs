//! Dates as git reads them in `GIT_AUTHOR_DATE` and `GIT_COMMITTER_DATE` (git-commit(1), "DATE FORMATS").

use gix::date::Time;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::{Error, Result};

/// A bare number from here on is seconds since the epoch; git takes smaller ones for dates.
const FIRST_TIMESTAMP: i64 = 100_000_000;

/// Read a point in time with its offset; local time where the text has no offset.
///
/// Git's own format (`1700000000 +0200`), timestamps, ISO 8601 and RFC 2822 in git's spellings. Dates without a time
/// and relative ones are refused, as git refuses them here.
pub fn parse(text: &str) -> Result<Time> {
    read(text.trim()).ok_or_else(|| Error::Invalid {
        what: "date",
        input: text.into(),
        why: "write it as '1700000000 +0100' or '2023-11-14 23:13:20 +0100'".into(),
    })
}

/// Read a date as git's `--since` does: any of git's forms, also relative ones; a day without a time is that day at the
/// present time of day. What can't be read is now.
pub fn approximate(text: &str) -> i64 {
    let now = gix::date::Zoned::now();
    let is_day = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == 10 && !text.contains('T'));
    if let Some(day) = is_day
        && let Ok(at) = TimeZone::system().to_timestamp(day.to_datetime(now.time()))
    {
        return at.as_second();
    }
    let seconds = now.timestamp().as_second();
    gix::date::parse(text, Some(now)).map_or(seconds, |time| time.seconds)
}

fn read(text: &str) -> Option<Time> {
    let (number, rest) = text.split_once(' ').unwrap_or((text, ""));
    let digits = number.strip_prefix('@').unwrap_or(number);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return from_seconds(digits.parse().ok()?, rest.trim(), number.len() > digits.len());
    }
    // Without a time of day it is no point in time.
    if !text.contains(':') && !text.contains('T') {
        return None;
    }
    let text = year_first(text).unwrap_or_else(|| text.to_owned());
    let as_if_utc = gix::date::parse(&format!("{text} +0000"), None);
    match as_if_utc {
        Ok(time) => Some(from_local(time.seconds)),
        Err(_) => gix::date::parse(&text, None).ok(),
    }
}

/// Seconds since the epoch with an offset, which may be missing from what looks like a timestamp.
fn from_seconds(seconds: i64, offset: &str, marked: bool) -> Option<Time> {
    if offset.is_empty() {
        return (seconds >= FIRST_TIMESTAMP).then(|| Time { seconds, offset: local_offset(seconds) });
    }
    (marked || seconds >= FIRST_TIMESTAMP).then_some(Time { seconds, offset: parse_offset(offset)? })
}

/// `+0200`, `+02:00`, `+02`, `UTC`, `Z`: seconds east of Greenwich.
fn parse_offset(text: &str) -> Option<i32> {
    if matches!(text, "Z" | "UTC" | "GMT") {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.strip_prefix(['+', '-'])?.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes: i32 = if minutes.is_empty() { 0 } else { minutes.parse().ok()? };
    let hours: i32 = hours.parse().ok()?;
    (hours < 24 && minutes < 60 && digits.len() <= 4).then_some(sign * (hours * 3600 + minutes * 60))
}

/// `MM/DD/YYYY …` and `DD.MM.YYYY …` with the year first.
fn year_first(text: &str) -> Option<String> {
    let (date, time) = text.split_once(' ')?;
    let (first, second, year) = match (date.contains('/'), date.contains('.')) {
        (true, false) => parts(date, '/')?,
        (false, true) => parts(date, '.').map(|(day, month, year)| (month, day, year))?,
        _ => return None,
    };
    (year.len() == 4).then(|| format!("{year}-{first:0>2}-{second:0>2} {time}"))
}

fn parts(date: &str, separator: char) -> Option<(&str, &str, &str)> {
    let mut parts = date.split(separator);
    let all = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(all)
}

/// What is older than `text` says: the point in time, in seconds since 1970.
///
/// An age as docker (`24h`, `1h30m`; also `7d`, `2w`) or git (`2.weeks.ago`, `yesterday`) spells it, or a date; `now` is
/// later than everything (`i64::MAX`), `never` earlier.
pub fn cutoff(text: &str) -> Result<i64> {
    let now = crate::commit::now();
    match text.trim() {
        "now" | "all" => return Ok(i64::MAX),
        "never" | "false" => return Ok(i64::MIN),
        text => {
            if let Some(age) = duration(text) {
                return Ok(now.saturating_sub(age));
            }
        }
    }
    let spaced =
        if text.contains(".ago") || text.contains(".weeks") { text.replace('.', " ") } else { text.to_owned() };
    let found = gix::date::parse(spaced.trim(), Some(gix::date::Zoned::now()));
    let found = found.map_err(|_| Error::Invalid {
        what: "age",
        input: text.into(),
        why: "write it as '24h', '7d', '2.weeks.ago', '2023-11-14', 'now' or 'never'".into(),
    });
    found.map(|time| time.seconds)
}

/// `1h30m`, `2w`: seconds.
fn duration(text: &str) -> Option<i64> {
    let (mut total, mut number) = (0i64, String::new());
    for letter in text.chars() {
        let unit = match letter {
            '0'..='9' => {
                number.push(letter);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    (number.is_empty() && !text.is_empty()).then_some(total)
}

/// The offset of local time at a point in time.
pub fn local_offset(seconds: i64) -> i32 {
    let stamp = Timestamp::from_second(seconds).unwrap_or_default();
    TimeZone::system().to_offset(stamp).seconds()
}

/// The time that local clocks show `seconds` at, counted as if they ran in UTC.
fn from_local(seconds: i64) -> Time {
    let shown = Timestamp::from_second(seconds).unwrap_or_default();
    let civil = TimeZone::UTC.to_datetime(shown);
    let at = TimeZone::system().to_timestamp(civil).map_or(seconds, Timestamp::as_second);
    Time { seconds: at, offset: local_offset(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_with_an_offset_are_read_as_git_reads_them() {
        for (text, seconds, offset) in [
            ("@1700000000 +0200", 1_700_000_000, 7200),
            ("1700000000 -0730", 1_700_000_000, -27000),
            ("1700000000 +02", 1_700_000_000, 7200),
            ("1700000000 UTC", 1_700_000_000, 0),
            ("@0 +0000", 0, 0),
            ("2005-04-07T22:13:13Z", 1_112_911_993, 0),
            ("2005-04-07 22:13:13 +0200", 1_112_904_793, 7200),
            ("2005-04-07T22:13:13+02:00", 1_112_904_793, 7200),
            ("Thu, 07 Apr 2005 22:13:13 +0200", 1_112_904_793, 7200),
            ("Thu Apr 7 22:13:13 2005 +0200", 1_112_904_793, 7200),
        ] {
            assert_eq!(read(text), Some(Time { seconds, offset }), "{text}");
        }
    }

    #[test]
    fn ages_are_dockers_or_gits() {
        let now = crate::commit::now();
        let age = |text: &str| now - cutoff(text).unwrap();
        for (text, seconds) in [
            ("24h", 86_400),
            ("1h30m", 5400),
            ("0s", 0),
            ("2w", 1_209_600),
            ("2.weeks.ago", 1_209_600),
            ("3 days ago", 259_200),
        ] {
            assert!((seconds - 2..=seconds + 2).contains(&age(text)), "{text}: {}", age(text));
        }
        assert_eq!(cutoff("now").unwrap(), i64::MAX);
        assert_eq!(cutoff("never").unwrap(), i64::MIN);
        assert_eq!(cutoff("2005-04-07T22:13:13Z").unwrap(), 1_112_911_993);
        for text in ["", "garbage", "5", "5x", "h", "99999999999999999999h"] {
            assert!(cutoff(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_point_in_time_is_refused() {
        for text in ["2005-04-07", "yesterday", "2 hours ago", "now", "garbage", "0", "@0", "@-5 +0000", "12345678", ""]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
