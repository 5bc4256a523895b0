//! The report in Markdown.

use super::document::{Document, Section, Table, Tone};

/// Writes the report.
pub(crate) fn render(document: &Document) -> String {
    let mut text = format!("# {}\n\n{}\n\n", plain(&document.title), plain(&document.subtitle));
    for tile in &document.tiles {
        text.push_str(&format!("- **{}**: {}\n", tile.name, plain(&tile.value)));
    }
    for section in &document.sections {
        write(&mut text, section);
    }
    text
}

fn write(text: &mut String, section: &Section) {
    text.push_str(&format!("\n## {}\n", section.title));
    for paragraph in &section.paragraphs {
        text.push_str(&format!("\n{}\n", plain(paragraph)));
    }
    if !section.list.is_empty() {
        text.push('\n');
    }
    for (place, (tone, item)) in section.list.iter().enumerate() {
        let mark = match tone {
            Tone::Bad => "**now** ",
            Tone::Warn => "**soon** ",
            Tone::Plain | Tone::Good => "",
        };
        text.push_str(&format!("{}. {mark}{}\n", place + 1, plain(item)));
    }
    section.tables.iter().for_each(|table| write_table(text, table));
}

fn write_table(text: &mut String, table: &Table) {
    if !table.caption.is_empty() {
        text.push_str(&format!("\n**{}**\n", table.caption));
    }
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    text.push('\n');
    text.push_str(&line(table.heads.iter().map(|head| head.name.to_owned()).collect()));
    text.push_str(&line(
        table.heads.iter().map(|head| if head.is_number { "---:" } else { "---" }.to_owned()).collect(),
    ));
    for row in &table.rows {
        text.push_str(&line(row.iter().map(|cell| plain(cell)).collect()));
    }
}

/// Returns text that Markdown shows as it is, in one line: texts of Zoho cannot make links, tables or HTML.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '~' | '!' => {
                shown.push('\\');
                shown.push(letter);
            }
            '&' => shown.push_str("&amp;"),
            letter if letter.is_control() || crate::telemetry::is_harmful(letter) => shown.push(' '),
            letter => shown.push(letter),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn texts_from_outside_stay_text() {
        assert_eq!(plain("a|b\n<script>`x`"), "a\\|b \\<script\\>\\`x\\`");
        assert_eq!(plain("![x](http://e) & __b__"), "\\!\\[x\\](http://e) &amp; \\_\\_b\\_\\_");
        assert_eq!(plain("\u{1b}[31mred\u{202e}"), " \\[31mred ");
    }
}
