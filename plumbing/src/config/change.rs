//! Dockerfile instructions that change a configuration: `-c` of import and commit.

use serde_json::{Map, Value, json};

use super::ImageConfig;
use super::words::{json as json_list, pairs, split, unquote};
use crate::{Error, Result};

/// Why an instruction is none.
pub(super) type Problem = String;

/// Instructions that make sense without a build, in docker's order.
const KNOWN: &str = "CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR";

impl ImageConfig {
    /// Apply one Dockerfile instruction, such as `CMD ["sh"]` or `ENV A=1 B=2`.
    ///
    /// `Invalid` where it isn't one that changes a configuration only.
    pub fn change(&mut self, instruction: &str) -> Result<()> {
        apply(self, instruction.trim()).map_err(|why| Error::Invalid {
            what: "instruction",
            input: instruction.escape_debug().to_string(),
            why,
        })
    }
}

fn apply(config: &mut ImageConfig, instruction: &str) -> Result<(), Problem> {
    let (verb, rest) = instruction.split_once(char::is_whitespace).unwrap_or((instruction, ""));
    let rest = rest.trim();
    let verb = verb.to_ascii_uppercase();
    if rest.is_empty() && !matches!(verb.as_str(), "CMD" | "ENTRYPOINT") {
        return Err(if KNOWN.split(", ").any(|known| known == verb) {
            format!("{verb} needs an argument")
        } else {
            format!("known are {KNOWN}")
        });
    }
    let execution = config.execution_mut();
    match verb.as_str() {
        "CMD" => set(execution, "Cmd", command(rest)),
        "ENTRYPOINT" => set_entrypoint(execution, rest),
        "ENV" => pairs(rest)?.into_iter().for_each(|(name, value)| set_env(execution, &name, &value)),
        "EXPOSE" => {
            for word in split(rest)? {
                ports(&unquote(&word))?.into_iter().for_each(|port| add_to_set(execution, "ExposedPorts", port));
            }
        }
        "HEALTHCHECK" => set(execution, "Healthcheck", health_check(rest)?),
        "LABEL" => {
            let labels = object(execution, "Labels");
            labels.extend(pairs(rest)?.into_iter().map(|(name, value)| (name, value.into())));
        }
        "ONBUILD" => on_build(execution, rest)?,
        "STOPSIGNAL" => set(execution, "StopSignal", signal(&unquote(rest))?.into()),
        "USER" => set(execution, "User", unquote(rest).into()),
        "VOLUME" => volumes(execution, rest)?,
        "WORKDIR" => {
            let now = execution.get("WorkingDir").and_then(Value::as_str).unwrap_or_default();
            let path = resolve(now, &unquote(rest));
            set(execution, "WorkingDir", path.into());
        }
        _ => return Err(format!("known are {KNOWN}")),
    }
    Ok(())
}

fn set(execution: &mut Map<String, Value>, key: &str, value: Value) {
    execution.insert(key.into(), value);
}

fn object<'c>(execution: &'c mut Map<String, Value>, key: &str) -> &'c mut Map<String, Value> {
    let slot = execution.entry(key).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = json!({});
    }
    slot.as_object_mut().expect("because it was made one")
}

fn list<'c>(execution: &'c mut Map<String, Value>, key: &str) -> &'c mut Vec<Value> {
    let slot = execution.entry(key).or_insert(Value::Null);
    if !slot.is_array() {
        *slot = json!([]);
    }
    slot.as_array_mut().expect("because it was made one")
}

fn add_to_set(execution: &mut Map<String, Value>, key: &str, member: String) {
    object(execution, key).insert(member, json!({}));
}

/// A command as a list, or as a line for the shell.
fn command(text: &str) -> Value {
    match json_list(text) {
        Some(words) => words.into(),
        None if text.is_empty() => Value::Null,
        None => json!(["/bin/sh", "-c", text]),
    }
}

