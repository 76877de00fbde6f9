//! What goes to standard output: tables for people, JSON for programs.

use std::io::Write;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use crate::failure::{Failure, Result};

/// How answers are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// A value for programs, or what `human` makes of it for people.
    pub(crate) fn show(self, value: &Value, human: impl FnOnce(&Value) -> String) -> Result<()> {
        let text = if self.json {
            serde_json::to_string_pretty(value)
                .map_err(|_| Failure::refused("the answer cannot be printed"))?
        } else {
            human(value)
        };
        print(text.trim_end())
    }

    /// A list: an array for programs, a table for people.
    pub(crate) fn list(self, items: &[Value], columns: &[Column], nothing: &str) -> Result<()> {
        if self.json {
            return self.show(&Value::Array(items.to_vec()), |_| String::new());
        }
        if items.is_empty() {
            return print(nothing);
        }
        print(rows(items, columns).trim_end())
    }
}

/// A heading and how its cell is made.
pub(crate) type Column = (&'static str, fn(&Value) -> String);

/// A table with a heading.
pub(crate) fn rows(items: &[Value], columns: &[Column]) -> String {
    let mut table = table();
    table.set_header(columns.iter().map(|c| c.0));
    for item in items {
        table.add_row(columns.iter().map(|c| (c.1)(item)));
    }
    trimmed(&table)
}

/// Names and values, one a line.
pub(crate) fn sheet(rows: &[(&str, String)]) -> String {
    let mut table = table();
    for (name, value) in rows {
        if !value.is_empty() {
            table.add_row([(*name).to_owned(), value.clone()]);
        }
    }
    trimmed(&table)
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some((_, width)) = console::Term::stdout().size_checked() {
        table.set_width(width);
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

fn trimmed(table: &Table) -> String {
    table
        .lines()
        .map(|line| line.trim().to_owned() + "\n")
        .collect()
}

/// One text to standard output. A reader that has gone away is no failure.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::refused("cannot write to standard output").detail(e.kind().to_string()))
        }
        _ => Ok(()),
    }
}

/// One text to standard error, where nobody may be reading.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A field as people read it: text without quotes, nothing for what is absent.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => clean(text),
        Value::Array(all) => all.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A time without its fraction and with a blank instead of the T.
pub(crate) fn time(value: &Value) -> String {
    let text = cell(value);
    match text.get(..19) {
        Some(first) => first.replace('T', " "),
        None => text,
    }
}

/// Text from elsewhere must not steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_from_elsewhere_does_not_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb c");
        assert_eq!(cell(&json!(["a", 1])), "a, 1");
        assert_eq!(
            time(&json!("2026-11-12T10:11:12.345Z")),
            "2026-11-12 10:11:12"
        );
    }

    #[test]
    fn a_sheet_leaves_out_what_is_empty() {
        let text = sheet(&[("id", "1".to_owned()), ("region", String::new())]);
        assert!(text.contains("id") && !text.contains("region"));
    }
}
