//! Changes as JSON objects, one for each field of the configuration and each path.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use plumbing::bstr::{BStr, ByteSlice};
use plumbing::diff::config::ConfigChange;
use plumbing::diff::{Change, Difference, Entry, What};
use plumbing::root::{Kind, Time};
use serde_json::{Map, Value, json};

use super::names::shown;

/// One object a change: `{"status":"M","path":"etc/motd","changed":["content"],"before":{…},"after":{…}}`, and
/// `{"status":"A","config":"Env.PATH","before":null,"after":"/bin"}`.
pub fn objects(difference: &Difference) -> impl Iterator<Item = Value> + '_ {
    difference.config.iter().map(config).chain(difference.files.iter().map(file))
}

fn config(change: &ConfigChange) -> Value {
    let status = match (&change.before, &change.after) {
        (None, _) => "A",
        (_, None) => "D",
        _ => "M",
    };
    json!({ "status": status, "config": change.field, "before": change.before, "after": change.after })
}

fn file(change: &Change) -> Value {
    let mut object = Map::new();
    object.insert("status".into(), change.kind().letter().to_string().into());
    put_name(&mut object, "path", shown(change.path.as_bstr()));
    let words: Vec<_> = change.aspects.iter().map(|aspect| aspect.word()).collect();
    object.insert("changed".into(), words.into());
    object.insert("before".into(), change.before.as_ref().map(entry).into());
    object.insert("after".into(), change.after.as_ref().map(entry).into());
    Value::Object(object)
}

/// A name that is no UTF-8 is shown as well as can be, and its bytes are given in base64 beside it.
fn put_name(object: &mut Map<String, Value>, key: &str, name: &BStr) {
    object.insert(key.into(), name.to_str_lossy().into());
    if name.to_str().is_err() {
        object.insert(format!("{key}Base64"), BASE64.encode(name).into());
    }
}

/// An entry with its path.
pub fn named(path: &BStr, entry: &Entry) -> Map<String, Value> {
    let mut object = Map::new();
    put_name(&mut object, "path", path);
    put_entry(&mut object, entry);
    object
}

fn entry(entry: &Entry) -> Value {
    let mut object = Map::new();
    put_entry(&mut object, entry);
    Value::Object(object)
}

fn put_entry(object: &mut Map<String, Value>, entry: &Entry) {
    object.insert("type".into(), entry.what.word().into());
    object.insert("mode".into(), format!("{:04o}", entry.attrs.mode).into());
    object.insert("uid".into(), entry.attrs.uid.into());
    object.insert("gid".into(), entry.attrs.gid.into());
    match &entry.what {
        What::Leaf(Kind::File { id, size }) => {
            object.insert("size".into(), (*size).into());
            object.insert("id".into(), id.to_string().into());
        }
        What::Leaf(Kind::Symlink { id }) => drop(object.insert("id".into(), id.to_string().into())),
        What::Leaf(Kind::Char { major, minor } | Kind::Block { major, minor }) => {
            object.insert("device".into(), json!([major, minor]));
        }
        _ => {}
    }
    object.insert("mtime".into(), time(entry.mtime).into());
    if !entry.attrs.xattrs.is_empty() {
        let pairs = entry.attrs.xattrs.iter().map(|(name, value)| (name.to_string(), BASE64.encode(value).into()));
        object.insert("xattrsBase64".into(), Value::Object(pairs.collect()));
    }
    if let Some(links) = &entry.links {
        object.insert("links".into(), links.iter().map(|name| name.to_string()).collect());
    }
}

/// A time in RFC 3339, in UTC; seconds since 1970 where the year has more than four digits.
pub(super) fn time(time: Time) -> String {
    let nanoseconds = i32::try_from(time.nsec).unwrap_or(0);
    match jiff::Timestamp::new(time.sec, 0) {
        Ok(start) => {
            let exact = start.checked_add(jiff::SignedDuration::from_nanos(i64::from(nanoseconds)));
            exact.map_or_else(|_| format!("@{}.{:09}", time.sec, time.nsec), |moment| moment.to_string())
        }
        Err(_) => format!("@{}.{:09}", time.sec, time.nsec),
    }
}
