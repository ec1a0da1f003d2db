//! Templates of `--format`: Go's text/template with docker's functions over JSON.
//!
//! The language is the crate `gotmpl`'s. What is added here is what docker's typed data gives it for free:
//! `json` keeps the order of keys, a missing list prints as `[]`, a missing label as nothing, and a name that no
//! docker structure has is an error rather than `<no value>`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use gotmpl::{MissingKey, TemplateError, Value};
use serde_json::Value as Json;

use crate::report::Failure;

/// Keys whose values are lists in docker's structures, so that `null` reads as an empty one.
const LISTS: &[&str] = &[
    "Args",
    "Binds",
    "CapAdd",
    "CapDrop",
    "Cmd",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "Entrypoint",
    "Env",
    "ExecIDs",
    "ExtraHosts",
    "GroupAdd",
    "Layers",
    "Links",
    "MaskedPaths",
    "Mounts",
    "OnBuild",
    "ReadonlyPaths",
    "RepoDigests",
    "RepoTags",
    "SecurityOpt",
    "Shell",
    "Ulimits",
    "VolumesFrom",
];

/// Keys whose values are maps with names of the user's choosing, so that a missing name is no mistake.
const MAPS: &[&str] = &[
    "Annotations",
    "Data",
    "ExposedPorts",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

/// The key of a row's labels as a map, for `{{.Label "key"}}`; `json` doesn't show it.
pub const LABELS: &str = "%labels";

/// What a template's value doesn't say about the JSON that it came from, by the address of its shared part.
type Origins = Arc<Mutex<HashMap<usize, Origin>>>;

#[derive(Debug, Clone)]
struct Origin {
    /// The keys of an object in their order.
    keys: Vec<Arc<str>>,
    /// A map with names of the user's choosing.
    open: bool,
    /// It was `null`.
    null: bool,
}

/// A parsed template.
pub struct Template {
    text: String,
    origins: Origins,
    strict: gotmpl::Template,
}

impl Template {
    /// Parse a template.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let text = call_label(text);
        let origins = Origins::default();
        let strict = with_functions(&origins).missing_key(MissingKey::Error).parse(&text).map_err(failure)?;
        Ok(Self { text, origins, strict })
    }

    /// What the template makes of `data`.
    pub fn render(&self, data: &Json) -> Result<String, Failure> {
        let value = convert("", data, &self.origins);
        let result = match self.strict.execute_to_string(&value) {
            Err(TemplateError::MissingKey { key }) if self.may_miss(&key) => {
                let lenient = with_functions(&self.origins).parse(&self.text).map_err(failure)?;
                lenient.execute_to_string(&value)
            }
            result => result,
        };
        self.origins.lock().unwrap_or_else(PoisonError::into_inner).clear();
        result.map_err(failure)
    }

    /// Whether the template asks for `key` as a label or the like, which need not exist.
    fn may_miss(&self, key: &str) -> bool {
        MAPS.iter().any(|map| self.text.contains(&format!(".{map}.{key}")))
    }

    /// The template over the headers of a table: every function gives back its text unchanged.
    pub fn render_headers(text: &str, headers: &BTreeMap<&str, String>) -> Result<String, Failure> {
        let data: BTreeMap<Arc<str>, Value> =
            headers.iter().map(|(key, header)| (Arc::from(*key), string(header.clone()))).collect();
        let mut template = gotmpl::Template::new("");
        for name in ["json", "split", "join", "title", "lower", "upper", "pad", "truncate"] {
            template = template.func(name, |args| Ok(args.first().cloned().unwrap_or(Value::Nil)));
        }
        template = template.func("label", |args| Ok(string(label_header(&text_of(args, 1)))));
        let parsed = template.parse(&call_label(text)).map_err(failure)?;
        parsed.execute_to_string(&Value::Map(Arc::new(data))).map_err(failure)
    }
}

