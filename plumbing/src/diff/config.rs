//! Image configurations (OCI image-spec, "Image Configuration"), compared field by field.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{Error, Result};

/// Top-level fields that say nothing of their own: layers and history are the commits' business, and
/// `container_config` is what docker's old builder left over of its last step.
const DERIVED: [&str; 3] = ["rootfs", "history", "container_config"];

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// The field's name: `Cmd`, `architecture`, and for fields with keys also the key: `Env.PATH`, `Labels.version`,
    /// `ExposedPorts.80/tcp`.
    pub field: String,
    /// What it was; `None` where it was not set.
    pub before: Option<Value>,
    /// What it is now.
    pub after: Option<Value>,
}

/// What differs between two configurations, given as JSON; sorted by field.
///
/// A field that is missing, `null` or empty is not set. With `ignore_times` the date `created` is left out.
pub fn compare(before: &[u8], after: &[u8], ignore_times: bool) -> Result<Vec<ConfigChange>> {
    if before == after {
        return Ok(Vec::new());
    }
    let mut old = fields(before)?;
    let mut new = fields(after)?;
    if ignore_times {
        old.remove("created");
        new.remove("created");
    }
    let mut names: Vec<String> = old.keys().chain(new.keys()).cloned().collect();
    names.sort();
    names.dedup();
    let change = |field: String| {
        let (before, after) = (old.remove(&field), new.remove(&field));
        (before != after).then_some(ConfigChange { field, before, after })
    };
    Ok(names.into_iter().filter_map(change).collect())
}

/// The fields that are set, by name.
fn fields(json: &[u8]) -> Result<BTreeMap<String, Value>> {
    let config: Map<String, Value> =
        serde_json::from_slice(json).map_err(|error| Error::damaged("image configuration", error.to_string()))?;
    let mut fields = BTreeMap::new();
    for (name, value) in config {
        match value {
            Value::Object(inner) if name == "config" => {
                inner.into_iter().for_each(|(name, value)| add(name, value, &mut fields));
            }
            _ if DERIVED.contains(&name.as_str()) => {}
            value => add(name, value, &mut fields),
        }
    }
    Ok(fields)
}

/// Add a field; one that holds values by key is taken apart.
fn add(name: String, value: Value, fields: &mut BTreeMap<String, Value>) {
    match value {
        Value::Array(list) if name == "Env" => {
            for item in list {
                let text = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
                let (key, value) = text.split_once('=').unwrap_or((&text, ""));
                fields.insert(format!("{name}.{key}"), Value::from(value));
            }
        }
        Value::Object(map) if matches!(name.as_str(), "Labels" | "ExposedPorts" | "Volumes") => {
            fields.extend(map.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
        }
        value if is_unset(&value) => {}
        value => {
            fields.insert(name, value);
        }
    }
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: &str, after: &str) -> Vec<String> {
        let text = |value: &Option<Value>| value.as_ref().map_or("-".into(), Value::to_string);
        let changes = compare(before.as_bytes(), after.as_bytes(), true).unwrap();
        changes.iter().map(|c| format!("{} {} {}", c.field, text(&c.before), text(&c.after))).collect()
    }

    #[test]
    fn fields_are_compared_one_by_one() {
        let before = r#"{"architecture":"amd64","created":"x","config":{"Env":["A=1","B=2"],"Cmd":["sh"],"User":""},"rootfs":{}}"#;
        let after = r#"{"architecture":"arm64","config":{"Env":["B=2","A=0","C"],"Cmd":["sh","-c"],"ExposedPorts":{"80/tcp":{}},"Labels":null}}"#;
        assert_eq!(
            shown(before, after),
            [
                r#"Cmd ["sh"] ["sh","-c"]"#,
                r#"Env.A "1" "0""#,
                r#"Env.C - """#,
                "ExposedPorts.80/tcp - {}",
                r#"architecture "amd64" "arm64""#
            ]
        );
    }

    #[test]
    fn what_is_not_set_equals_what_is_missing() {
        let before = r#"{"config":{"Cmd":null,"Entrypoint":[],"Tty":false,"User":""}}"#;
        assert!(shown(before, "{}").is_empty());
    }

    #[test]
    fn what_is_no_configuration_is_damage() {
        assert!(compare(b"[]", b"{}", false).is_err());
        assert!(compare("[".repeat(1000).as_bytes(), b"{}", false).is_err());
    }
}
