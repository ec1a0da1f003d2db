//! An image's configuration as JSON: read leniently, whoever wrote it, with every field that rd doesn't know kept.

use plumbing::{Id, Store};
use serde_json::{Map, Value};

use crate::Result;

/// Larger configurations are refused: the largest of real images are some hundred kilobytes.
const MAX_BYTES: usize = 8 << 20;

/// An OCI image configuration. A field that has the wrong type reads as missing.
#[derive(Debug, Clone, Default)]
pub struct ImageConfig {
    json: Map<String, Value>,
}

impl ImageConfig {
    /// Read the configuration blob `id`; `Damaged` where it is no JSON object, or nested too deeply to be one of use.
    pub fn read(store: &Store, id: &Id) -> Result<Self> {
        let bytes = store.read_blob(id)?;
        let damaged = |why: String| plumbing::Error::damaged(format!("image configuration {id}"), why);
        Ok(Self::decode(&bytes).map_err(damaged)?)
    }

    /// Decode a configuration; the error says why it is none.
    pub fn decode(bytes: &[u8]) -> std::result::Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err(format!("it has {} bytes, more than {MAX_BYTES}", bytes.len()));
        }
        // serde_json gives up beyond 128 levels.
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(json)) => Ok(Self { json }),
            Ok(_) => Err("it is no JSON object".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The text at a top-level key; empty where there is none.
    pub fn text(&self, key: &str) -> &str {
        self.json.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// What containers of the image are run with: the object at `config`.
    pub fn run(&self) -> Option<&Map<String, Value>> {
        self.json.get("config").and_then(Value::as_object)
    }

    /// The labels, in the order of the file.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.run().and_then(|run| run.get("Labels")).and_then(Value::as_object);
        labels.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }

    /// The digests of the uncompressed layers, the lowest first.
    pub fn diff_ids(&self) -> Vec<&str> {
        let list = self.json.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The steps that made the image, the oldest first; those that are no objects are left out.
    pub fn history(&self) -> Vec<&Map<String, Value>> {
        let list = self.json.get("history").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_object).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_configurations_are_errors_and_odd_ones_are_read() {
        let deep = "[".repeat(100_000);
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BYTES));
        for bytes in ["", "[]", "null", "{", "\u{0}", &deep, &long, &format!("{{\"a\":{deep}")] {
            assert!(ImageConfig::decode(bytes.as_bytes()).is_err());
        }
        let odd = ImageConfig::decode(
            br#"{"config":{"Labels":{"a":1,"b":"2"}},"rootfs":{"diff_ids":[1,"x"]},"history":[1,{}],"os":3}"#,
        )
        .unwrap();
        assert_eq!(odd.labels().collect::<Vec<_>>(), [("b", "2")]);
        assert_eq!((odd.diff_ids(), odd.history().len(), odd.text("os")), (vec!["x"], 1, ""));
        for odd in [r#"{"config":[]}"#, r#"{"config":{"Labels":[1]},"rootfs":1,"history":{}}"#] {
            let odd = ImageConfig::decode(odd.as_bytes()).unwrap();
            assert!(odd.labels().next().is_none() && odd.diff_ids().is_empty() && odd.history().is_empty());
        }
    }
}
