//! Output of commands: data goes to stdout, messages for people go to stderr.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;
use tds_core::{clock::readable, queue::Page};
use time::OffsetDateTime;

use super::exit::{CommandResult, Failure};
use crate::telemetry;

/// Writes data to stdout, with a line end.
pub(crate) fn data(text: &str) -> CommandResult {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()?;
    Ok(())
}

/// Writes a JSON document to stdout.
pub(crate) fn json(document: &impl Serialize) -> CommandResult {
    let text = serde_json::to_string_pretty(document).map_err(not_written)?;
    data(&text)
}

/// Writes a JSON document to stdout, in one line.
pub(crate) fn json_line(document: &impl Serialize) -> CommandResult {
    let text = serde_json::to_string(document).map_err(not_written)?;
    data(&text)
}

fn not_written(error: serde_json::Error) -> Failure {
    Failure::failed(format!("the document cannot be written as JSON: {error}"))
}

/// Writes a message to the person at the terminal. A failed write is ignored.
pub(crate) fn talk(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a message to the operator of a server. If the log is JSON, the message is a line of the log.
pub(crate) fn say(text: &str) {
    if telemetry::is_json() { tracing::info!("{text}") } else { talk(text) }
}

/// Reports the reason why the program ends.
pub(crate) fn fail(message: &str) {
    if telemetry::is_json() {
        telemetry::write_error(message);
    } else {
        talk(&format!("error: {}", clean(message)));
    }
}

/// Asks for confirmation before an action that cannot be undone.
pub(crate) fn confirm(question: &str, yes: bool) -> CommandResult {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "{question} The command cannot ask, because standard input is not a terminal; add --yes to confirm"
        )));
    }
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{question} [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::failed("nothing was changed"))
    }
}

/// Asks the person at the terminal for a line. Returns `None` if standard input is not a terminal.
pub(crate) fn ask(question: &str) -> CommandResult<Option<String>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{question}: ");
    let _ = stderr.flush();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(Some(answer.trim().to_owned()))
}

/// Returns text from outside without control characters and changes of writing direction, which could send commands
/// to a terminal.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| telemetry::is_harmful(c) && c != '\n' && c != '\t';
    if text.contains(harmful) { Cow::Owned(text.replace(harmful, "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// Formats a time in human-readable form: UTC, whole seconds.
pub(crate) fn time(time: Option<OffsetDateTime>) -> String {
    time.map_or_else(|| "-".to_owned(), readable)
}

/// Formats a duration as on the command line, in the largest unit that expresses it exactly.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_millis() > 0 {
        return format!("{}ms", duration.as_millis());
    }
    let exact =
        [(86_400, "d"), (3_600, "h"), (60, "m")].into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    exact.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

/// Returns the text, or a dash if there is none.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

/// Returns the first line of a text, shortened so that a table stays readable.
pub(crate) fn short(text: Option<&str>) -> String {
    const LONGEST: usize = 80;
    let line = text.and_then(|text| text.lines().next()).unwrap_or("-");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// A column of a table: its heading, and its cell in a row.
pub(crate) type Column<T> = (&'static str, fn(&T) -> String);

/// Prints a page of a list: as the API answers it, or as a table and how to get the next page.
pub(crate) fn page<T, Answer: From<Page<T>> + Serialize>(
    page: Page<T>,
    as_json: bool,
    columns: &[Column<T>],
    place: &str,
) -> CommandResult {
    if as_json {
        return json(&Answer::from(page));
    }
    if page.items.is_empty() {
        talk(&format!("nothing found in {place}"));
        return Ok(());
    }
    data(&table(columns, &page.items))?;
    if let Some(cursor) = page.next_cursor {
        talk(&format!("there are more; continue with --cursor {cursor}"));
    }
    Ok(())
}

/// Prints one document as `name  value` lines. Nested values follow as JSON.
pub(crate) fn record(document: &impl Serialize) -> CommandResult {
    let document = serde_json::to_value(document).map_err(not_written)?;
    let Value::Object(fields) = document else { return json(&document) };
    let width = fields.keys().map(String::len).max().unwrap_or_default();
    let mut text = String::new();
    for (name, value) in fields {
        let value = match value {
            Value::Null => "-".to_owned(),
            Value::String(value) => value,
            Value::Array(_) | Value::Object(_) => serde_json::to_string_pretty(&value)
                .map_or_else(|_| "-".to_owned(), |json| format!("\n{json}")),
            other => other.to_string(),
        };
        text.push_str(&format!("{name:width$}  {value}\n"));
    }
    data(&clean(&text))
}

/// Returns a table with a line for the headings and a line for each row, and two blanks between its columns.
pub(crate) fn table<T>(columns: &[Column<T>], rows: &[T]) -> String {
    let mut lines: Vec<Vec<String>> =
        vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect()];
    for row in rows {
        let cells = columns.iter().map(|(_, cell)| clean(&cell(row)).replace(['\n', '\t'], " "));
        lines.push(cells.collect());
    }
    let width = |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).filter_map(width).collect();
    let mut text = String::new();
    for cells in &lines {
        let aligned = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        text.push_str(aligned.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Column, clean, duration, short, table};

    #[test]
    fn columns_line_up_and_lines_have_no_trailing_blanks() {
        let columns: [Column<(i64, &str)>; 2] =
            [("ID", |row| row.0.to_string()), ("STATUS", |row| row.1.to_owned())];
        let rows = [(7, "pending"), (1234, "näß\nx")];
        assert_eq!(table(&columns, &rows), "ID    STATUS\n7     pending\n1234  näß x\n");
    }

    #[test]
    fn text_from_outside_cannot_command_the_terminal() {
        assert_eq!(clean("\u{1b}[31mred\u{7}\u{202e}"), "\u{fffd}[31mred\u{fffd}\u{fffd}");
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        let texts =
            [500, 1_000, 90_000, 7_200_000, 172_800_000].map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(texts, ["500ms", "1s", "90s", "2h", "2d"]);
    }

    #[test]
    fn long_errors_are_cut_at_a_character() {
        assert_eq!(short(Some(&"é".repeat(100))).chars().count(), 81);
        assert_eq!(short(Some("one\ntwo")), "one");
        assert_eq!(short(None), "-");
    }
}
