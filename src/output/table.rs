//! Listings: rows of fields as a table, as JSON lines, or through a template, as docker's `--format` has it.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Map, Value};

use super::template::{LABELS, Template};
use crate::report::Failure;

/// Go's tabwriter as docker sets it: columns at least 10 wide, three spaces between them, all spaces.
const PADDING: usize = 3;
const MIN_WIDTH: usize = 10 - PADDING;

/// What a command lists: every field that a row has, with its header, and the table it prints by default.
pub struct Listing {
    /// Field and header, in no order that matters: `("ID", "IMAGE ID")`.
    pub headers: &'static [(&'static str, &'static str)],
    /// The fields of the default table, in order.
    pub columns: &'static [&'static str],
    /// The field that `-q` prints.
    pub quiet: &'static str,
}

/// What a listing's flags ask for.
#[derive(Debug, Clone, Default)]
pub struct Style<'a> {
    /// `--format`: a template, `table TEMPLATE`, `table`, `json`.
    pub format: Option<&'a str>,
    /// `-q`: one field a line, unless there is a format.
    pub quiet: bool,
}

/// One line of a listing: its fields by name; all but [`LABELS`] are text.
pub type Row = Map<String, Value>;

impl Listing {
    /// The fields that rows need for `style`: those of the default table where it is asked for, else all.
    pub fn fields(&self, style: &Style<'_>) -> Vec<&'static str> {
        match style.format.map(str::trim) {
            None | Some("" | "table") if style.quiet => vec![self.quiet],
            None | Some("" | "table") => self.columns.to_vec(),
            Some(_) => self.headers.iter().map(|(field, _)| *field).collect(),
        }
    }

    /// Render `rows`, with a line end after each.
    pub fn render(&self, style: &Style<'_>, rows: &[Row]) -> Result<String, Failure> {
        match style.format.map(str::trim) {
            None | Some("" | "table") if style.quiet => {
                Ok(rows.iter().map(|row| cell(&row[self.quiet]) + "\n").collect())
            }
            None | Some("" | "table") => Ok(self.default_table(rows)),
            Some("json") => rows.iter().map(|row| Ok(json_line(row) + "\n")).collect(),
            Some(format) => match format.strip_prefix("table").filter(|rest| rest.starts_with([' ', '{'])) {
                Some(template) => self.template_table(&unescape(template.trim_matches(' ')), rows),
                None => self.lines(&unescape(format), rows, |text| text),
            },
        }
    }

    /// The header of a field.
    pub fn header(&self, field: &str) -> &'static str {
        self.headers.iter().find(|(name, _)| *name == field).map_or("", |(_, header)| header)
    }

    fn default_table(&self, rows: &[Row]) -> String {
        let headers: BTreeMap<_, _> = self.headers.iter().copied().collect();
        let mut text = self.columns.iter().map(|column| headers[column]).collect::<Vec<_>>().join("\t") + "\n";
        for row in rows {
            let cells: Vec<_> = self.columns.iter().map(|column| cell(&row[*column])).collect();
            text.push_str(&cells.join("\t"));
            text.push('\n');
        }
        align(&text)
    }

    fn template_table(&self, template: &str, rows: &[Row]) -> Result<String, Failure> {
        let headers = self.headers.iter().map(|(field, header)| (*field, (*header).to_owned())).collect();
        let header = Template::render_headers(template, &headers)?;
        let lines = self.lines(template, rows, clean)?;
        Ok(align(&format!("{header}\n{lines}")))
    }

    fn lines(&self, template: &str, rows: &[Row], edit: fn(String) -> String) -> Result<String, Failure> {
        let template = Template::parse(template)?;
        let mut text = String::new();
        for row in rows {
            let row = row.iter().map(|(key, value)| (key.clone(), cleaned(value, edit))).collect();
            text.push_str(&template.render(&Value::Object(row))?);
            text.push('\n');
        }
        Ok(text)
    }
}

/// A row for a table: from pairs of a field and its text.
pub fn row<const N: usize>(fields: [(&str, String); N]) -> Row {
    fields.into_iter().map(|(field, text)| (field.to_owned(), Value::String(text))).collect()
}

fn cleaned(value: &Value, edit: fn(String) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(edit(text.clone())),
        value => value.clone(),
    }
}

/// docker's `{{json .}}` of a row: its keys are sorted.
fn json_line(row: &Row) -> String {
    let sorted: BTreeMap<_, _> = row.iter().filter(|(key, _)| key.as_str() != LABELS).collect();
    serde_json::to_string(&sorted).expect("because a map of texts can be encoded")
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => clean(text.clone()),
        other => other.to_string(),
    }
}

