//! Times for people and for scripts, spelled as docker does.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How long ago `then` was (seconds since 1970): `2 hours ago`, `About a minute ago`; `N/A` for 1970 itself,
/// which stands for "not known".
pub fn ago(then: i64) -> String {
    let mut text = String::new();
    write_ago(&mut text, then, plumbing::commit::now());
    text
}

/// As [`ago`], appended to a text: for thousands of rows.
pub fn write_ago(out: &mut String, then: i64, now: i64) {
    if then == 0 {
        out.push_str("N/A");
    } else {
        write_duration(out, now.saturating_sub(then));
        out.push_str(" ago");
    }
}

/// A span of seconds in words: `Less than a second`, `47 seconds`, `3 weeks`.
pub fn duration(seconds: i64) -> String {
    let mut text = String::new();
    write_duration(&mut text, seconds);
    text
}

fn write_duration(out: &mut String, seconds: i64) {
    let minutes = seconds / 60;
    let hours = seconds.saturating_add(1800) / 3600;
    let (count, unit) = match seconds {
        ..=0 => return out.push_str("Less than a second"),
        1 => return out.push_str("1 second"),
        2..60 => (seconds, " seconds"),
        _ if minutes == 1 => return out.push_str("About a minute"),
        _ if minutes < 60 => (minutes, " minutes"),
        _ if hours == 1 => return out.push_str("About an hour"),
        _ if hours < 48 => (hours, " hours"),
        _ if hours < 24 * 7 * 2 => (hours / 24, " days"),
        _ if hours < 24 * 30 * 2 => (hours / 24 / 7, " weeks"),
        _ if hours < 24 * 365 * 2 => (hours / 24 / 30, " months"),
        _ => (seconds / 3600 / 24 / 365, " years"),
    };
    write!(out, "{count}{unit}").expect("because a text takes all that is written");
}

/// The `CreatedAt` of docker's listings, in the local time zone: `2024-05-01 12:30:00 +0200 CEST`.
pub fn local(seconds: i64) -> String {
    let time = timestamp(seconds).to_zoned(TimeZone::system());
    time.strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// RFC 3339 in the local time zone, as `docker history -H=false` prints it: `2024-05-01T12:30:00+02:00`.
pub fn rfc3339_local(seconds: i64) -> String {
    let time = timestamp(seconds).to_zoned(TimeZone::system());
    let text = time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    text.strip_suffix("+00:00").map_or(text.clone(), |utc| format!("{utc}Z"))
}

/// Times that no calendar has are cut to the nearest that it has.
fn timestamp(seconds: i64) -> Timestamp {
    let fallback = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(seconds).unwrap_or(fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_dockers() {
        const DAY: i64 = 86_400;
        for (seconds, shown) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (2 * DAY, "2 days"),
            (14 * DAY, "2 weeks"),
            (60 * DAY, "2 months"),
            (730 * DAY, "2 years"),
            (i64::MAX / 2, "146235604338 years"),
        ] {
            assert_eq!(duration(seconds), shown, "{seconds}");
        }
    }

    #[test]
    fn absurd_times_are_cut_not_refused() {
        assert!(rfc3339_local(i64::MAX).starts_with("9999-12-3"));
        assert!(rfc3339_local(i64::MIN).starts_with("-9999-01-0"), "{}", rfc3339_local(i64::MIN));
        assert!(duration(i64::MAX - 3600).ends_with("years"));
        assert_eq!(ago(0), "N/A");
    }
}
