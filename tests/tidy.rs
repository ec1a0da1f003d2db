//! The rules of the house that a machine can check. Each failure names the place and the rule.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of Rust code without its tests.
struct Source {
    /// Relative to the workspace.
    path: String,
    /// Its lines up to `#[cfg(test)]` at the end of the file.
    lines: Vec<String>,
}

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All code below `folders` that ends up in rd.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut pending: Vec<PathBuf> = folders.iter().map(|folder| workspace().join(folder)).collect();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let is_tests = path.file_stem().is_some_and(|stem| stem == "tests");
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_tests {
                sources.push(source(&path));
            }
        }
    }
    assert!(sources.len() > 5, "{folders:?} have moved");
    sources
}

fn source(path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let path = path.strip_prefix(workspace()).unwrap().to_str().unwrap().to_owned();
    Source { path, lines: code.lines().map(str::to_owned).collect() }
}

/// A line without comments and without the insides of strings on it.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut chars = line.chars().peekable();
    let mut in_string = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => drop(chars.next()),
            '"' => in_string = !in_string,
            '/' if !in_string && chars.peek() == Some(&'/') => break,
            // A character literal may hold a quotation mark.
            '\'' if !in_string && chars.peek() == Some(&'"') => drop(chars.next()),
            _ if in_string => {}
            c => code.push(c),
        }
    }
    code
}

/// The places in `sources` whose code holds one of `words`.
fn places(sources: &[Source], words: &[&str]) -> Vec<String> {
    let mut places = Vec::new();
    for source in sources {
        for (at, line) in source.lines.iter().enumerate() {
            let code = code_of(line);
            if words.iter().any(|word| code.contains(word)) {
                places.push(format!("{}:{}: {}", source.path, at + 1, line.trim()));
            }
        }
    }
    places
}

#[track_caller]
fn assert_none(rule: &str, places: &[String]) {
    assert!(places.is_empty(), "{rule}:\n{}", places.join("\n"));
}

#[test]
fn the_layers_depend_downwards_only() {
    let manifest = read("plumbing/Cargo.toml");
    assert!(!manifest.contains("porcelain"), "plumbing must not depend on porcelain");
    for path in ["plumbing/Cargo.toml", "porcelain/Cargo.toml"] {
        for words in ["clap", "anstream"] {
            assert!(!read(path).lines().any(|line| line.starts_with(words)), "{path}: {words} is for the binary");
        }
    }
    assert_none("plumbing knows nothing above it", &places(&sources(&["plumbing/src"]), &["porcelain"]));
}

#[test]
fn the_libraries_print_nothing_and_never_exit() {
    let words = ["println!", "print!(", "eprint!(", "dbg!(", "process::exit", "process::abort"];
    assert_none("a library returns values", &places(&sources(&["plumbing/src", "porcelain/src"]), &words));
}

#[test]
fn unsafe_code_is_in_one_file() {
    let mut sources = sources(&["src", "plumbing/src", "porcelain/src"]);
    sources.retain(|source| source.path != "porcelain/src/sys.rs");
    assert_none(
        "unsafe belongs into porcelain/src/sys.rs",
        &places(&sources, &["unsafe {", "unsafe fn", "unsafe impl"]),
    );
    for path in ["src/main.rs", "plumbing/src/lib.rs"] {
        assert!(read(path).contains("#![forbid(unsafe_code)]"), "{path} has to forbid unsafe code");
    }
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    let sources = sources(&["src", "plumbing/src", "porcelain/src"]);
    assert_none(
        "expect(\"because …\") says why it can't fail",
        &places(&sources, &[".unwrap()", "todo!(", "unimplemented!("]),
    );
}

#[test]
fn expectations_say_because() {
    let mut wrong = Vec::new();
    for source in sources(&["src", "plumbing/src", "porcelain/src"]) {
        for (at, line) in source.lines.iter().enumerate() {
            let said = line.split(".expect(\"").nth(1);
            if said.is_some_and(|said| !said.starts_with("because ")) {
                wrong.push(format!("{}:{}: {}", source.path, at + 1, line.trim()));
            }
        }
    }
    assert_none("expect(\"because …\") says why it can't fail", &wrong);
}

