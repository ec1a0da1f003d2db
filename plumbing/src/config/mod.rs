//! Image configurations: the JSON of the OCI image specification (config.md), with fields that rd doesn't know kept.

pub mod change;
mod words;

use serde_json::{Map, Value};

use crate::{Error, Result};

/// A longer configuration is refused: nobody writes one, and it must fit into memory several times.
pub const LIMIT: u64 = 8 << 20;

/// An image configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageConfig(Map<String, Value>);

/// What a container of the image executes and how: the configuration's `config` object.
///
/// Lists and strings that are missing, `null` or of another type read as empty.
#[derive(Debug, Clone, Copy)]
pub struct Execution<'c>(Option<&'c Map<String, Value>>);

/// This machine's processor in the spelling of OCI, which is Go's.
pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "powerpc64" => "ppc64",
        "loongarch64" => "loong64",
        "mips64" if cfg!(target_endian = "little") => "mips64le",
        "mips" if cfg!(target_endian = "little") => "mipsle",
        other => other,
    }
}

impl ImageConfig {
    /// The configuration of an image of this machine that says nothing else. `created` is in seconds since 1970.
    pub fn new(created: i64) -> Self {
        let mut fields = Map::new();
        fields.insert("created".into(), format_time(created).into());
        fields.insert("architecture".into(), host_architecture().into());
        fields.insert("os".into(), "linux".into());
        fields.insert("config".into(), Value::Object(Map::new()));
        Self(fields)
    }

    /// Read a configuration. `Invalid` where it is no JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let invalid = |why: String| Error::Invalid { what: "image configuration", input: start_of(bytes), why };
        match serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))? {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(invalid("it is no JSON object".into())),
        }
    }

    /// The configuration as JSON, fields in their order.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).expect("because a JSON object can be written")
    }

    /// All fields, also those that rd doesn't know.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// All fields, to change.
    pub fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    /// The processor: `amd64`, `arm64` …
    pub fn architecture(&self) -> &str {
        self.0.get("architecture").and_then(Value::as_str).unwrap_or_default()
    }

    /// The operating system.
    pub fn os(&self) -> &str {
        self.0.get("os").and_then(Value::as_str).unwrap_or_default()
    }

    /// When the image was made, in seconds since 1970.
    pub fn created(&self) -> Option<i64> {
        self.0.get("created").and_then(Value::as_str).and_then(parse_time)
    }

    /// Say when the image was made, in seconds since 1970.
    pub fn set_created(&mut self, seconds: i64) {
        self.0.insert("created".into(), format_time(seconds).into());
    }

    /// What a container of the image executes.
    pub fn execution(&self) -> Execution<'_> {
        Execution(self.0.get("config").and_then(Value::as_object))
    }

    /// The same, to change; made where it is missing.
    pub fn execution_mut(&mut self) -> &mut Map<String, Value> {
        let slot = self.0.entry("config").or_insert(Value::Null);
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        slot.as_object_mut().expect("because it was made one")
    }
}

impl<'c> Execution<'c> {
    /// Any field.
    pub fn get(&self, key: &str) -> Option<&'c Value> {
        self.0.and_then(|fields| fields.get(key))
    }

    fn text(&self, key: &str) -> &'c str {
        self.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn list(&self, key: &str) -> Vec<&'c str> {
        self.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The names of an object's fields: how OCI spells a set.
    fn set(&self, key: &str) -> Vec<&'c str> {
        self.get(key).and_then(Value::as_object).into_iter().flat_map(Map::keys).map(String::as_str).collect()
    }

    /// The program that every container starts with, and its first arguments.
    pub fn entrypoint(&self) -> Vec<&'c str> {
        self.list("Entrypoint")
    }

    /// The command that a user's own replaces.
    pub fn cmd(&self) -> Vec<&'c str> {
        self.list("Cmd")
    }

    /// `NAME=value`.
    pub fn env(&self) -> Vec<&'c str> {
        self.list("Env")
    }

    /// `USER[:GROUP]`, names or numbers; empty is root.
    pub fn user(&self) -> &'c str {
        self.text("User")
    }

    /// The folder to start in; empty is `/`.
    pub fn working_dir(&self) -> &'c str {
        self.text("WorkingDir")
    }

    /// The signal that asks the command to end; empty is SIGTERM.
    pub fn stop_signal(&self) -> &'c str {
        self.text("StopSignal")
    }

    /// `80/tcp`.
    pub fn exposed_ports(&self) -> Vec<&'c str> {
        self.set("ExposedPorts")
    }

    /// Folders for volumes.
    pub fn volumes(&self) -> Vec<&'c str> {
        self.set("Volumes")
    }

    /// Labels by name.
    pub fn labels(&self) -> Vec<(&'c str, &'c str)> {
        let labels = self.get("Labels").and_then(Value::as_object).into_iter().flatten();
        labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
    }
}

/// A time as RFC 3339 spells it, in UTC; one beyond the years 0 to 9999 becomes the nearest that it can spell.
pub fn format_time(seconds: i64) -> String {
    use jiff::ToSpan;
    let first = jiff::civil::date(0, 1, 1).at(0, 0, 0, 0);
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    let seconds = seconds.clamp(-62_167_219_200, 253_402_300_799);
    let time = epoch.checked_add(seconds.seconds()).unwrap_or(first);
    format!("{time}Z")
}

/// Read an RFC 3339 time; seconds since 1970, fractions cut off.
pub fn parse_time(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|time| time.as_second())
}

fn start_of(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
    if bytes.len() > 60 { text + "…" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_kept() {
        let text = r#"{"os":"linux","x":{"y":[1,2.50,null]},"config":{"Cmd":["sh"],"Z":1}}"#;
        let config = ImageConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(config.execution().cmd(), ["sh"]);
        assert!(config.execution().env().is_empty());
        assert_eq!(config.execution().get("Z").unwrap(), 1);
        assert_eq!(config.fields()["x"]["y"][0], 1);
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        let deep = "[".repeat(100_000);
        for text in ["", "[]", "null", "{", "{}x", &deep] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err());
        }
    }

    #[test]
    fn times() {
        assert_eq!(format_time(0), "1970-01-01T00:00:00Z");
        assert_eq!(format_time(253_402_300_799), "9999-12-31T23:59:59Z");
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-05-01T12:30:00.123456789+02:00", 1_714_559_400),
            ("2024-05-01T10:30:00.5Z", 1_714_559_400),
            ("0001-01-01T00:00:00Z", -62_135_596_800),
        ] {
            assert_eq!(parse_time(text), Some(seconds), "{text}");
        }
        assert_eq!(parse_time("yesterday-ish"), None);
    }
}
