//! Dates as git's `--date` has them.

use clap::ValueEnum;
use plumbing::gix::date::Time;
use plumbing::gix::date::time::format;

/// The form of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Style {
    /// `Wed May 1 12:30:00 2024 +0200`
    #[default]
    Default,
    /// `2024-05-01 12:30:00 +0200`
    #[value(alias = "iso8601")]
    Iso,
    /// `2024-05-01T12:30:00+02:00`
    #[value(alias = "iso8601-strict")]
    IsoStrict,
    /// `Wed, 1 May 2024 12:30:00 +0200`
    #[value(alias = "rfc2822")]
    Rfc,
    /// `2024-05-01`
    Short,
    /// `1714559400 +0200`
    Raw,
    /// `1714559400`
    Unix,
    /// `3 weeks ago`
    Relative,
}

impl Style {
    /// The date in this form.
    pub fn format(self, time: Time) -> String {
        match self {
            Style::Default => time.format_or_unix(format::DEFAULT),
            Style::Iso => time.format_or_unix(format::ISO8601),
            // git writes the zone of Greenwich as Z here.
            Style::IsoStrict if time.offset == 0 => {
                let text = time.format_or_unix(format::ISO8601_STRICT);
                text.strip_suffix("+00:00").map_or(text.clone(), |date| format!("{date}Z"))
            }
            Style::IsoStrict => time.format_or_unix(format::ISO8601_STRICT),
            Style::Rfc => time.format_or_unix(format::GIT_RFC2822),
            Style::Short => time.format_or_unix(format::SHORT),
            Style::Raw => time.format_or_unix(format::RAW),
            Style::Unix => time.seconds.to_string(),
            Style::Relative => relative(plumbing::commit::now(), time.seconds),
        }
    }
}

/// How long ago, in git's words and with git's rounding.
fn relative(now: i64, then: i64) -> String {
    let Some(seconds) = now.checked_sub(then).filter(|seconds| *seconds >= 0) else { return "in the future".into() };
    let ago = |count: i64, unit: &str| format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" });
    let minutes = (seconds + 30) / 60;
    let hours = (minutes + 30) / 60;
    let days = (hours + 12) / 24;
    match () {
        () if seconds < 90 => ago(seconds, "second"),
        () if minutes < 90 => ago(minutes, "minute"),
        () if hours < 36 => ago(hours, "hour"),
        () if days < 14 => ago(days, "day"),
        () if days < 70 => ago((days + 3) / 7, "week"),
        () if days < 365 => ago((days + 15) / 30, "month"),
        () if days < 1825 => years_and_months(days),
        () => ago((days + 183) / 365, "year"),
    }
}

fn years_and_months(days: i64) -> String {
    let months = (days * 12 * 2 + 365) / (365 * 2);
    let s = |count: i64| if count == 1 { "" } else { "s" };
    let (years, months) = (months / 12, months % 12);
    match months {
        0 => format!("{years} year{} ago", s(years)),
        _ => format!("{years} year{}, {months} month{} ago", s(years), s(months)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_dates_are_gits() {
        const DAY: i64 = 86_400;
        for (passed, text) in [
            (0, "0 seconds ago"),
            (1, "1 second ago"),
            (89, "89 seconds ago"),
            (90, "2 minutes ago"),
            (3 * 3600, "3 hours ago"),
            (2 * DAY, "2 days ago"),
            (14 * DAY, "2 weeks ago"),
            (80 * DAY, "3 months ago"),
            (400 * DAY, "1 year, 1 month ago"),
            (730 * DAY, "2 years ago"),
            (10 * 365 * DAY, "10 years ago"),
            (-1, "in the future"),
        ] {
            assert_eq!(relative(1_000_000_000, 1_000_000_000 - passed), text);
        }
        assert_eq!(relative(i64::MAX, i64::MIN), "in the future");
    }
}
