//! Dates in all forms that git's `--date` and `%(authordate:…)` take (git-log(1)).

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use plumbing::gix::date::Time;

use crate::output::commits::date::Style;

/// A form of dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFormat {
    form: Form,
    /// In the zone of this machine, not of who wrote it.
    local: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Fixed(Style),
    Human,
    /// As strftime(3) has it.
    Custom(String),
}

impl Default for DateFormat {
    fn default() -> Self {
        Self { form: Form::Fixed(Style::Default), local: false }
    }
}

impl DateFormat {
    /// Read the form's name; `None` where git knows none of the name.
    pub fn parse(text: &str) -> Option<Self> {
        for (prefix, local) in [("format:", false), ("format-local:", true)] {
            if let Some(custom) = text.strip_prefix(prefix) {
                return Some(Self { form: Form::Custom(custom.into()), local });
            }
        }
        if text == "local" {
            return Some(Self { form: Form::Fixed(Style::Default), local: true });
        }
        let (name, local) = text.strip_suffix("-local").map_or((text, false), |name| (name, true));
        let form = match name {
            "default" => Form::Fixed(Style::Default),
            "relative" => Form::Fixed(Style::Relative),
            "iso" | "iso8601" => Form::Fixed(Style::Iso),
            "iso-strict" | "iso8601-strict" => Form::Fixed(Style::IsoStrict),
            "rfc" | "rfc2822" => Form::Fixed(Style::Rfc),
            "short" => Form::Fixed(Style::Short),
            "raw" => Form::Fixed(Style::Raw),
            "unix" => Form::Fixed(Style::Unix),
            "human" => Form::Human,
            _ => return None,
        };
        Some(Self { form, local })
    }

    /// The date in this form.
    pub fn format(&self, time: Time) -> String {
        let shown = match self.local {
            true => Time { offset: plumbing::date::local_offset(time.seconds), ..time },
            false => time,
        };
        match &self.form {
            // In the reader's own zone the zone isn't said.
            Form::Fixed(Style::Default) if self.local => {
                let text = Style::Default.format(shown);
                text.rsplit_once(' ').map_or(text.clone(), |(text, _)| text.to_owned())
            }
            Form::Fixed(style) => style.format(shown),
            Form::Human => human(shown, self.local),
            Form::Custom(format) => custom(shown, format),
        }
    }
}

fn zoned(time: Time) -> Option<jiff::Zoned> {
    let offset = Offset::from_seconds(time.offset).ok()?;
    Some(Timestamp::from_second(time.seconds).ok()?.to_zoned(TimeZone::fixed(offset)))
}

/// strftime(3), with git's own `%z` of whole minutes.
fn custom(time: Time, format: &str) -> String {
    let Some(zoned) = zoned(time) else { return time.seconds.to_string() };
    let sign = if time.offset < 0 { '-' } else { '+' };
    let minutes = time.offset.unsigned_abs() / 60;
    let zone = format!("{sign}{:02}{:02}", minutes / 60, minutes % 60);
    let format = replace_placeholder(format, 'z', &zone);
    let format = replace_placeholder(&format, 's', &time.seconds.to_string());
    // A zone that is only an offset has no name.
    let format = replace_placeholder(&format, 'Z', "");
    jiff::fmt::strtime::format(&format, &zoned).unwrap_or(format)
}

fn replace_placeholder(format: &str, sign: char, value: &str) -> String {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('%', Some(next)) if next == sign => {
                chars.next();
                out.push_str(value);
            }
            ('%', Some(next)) => {
                chars.next();
                out.extend(['%', next]);
            }
            _ => out.push(c),
        }
    }
    out
}

/// What a person would say: less the nearer it is.
fn human(time: Time, local: bool) -> String {
    let now = plumbing::commit::now();
    let here = Time { seconds: now, offset: plumbing::date::local_offset(now) };
    let (Some(then), Some(today)) = (zoned(time), zoned(here)) else { return Style::Default.format(time) };
    let same_year = then.year() == today.year();
    let (mut hide_date, mut same_day) = (false, false);
    if same_year && then.month() == today.month() && then.day() <= today.day() {
        same_day = then.day() == today.day();
        hide_date = same_day || then.day() + 5 > today.day();
    }
    if same_day {
        return Style::Relative.format(time);
    }
    let mut parts = Vec::new();
    if same_year {
        parts.push(then.strftime("%a").to_string());
    }
    if !hide_date {
        parts.push(format!("{} {}", then.strftime("%b"), then.day()));
    }
    match same_year {
        true => parts.push(then.strftime("%H:%M").to_string()),
        false => parts.push(then.strftime("%Y").to_string()),
    }
    if hide_date && !local && time.offset != here.offset {
        parts.push(custom(time, "%z"));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_gits() {
        let time = Time { seconds: 1_714_559_400, offset: 7200 };
        for (name, text) in [
            ("default", "Wed May 1 12:30:00 2024 +0200"),
            ("iso", "2024-05-01 12:30:00 +0200"),
            ("rfc2822", "Wed, 1 May 2024 12:30:00 +0200"),
            ("short", "2024-05-01"),
            ("unix", "1714559400"),
            ("raw", "1714559400 +0200"),
            ("format:%Y/%m/%d %H.%M %z %s %%z", "2024/05/01 12.30 +0200 1714559400 %z"),
        ] {
            assert_eq!(DateFormat::parse(name).unwrap().format(time), text, "{name}");
        }
        assert_eq!(DateFormat::parse("bogus"), None);
    }
}