fn failure(error: TemplateError) -> Failure {
    Failure::new(format!("template parsing error: {error}"))
        .hint("the language is Go's text/template; `--format '{{json .}}'` shows the fields")
}

/// docker's row method `{{.Label "key"}}` as the function call that this engine has for it.
fn call_label(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let end = rest[start..].find("}}").map_or(rest.len(), |end| start + end + 2);
        out.push_str(&rest[..start]);
        let action = &rest[start..end];
        let calls = ['"', '`', '$', '('].iter().any(|next| action.contains(&format!(".Label {next}")));
        out.push_str(&if calls { action.replace(".Label ", "label $ ") } else { action.to_owned() });
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// The header that docker makes of a label's key: its last part, in capitals.
fn label_header(key: &str) -> String {
    key.rsplit('.').next().unwrap_or(key).replace(['-', '_'], " ").to_uppercase()
}

fn with_functions(origins: &Origins) -> gotmpl::Template {
    let (for_json, for_index) = (origins.clone(), origins.clone());
    gotmpl::Template::new("")
        .func("json", move |args| {
            let value = restore(args.first().unwrap_or(&Value::Nil), &for_json);
            Ok(string(value.to_string()))
        })
        .func("index", move |args| index(args, &for_index))
        .func("label", |args| match args {
            [row, Value::String(key)] => {
                Ok(row.field(LABELS).and_then(|labels| labels.field(key)).cloned().unwrap_or(string("")))
            }
            _ => Err(TemplateError::Exec("Label takes the key of a label".into())),
        })
        .func("split", |args| {
            let (text, separator) = (text_of(args, 0), text_of(args, 1));
            Ok(Value::List(text.split(&separator).map(string).collect()))
        })
        .func("join", |args| match args {
            [Value::List(parts), Value::String(separator)] => {
                Ok(string(parts.iter().map(Value::to_string).collect::<Vec<_>>().join(separator)))
            }
            _ => Err(TemplateError::Exec("join takes a list and a separator".into())),
        })
        .func("title", |args| Ok(string(title(&text_of(args, 0)))))
        .func("lower", |args| Ok(string(text_of(args, 0).to_lowercase())))
        .func("upper", |args| Ok(string(text_of(args, 0).to_uppercase())))
        .func("pad", |args| {
            let text = text_of(args, 0);
            let spaces = |at: usize| " ".repeat(number(args, at).min(10_000));
            Ok(string(if text.is_empty() { text } else { spaces(1) + &text + &spaces(2) }))
        })
        .func("truncate", |args| Ok(string(text_of(args, 0).chars().take(number(args, 1)).collect::<String>())))
}

fn string(text: impl AsRef<str>) -> Value {
    Value::String(Arc::from(text.as_ref()))
}

/// An argument as text; functions accept anything that prints.
fn text_of(args: &[Value], at: usize) -> String {
    args.get(at).map(Value::to_string).unwrap_or_default()
}

fn number(args: &[Value], at: usize) -> usize {
    args.get(at).and_then(Value::as_int).and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

fn title(text: &str) -> String {
    let mut at_start = true;
    let mut raise = |c: char| {
        let raised = if at_start { c.to_uppercase().to_string() } else { c.to_string() };
        at_start = !c.is_alphanumeric() && c != '_' && c != '\'';
        raised
    };
    text.chars().map(&mut raise).collect()
}

/// As Go's, but a missing label is the empty text.
fn index(args: &[Value], origins: &Origins) -> Result<Value, TemplateError> {
    let (first, keys) = args.split_first().ok_or_else(|| TemplateError::Exec("index of nothing".into()))?;
    let mut value = first.clone();
    for key in keys {
        let open = origin(&value, origins).is_some_and(|origin| origin.open);
        value = match (&value, key) {
            (Value::Map(map), Value::String(key)) if open && !map.contains_key(key) => string(""),
            _ => value.index(key)?,
        };
    }
    Ok(value)
}

fn address(value: &Value) -> Option<usize> {
    match value {
        Value::Map(map) => Some(Arc::as_ptr(map).addr()),
        Value::List(list) => Some(Arc::as_ptr(list).cast::<Value>().addr()),
        _ => None,
    }
}

fn origin(value: &Value, origins: &Origins) -> Option<Origin> {
    let table = origins.lock().unwrap_or_else(PoisonError::into_inner);
    address(value).and_then(|address| table.get(&address).cloned())
}

/// A value for the engine; what it can't say is noted in `origins`. `name` is the key that the value is found at.
fn convert(name: &str, json: &Json, origins: &Origins) -> Value {
    let open = MAPS.contains(&name);
    let mut keys = Vec::new();
    let value = match json {
        Json::Null if LISTS.contains(&name) => Value::List(Arc::from(Vec::new())),
        Json::Null if open => Value::Map(Arc::default()),
        Json::Null => return Value::Nil,
        Json::Bool(bool) => return Value::Bool(*bool),
        Json::Number(number) => return convert_number(number),
        Json::String(text) => return string(text),
        Json::Array(list) => return Value::List(list.iter().map(|item| convert("", item, origins)).collect()),
        Json::Object(object) => {
            keys.extend(object.keys().map(|key| Arc::<str>::from(key.as_str())));
            let fields = keys.iter().zip(object.values());
            Value::Map(Arc::new(fields.map(|(key, value)| (key.clone(), convert(key, value, origins))).collect()))
        }
    };
    if let Some(address) = address(&value) {
        let origin = Origin { keys, open, null: json.is_null() };
        origins.lock().unwrap_or_else(PoisonError::into_inner).insert(address, origin);
    }
    value
}

fn convert_number(number: &serde_json::Number) -> Value {
    let signed = number.as_i64().map(Value::Int);
    signed.or_else(|| number.as_u64().map(Value::Uint)).unwrap_or_else(|| Value::Float(number.as_f64().unwrap_or(0.0)))
}

/// The JSON that `value` was converted from.
fn restore(value: &Value, origins: &Origins) -> Json {
    let origin = origin(value, origins);
    match value {
        _ if origin.as_ref().is_some_and(|origin| origin.null) => Json::Null,
        Value::Nil | Value::Function(_) => Json::Null,
        Value::Bool(bool) => Json::Bool(*bool),
        Value::Int(number) => Json::from(*number),
        Value::Uint(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::String(text) => Json::from(text.as_ref()),
        Value::List(list) => list.iter().map(|item| restore(item, origins)).collect(),
        Value::Map(map) => {
            let keys = origin.map_or_else(|| map.keys().cloned().collect(), |origin| origin.keys);
            let shown = keys.iter().filter(|key| key.as_ref() != LABELS);
            let fields = shown.filter_map(|key| Some((key.to_string(), restore(map.get(key)?, origins))));
            Json::Object(fields.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: &str) -> String {
        let data = json!({
            "Id": "sha256:ab", "RepoTags": ["a:1", "b:2"], "Size": 1_234_567_890_u64, "Ratio": 0.5, "Big": u64::MAX,
            "Config": {
                "Env": ["A=1", "B=2"], "Entrypoint": null, "Cmd": [], "Labels": {"z-z": "1", "a.b": "<2>"}, "User": "",
                "ExposedPorts": null, "Tty": false, "Healthcheck": null,
            },
            "Nested": [[1, 2], [null]], "%labels": {"k.e-y": "v"},
        });
        let rendered = Template::parse(template).and_then(|template| template.render(&data));
        rendered.unwrap_or_else(|failure| format!("error: {failure:?}"))
    }

    #[test]
    fn values_print_as_in_go() {
        for (template, text) in [
            ("{{.Id}} {{.Size}} {{.Big}} {{.Ratio}}", "sha256:ab 1234567890 18446744073709551615 0.5"),
            ("{{.Config.Env}} {{.Config.Cmd}}", "[A=1 B=2] []"),
            ("{{.Config.Labels}}", "map[a.b:<2> z-z:1]"),
            ("{{.Config.Tty}} {{not .Config.Tty}}", "false true"),
            ("{{.Config.Entrypoint}} {{len .Config.Entrypoint}} {{.Config.ExposedPorts}}", "[] 0 map[]"),
            ("{{.Nested}}", "[[1 2] [<nil>]]"),
            ("{{range .RepoTags}}{{.}},{{end}}", "a:1,b:2,"),
            ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a.b=<2>;z-z=1;"),
            ("{{range .Config.ExposedPorts}}x{{else}}none{{end}}", "none"),
            ("{{if .Config.User}}u{{else}}root{{end}}", "root"),
            ("{{with .Config}}{{.Env}} {{$.Id}}{{end}}", "[A=1 B=2] sha256:ab"),
            ("{{index .RepoTags 0}} {{index .Config.Env 1 | lower}}", "a:1 b=2"),
            ("{{index .Config.Labels \"z-z\"}}|{{index .Config.Labels \"no\"}}|", "1||"),
            ("{{.Config.Labels.no}}", "<no value>"),
            ("{{println .Id}}{{printf \"%-10s|%5d\" .Id 7}}", "sha256:ab\nsha256:ab |    7"),
            ("{{eq .Id \"sha256:ab\"}} {{and true .Config.Tty}} {{or 0 5}} {{slice .Id 7}}", "true false 5 ab"),
            ("a{{- /* c */ -}} b", "ab"),
        ] {
            assert_eq!(render(template), text, "{template}");
        }
    }

    #[test]
    fn functions_are_dockers() {
        for (template, text) in [
            ("{{join .RepoTags \", \"}}", "a:1, b:2"),
            ("{{(index (split .Id \":\") 1) | upper}}", "AB"),
            ("{{title \"hello big world\"}} {{pad \"x\" 1 2}}|{{truncate .Id 3}}", "Hello Big World  x  |sha"),
            ("{{json .RepoTags}}", r#"["a:1","b:2"]"#),
            ("{{json .Config.Labels}}", r#"{"z-z":"1","a.b":"<2>"}"#),
            ("{{json .Config.Entrypoint}}{{json .Config.Cmd}}{{json .Config.Healthcheck}}", "null[]null"),
            ("{{.Label \"k.e-y\"}}|{{.Label \"no\"}}|", "v||"),
        ] {
            assert_eq!(render(template), text, "{template}");
        }
        let all = render("{{json .}}");
        assert!(all.starts_with(r#"{"Id":"sha256:ab","RepoTags":["#) && !all.contains("%labels"), "{all}");
    }

    #[test]
    fn mistakes_are_errors() {
        for (template, why) in [
            ("{{.Nope}}", "map has no entry for key: Nope"),
            ("{{.Config.Nope.More}}", "no entry for key: Nope"),
            ("{{.Id", "unclosed action"),
            ("{{nope .Id}}", "nope"),
            ("{{index .RepoTags 7}}", "out of range"),
            ("{{join .Id 1}}", "join takes"),
        ] {
            let text = render(template);
            assert!(text.starts_with("error: ") && text.contains(why), "{template}: {text}");
        }
    }

    #[test]
    fn headers_pass_through_functions() {
        let headers = BTreeMap::from([("ID", "IMAGE ID".to_owned()), ("Size", "SIZE".to_owned())]);
        let render = |text| Template::render_headers(text, &headers).unwrap();
        assert_eq!(render("{{.ID | lower}}\t{{json .Size}}"), "IMAGE ID\tSIZE");
        assert_eq!(render("{{.Label \"com.x.cpu-count\"}}"), "CPU COUNT");
        assert_eq!(render("{{truncate .ID 3}} {{split .Size \",\"}} {{pad .ID 1 1}}"), "IMAGE ID SIZE IMAGE ID");
    }
}
