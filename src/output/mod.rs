//! What commands print: colours, quoting, tables, ages, templates.

pub mod age;
pub mod changes;
pub mod commits;
pub mod fields;
pub mod file;
pub mod mtree;
pub mod progress;
pub mod quote;
pub mod screen;
pub mod size;
pub mod table;
pub mod template;

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use clap::ValueEnum;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// Set the choice for all that is printed through `anstream`.
pub fn set_color(color: Color) {
    match color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
}

/// End without a word when the reader of our output has gone, as `rd log | head -1` does; and as any command that fails
/// when output can't be written, to a full disk for example.
///
/// Rust ignores SIGPIPE at start, and `println!` panics on the error that follows; the panic of a closed stdout is
/// turned into the status that the signal would have given.
pub fn end_when_output_fails() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let message = info.payload().downcast_ref::<String>().map_or("", String::as_str);
        if let Some(failed) = message.strip_prefix("failed printing to ") {
            if failed.contains("Broken pipe") {
                std::process::exit(141);
            }
            // Where stderr is what failed, nobody can be told.
            let _ = writeln!(std::io::stderr(), "error: can't write to {failed}");
            std::process::exit(2);
        }
        previous(info);
    }));
}

/// Text from outside without what a terminal would act on: control characters become `\x1b` and the like.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() && c != '\n') {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if c.is_control() && c != '\n' { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// Print what a template or a listing made. A terminal gets no control characters that an image put there;
/// a pipe gets the bytes.
pub fn emit(text: &str) {
    if !std::io::stdout().is_terminal() {
        print!("{text}");
        return;
    }
    let lines: Vec<_> = text.split('\t').map(printable).collect();
    print!("{}", lines.join("\t"));
}

/// How many digits of an id people see.
pub const SHORT: usize = 12;

/// The beginning of an id that people see.
pub fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}