/// A new entry point takes back the image's command, which was the old one's arguments.
fn set_entrypoint(execution: &mut Map<String, Value>, text: &str) {
    set(execution, "Entrypoint", command(text));
    set(execution, "Cmd", Value::Null);
}

fn set_env(execution: &mut Map<String, Value>, name: &str, value: &str) {
    let entry = Value::from(format!("{name}={value}"));
    let env = list(execution, "Env");
    let same = |old: &Value| old.as_str().and_then(|old| old.split_once('=')).is_some_and(|(key, _)| key == name);
    match env.iter_mut().find(|old| same(old)) {
        Some(old) => *old = entry,
        None => env.push(entry),
    }
}

/// `80`, `53/udp`, `8000-8010/tcp` as single ports with their protocol.
fn ports(text: &str) -> Result<Vec<String>, Problem> {
    let bad = || format!("'{text}' is no PORT[-PORT][/tcp|udp|sctp]");
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(bad);
    let (first, last) = (port(first)?, port(last)?);
    if first > last || !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(bad());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn volumes(execution: &mut Map<String, Value>, text: &str) -> Result<(), Problem> {
    let paths = match json_list(text) {
        Some(paths) => paths,
        None => split(text)?.iter().map(|word| unquote(word)).collect(),
    };
    for path in paths {
        if path.trim().is_empty() {
            return Err("a volume's path is empty".into());
        }
        add_to_set(execution, "Volumes", path);
    }
    Ok(())
}

fn on_build(execution: &mut Map<String, Value>, text: &str) -> Result<(), Problem> {
    let verb = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if matches!(verb.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
        return Err(format!("{verb} isn't allowed as an ONBUILD trigger"));
    }
    list(execution, "OnBuild").push(text.into());
    Ok(())
}

/// A signal's name, with or without `SIG`, or its number.
fn signal(text: &str) -> Result<String, Problem> {
    let name = text.to_ascii_uppercase();
    let bare = name.strip_prefix("SIG").unwrap_or(&name);
    let real_time =
        bare.strip_prefix("RTMIN+").or(bare.strip_prefix("RTMAX-")).is_some_and(|n| n.parse::<u8>().is_ok());
    let known = real_time
        || matches!(bare, "RTMIN" | "RTMAX")
        || format!("SIG{bare}").parse::<nix::sys::signal::Signal>().is_ok()
        || bare.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    if known { Ok(text.into()) } else { Err(format!("'{text}' is no signal")) }
}

/// `[OPTIONS] CMD command`, or `NONE`.
fn health_check(text: &str) -> Result<Value, Problem> {
    let mut check = Map::new();
    let mut rest = text;
    while let Some(option) = rest.strip_prefix("--") {
        let (option, behind) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
        rest = behind.trim_start();
        let (key, value) = option.split_once('=').ok_or_else(|| format!("'--{option}' needs a value"))?;
        let (field, value) = match key {
            "interval" => ("Interval", nanoseconds(value)?),
            "timeout" => ("Timeout", nanoseconds(value)?),
            "start-period" => ("StartPeriod", nanoseconds(value)?),
            "start-interval" => ("StartInterval", nanoseconds(value)?),
            "retries" => ("Retries", value.parse::<u32>().map_err(|_| format!("'{value}' is no number"))?.into()),
            _ => return Err(format!("unknown option '--{key}'")),
        };
        check.insert(field.into(), value);
    }
    let (verb, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let test = match (verb.to_ascii_uppercase().as_str(), json_list(command.trim())) {
        ("NONE", _) if command.is_empty() && check.is_empty() => vec!["NONE".to_owned()],
        ("CMD", _) if command.trim().is_empty() => return Err("the check has no command".into()),
        ("CMD", Some(words)) => std::iter::once("CMD".to_owned()).chain(words).collect(),
        ("CMD", None) => vec!["CMD-SHELL".to_owned(), command.trim().to_owned()],
        _ => return Err("it needs [OPTIONS] CMD command, or NONE".into()),
    };
    check.insert("Test".into(), test.into());
    Ok(check.into())
}

/// A duration in Go's spelling (`1m30s`, `1.5h`, `500ms`) in nanoseconds.
fn nanoseconds(text: &str) -> Result<Value, Problem> {
    let bad = || format!("'{text}' is no duration such as 30s or 1m30s");
    if text == "0" {
        return Ok(0.into());
    }
    let mut rest = text;
    let mut sum = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1e0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(bad()),
        };
        sum += number * unit;
        rest = &rest[end..];
    }
    // docker refuses less than a millisecond; Go's durations end at 292 years.
    if (1e6..9.2e18).contains(&sum) { Ok((sum as i64).into()) } else { Err(bad()) }
}