#[test]
fn files_are_short_and_named_for_what_they_hold() {
    let sources = sources(&["src", "plumbing/src", "porcelain/src"]);
    let long = sources.iter().filter(|source| source.lines.len() > 500);
    let long: Vec<String> = long.map(|source| format!("{}: {} lines", source.path, source.lines.len())).collect();
    assert_none("split a file of more than 500 lines without its tests", &long);
    let stem = |source: &Source| Path::new(&source.path).file_stem().unwrap().to_str().unwrap().to_owned();
    let drawer =
        |source: &&Source| ["utils", "util", "helpers", "common", "misc", "types"].contains(&stem(source).as_str());
    let drawers: Vec<String> = sources.iter().filter(drawer).map(|source| source.path.clone()).collect();
    assert_none("name a file for what it holds", &drawers);
    let silent = sources.iter().filter(|source| !source.lines.first().is_some_and(|line| line.starts_with("//!")));
    let silent: Vec<String> = silent.map(|source| source.path.clone()).collect();
    assert_none("a file begins with what it is for", &silent);
}

#[test]
fn public_items_of_the_libraries_are_documented() {
    for path in ["plumbing/src/lib.rs", "porcelain/src/lib.rs"] {
        assert!(read(path).contains("#![warn(missing_docs)]"), "{path} has to warn of missing documentation");
    }
}

/// Module names of all commands, and whether help shows them.
fn commands() -> Vec<(String, bool)> {
    let text = read("src/cli.rs");
    let list = text.split("\ncommands! {\n").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap();
    let words = list.lines().map(|line| line.trim().trim_end_matches(','));
    let commands: Vec<_> = words
        .map(|line| match line.strip_suffix(" hidden") {
            Some(module) => (module.to_owned(), false),
            None => (line.to_owned(), true),
        })
        .collect();
    assert!(commands.len() > 5, "src/cli.rs has changed: {list}");
    commands
}

#[test]
fn every_command_has_one_file_and_its_own_tests() {
    let exists = |path: String| workspace().join(path).exists();
    let tests = sources(&["tests/cli"]);
    let tested = |command: &str| {
        let names = [format!("`{command}`"), format!("`rd {command}`")];
        let first = |source: &Source| source.lines.first().cloned().unwrap_or_default();
        tests.iter().any(|source| names.iter().any(|name| first(source).contains(name)))
    };
    let mut missing = Vec::new();
    for (module, shown) in commands() {
        if !exists(format!("src/commands/{module}.rs")) && !exists(format!("src/commands/{module}/mod.rs")) {
            missing.push(format!("src/commands/{module}.rs"));
        }
        if shown && !tested(&module.replace('_', "-")) {
            missing.push(format!("tests/cli/{module}.rs, or another whose first line names the command"));
        }
    }
    assert_none("a command has a file and tests of its own", &missing);
}

#[test]
fn the_readme_names_every_command() {
    let readme = read("README.md");
    let table = readme.split("\n## Commands\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let shown = commands().into_iter().filter(|(_, shown)| *shown).map(|(module, _)| module.replace('_', "-"));
    let missing: Vec<String> = shown.filter(|name| !table.contains(&format!("`{name}`"))).collect();
    assert_none("the README's overview lists all commands", &missing);
}

/// What `rd ARGS --help` prints.
fn help(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rd"))
        .args(args)
        .arg("--help")
        .env_clear()
        .env("COLUMNS", "120")
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// `docs/cli.md`: the help of every command, in the order in which `rd --help` lists them.
fn cli_md() -> String {
    let top = help(&[]);
    let mut text = String::from(
        "# The commands of rd\n\nWhat `--help` says, put together by `tests/tidy.rs`. Every command takes the global options as well.\n",
    );
    text += &format!("\n## rd\n\n```text\n{top}```\n");
    for name in subcommands(&top) {
        let whole = help(&[name]);
        text += &section(&format!("## rd {name}"), &whole);
        for inner in subcommands(&whole) {
            text += &section(&format!("### rd {name} {inner}"), &help(&[name, inner]));
        }
    }
    text
}

/// The commands that a help text lists.
fn subcommands(help: &str) -> Vec<&str> {
    let listed =
        help.split("\nCommands:\n").nth(1).unwrap_or_default().lines().take_while(|line| line.starts_with(' '));
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap()).filter(|name| *name != "help").collect()
}

fn section(title: &str, help: &str) -> String {
    let own = help.split("\nGlobal options:\n").next().unwrap_or_default();
    format!("\n{title}\n\n```text\n{own}```\n")
}

#[test]
fn the_manual_is_in_step() {
    let path = workspace().join("docs/cli.md");
    let wanted = cli_md();
    if std::env::var_os("RD_UPDATE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "docs/cli.md isn't what --help says: run `RD_UPDATE_DOCS=1 cargo test --test tidy`");
}

#[test]
fn strings_and_comments_are_no_code() {
    assert_eq!(code_of(r#"let a = "un\"wrap" + b; // .unwrap()"#), "let a =  + b; ");
    assert_eq!(code_of(r#"if c == '"' { x.unwrap() }"#), "if c == ' { x.unwrap() }");
}
