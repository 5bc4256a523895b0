//! The report as a self-contained page: no script, and nothing is loaded.

use askama::Template;

use super::{
    chart::{self, Shapes},
    document::{Chart, ChartKind, Document, Section, Table, Tile},
};

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: &'a str,
    subtitle: &'a str,
    tiles: &'a [Tile],
    sections: Vec<Part<'a>>,
    width: f64,
    height: f64,
}

/// A section with the shapes of its charts.
struct Part<'a> {
    section: &'a Section,
    /// The name of the section in links.
    anchor: String,
    charts: Vec<Drawn<'a>>,
    /// True if the only chart and the only table fit beside each other.
    is_beside: bool,
    /// Whether a table is so wide that it needs the whole page beside the charts.
    tables: Vec<Wide<'a>>,
}

struct Drawn<'a> {
    chart: &'a Chart,
    shapes: Shapes,
    is_lines: bool,
}

struct Wide<'a> {
    table: &'a Table,
    /// True for a table that fits beside another one.
    is_narrow: bool,
    /// True for a table with long texts. On a narrow screen, its rows become blocks.
    is_stacked: bool,
}

/// Writes the report. Every text is escaped.
///
/// # Errors
/// The page cannot be written, which does not happen in memory.
pub(crate) fn render(document: &Document) -> askama::Result<String> {
    let page = Page {
        title: &document.title,
        subtitle: &document.subtitle,
        tiles: &document.tiles,
        sections: document.sections.iter().map(part).collect(),
        width: chart::WIDTH,
        height: chart::HEIGHT,
    };
    page.render()
}

fn part(section: &Section) -> Part<'_> {
    let letters = section.title.to_lowercase();
    let drawn =
        |chart| Drawn { chart, shapes: chart::shapes(chart), is_lines: chart.kind == ChartKind::Lines };
    Part {
        section,
        anchor: letters.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"),
        charts: section.charts.iter().map(drawn).collect(),
        is_beside: section.charts.len() == 1
            && section.tables.len() == 1
            && section.tables.iter().all(is_narrow),
        tables: section.tables.iter().map(wide).collect(),
    }
}

fn wide(table: &Table) -> Wide<'_> {
    let is_stacked = table.rows.iter().flatten().any(|cell| is_long(cell));
    Wide { table, is_narrow: is_narrow(table), is_stacked }
}

fn is_narrow(table: &Table) -> bool {
    table.heads.len() <= 6 && !table.rows.iter().flatten().any(|cell| is_long(cell))
}

fn is_long(cell: &str) -> bool {
    cell.chars().count() > 40
}

/// Returns the class of a cell: numbers are aligned, and words that carry a verdict have its colour.
fn cell_class(table: &Table, column: &usize, cell: &str) -> &'static str {
    match cell {
        "pass" | "holds" => "good",
        "fail" | "differs" => "bad",
        "unknown" => "warn",
        _ if table.heads.get(*column).is_some_and(|head| head.is_number) => "n",
        cell if is_long(cell) => "long",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::cli::report::document::{
        Chart, ChartKind, Document, Section, Series, Table, Tile, Tone, number, text,
    };

    #[test]
    fn the_page_loads_nothing_and_texts_stay_texts() {
        let evil = "<script>alert(1)</script>\" onload=x ' & ]]>";
        let document = Document {
            title: evil.to_owned(),
            subtitle: evil.to_owned(),
            tiles: vec![Tile { name: "Ready", value: evil.to_owned(), tone: Tone::Bad }],
            sections: vec![Section {
                title: "Volume",
                paragraphs: vec![evil.to_owned()],
                list: vec![(Tone::Warn, evil.to_owned())],
                charts: vec![Chart {
                    title: "Items",
                    unit: "",
                    kind: ChartKind::Stacked,
                    labels: vec![evil.to_owned()],
                    series: vec![Series { name: evil.to_owned(), values: vec![Some(1.0)] }],
                }],
                tables: vec![Table {
                    caption: "",
                    heads: vec![text("error"), number("n")],
                    rows: vec![vec![evil.to_owned(), "1".to_owned()]],
                }],
            }],
        };
        let page = render(&document).expect("a page");
        assert!(!page.contains("<script") && !page.contains("onload=x '"), "{page}");
        assert!(page.matches("&#60;script&#62;").count() >= 7, "{page}");
        for loads in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(loads), "the page has {loads}");
        }
    }
}