/// `path`, if relative below `now`, without `.` and `..`.
fn resolve(now: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{now}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(instructions: &[&str]) -> Value {
        let mut config = ImageConfig::parse(b"{}").unwrap();
        for instruction in instructions {
            config.change(instruction).unwrap();
        }
        config.fields()["config"].clone()
    }

    #[test]
    fn instructions_change_the_configuration_as_docker_does() {
        let table: &[(&[&str], Value)] = &[
            (&["CMD [\"a\", \"b c\"]"], json!({"Cmd": ["a", "b c"]})),
            (&["cmd echo $X"], json!({"Cmd": ["/bin/sh", "-c", "echo $X"]})),
            (&["CMD [not json"], json!({"Cmd": ["/bin/sh", "-c", "[not json"]})),
            (&["CMD []"], json!({"Cmd": []})),
            (&["CMD x", "ENTRYPOINT [\"e\"]"], json!({"Cmd": null, "Entrypoint": ["e"]})),
            (&["ENV A=1 B='x y'", "ENV A 2 3"], json!({"Env": ["A=2 3", "B=x y"]})),
            (
                &["EXPOSE 80 53/UDP 7000-7001"],
                json!({"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "7000/tcp": {}, "7001/tcp": {}}}),
            ),
            (&["LABEL a=1 b=\"2 3\"", "LABEL a=9"], json!({"Labels": {"a": "9", "b": "2 3"}})),
            (&["ONBUILD RUN x y", "ONBUILD COPY . ."], json!({"OnBuild": ["RUN x y", "COPY . ."]})),
            (&["USER 1000:100"], json!({"User": "1000:100"})),
            (&["VOLUME /a /b", "VOLUME [\"/c d\"]"], json!({"Volumes": {"/a": {}, "/b": {}, "/c d": {}}})),
            (&["WORKDIR /a/b", "WORKDIR ../c/./d"], json!({"WorkingDir": "/a/c/d"})),
            (&["STOPSIGNAL SIGQUIT"], json!({"StopSignal": "SIGQUIT"})),
            (&["HEALTHCHECK NONE"], json!({"Healthcheck": {"Test": ["NONE"]}})),
            (
                &["HEALTHCHECK --interval=1m30s --retries=3 CMD curl x"],
                json!({"Healthcheck": {"Interval": 90_000_000_000i64, "Retries": 3, "Test": ["CMD-SHELL", "curl x"]}}),
            ),
        ];
        for (instructions, want) in table {
            assert_eq!(&changed(instructions), want, "{instructions:?}");
        }
    }

    #[test]
    fn other_instructions_are_refused() {
        let mut config = ImageConfig::parse(b"{}").unwrap();
        for instruction in [
            "",
            "RUN ls",
            "COPY a b",
            "FROM x",
            "ENV",
            "ENV A",
            "EXPOSE 0",
            "EXPOSE 80/icmp",
            "EXPOSE 9-8",
            "EXPOSE 70000",
            "LABEL x",
            "STOPSIGNAL NOPE",
            "ONBUILD FROM x",
            "HEALTHCHECK CMD",
            "HEALTHCHECK --interval=x CMD y",
            "USER",
            "ENV A=\"x",
        ] {
            assert!(config.change(instruction).is_err(), "{instruction}");
        }
    }
}