/// A cell has no characters that would move it: tabs, line ends and terminal controls are escaped.
fn clean(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// `\t` and `\n` as a shell passes them.
pub fn unescape(format: &str) -> String {
    format.replace("\\t", "\t").replace("\\n", "\n")
}

/// A table of many rows, aligned as [`align`] does it, without a copy of each cell.
pub struct Aligned {
    /// The cells one after the other, and where each ends.
    text: String,
    ends: Vec<usize>,
    widths: Vec<usize>,
}

impl Aligned {
    /// A table with these headers.
    pub fn new<'h>(headers: impl ExactSizeIterator<Item = &'h str>) -> Self {
        let widths = vec![MIN_WIDTH; headers.len()];
        let mut table = Self { text: String::new(), ends: Vec::new(), widths };
        headers.for_each(|header| table.cell(|text| text.push_str(header)));
        table
    }

    /// Add a cell, of the next row after the last column's. `write` appends its text, of which a character is a byte.
    pub fn cell(&mut self, write: impl FnOnce(&mut String)) {
        let begin = self.text.len();
        write(&mut self.text);
        let column = self.ends.len() % self.widths.len();
        self.widths[column] = self.widths[column].max(self.text.len() - begin);
        self.ends.push(self.text.len());
    }

    /// The lines.
    pub fn finish(self) -> String {
        const SPACES: &str = "                                                                ";
        let columns = self.widths.len();
        let mut out = String::with_capacity(2 * self.text.len());
        let mut begin = 0;
        for (index, end) in self.ends.iter().enumerate() {
            let cell = &self.text[begin..*end];
            out.push_str(cell);
            if index % columns == columns - 1 {
                out.push('\n');
            } else {
                let mut gap = self.widths[index % columns] - cell.len() + PADDING;
                while gap > 0 {
                    let spaces = gap.min(SPACES.len());
                    out.push_str(&SPACES[..spaces]);
                    gap -= spaces;
                }
            }
            begin = *end;
        }
        out
    }
}

/// Align the columns of lines whose cells are parted by tabs.
pub fn align(text: &str) -> String {
    let mut writer = tabwriter::TabWriter::new(Vec::new()).minwidth(MIN_WIDTH).padding(PADDING);
    writer.write_all(text.as_bytes()).expect("because writing to memory can't fail");
    let bytes = writer.into_inner().expect("because writing to memory can't fail");
    String::from_utf8(bytes).expect("because text with spaces added is text")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: Listing = Listing {
        headers: &[("ID", "IMAGE ID"), ("Repository", "REPOSITORY"), ("Size", "SIZE")],
        columns: &["Repository", "ID", "Size"],
        quiet: "ID",
    };

    fn render(format: Option<&str>, quiet: bool) -> String {
        let mut first = row([("Repository", "debian".into()), ("ID", "0123456789ab".into()), ("Size", "116MB".into())]);
        first.insert(LABELS.into(), serde_json::json!({"k": "v"}));
        let second = row([("Repository", "a\tb\x1b[2J".into()), ("ID", "ff".into()), ("Size", "1B".into())]);
        LISTING.render(&Style { format, quiet }, &[first, second]).unwrap()
    }

    #[test]
    fn tables_are_aligned_as_dockers() {
        let text = "REPOSITORY      IMAGE ID       SIZE\n\
                    debian          0123456789ab   116MB\n\
                    a\\tb\\u{1b}[2J   ff             1B\n";
        assert_eq!(render(None, false), text);
        assert_eq!(render(Some("table"), false), text);
        assert_eq!(
            render(Some(r"table {{.Size}}\t{{.ID}}"), false),
            "SIZE      IMAGE ID\n116MB     0123456789ab\n1B        ff\n"
        );
        assert_eq!(render(Some("table {{.Size}}"), true), "SIZE\n116MB\n1B\n");
    }

    #[test]
    fn many_rows_are_aligned_alike() {
        for rows in [&[["debian", "x"], ["a-long-name-indeed", "y"]][..], &[]] {
            let mut table = Aligned::new(["REPOSITORY", "SIZE"].into_iter());
            let mut text = String::from("REPOSITORY\tSIZE\n");
            for [name, size] in rows {
                table.cell(|text| text.push_str(name));
                table.cell(|text| text.push_str(size));
                text += &format!("{name}\t{size}\n");
            }
            assert_eq!(table.finish(), align(&text));
        }
    }

    #[test]
    fn other_formats_are_lines() {
        assert_eq!(render(None, true), "0123456789ab\nff\n");
        assert_eq!(render(Some(r"{{.ID}}:\t{{upper .Size}}"), true), "0123456789ab:\t116MB\nff:\t1B\n");
        assert_eq!(render(Some("{{.Label \"k\"}}|"), false), "v|\n|\n");
        let json = r#"{"ID":"0123456789ab","Repository":"debian","Size":"116MB"}"#;
        assert_eq!(render(Some("json"), false).lines().next(), Some(json));
        assert_eq!(render(Some("{{json .ID}}"), false), "\"0123456789ab\"\n\"ff\"\n");
    }
}
