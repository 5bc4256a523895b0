//! The report as a document, before it is written in one of its forms.

/// A report.
pub(crate) struct Document {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// The figures at the top.
    pub(crate) tiles: Vec<Tile>,
    pub(crate) sections: Vec<Section>,
}

/// One figure.
pub(crate) struct Tile {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) tone: Tone,
}

tds_core::closed_set! {
    /// The meaning of a figure or a cell.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Tone {
        Plain = "plain",
        Good = "good",
        Warn = "warn",
        Bad = "bad",
    }
}

/// A part of the report.
#[derive(Default)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) paragraphs: Vec<String>,
    /// A ranked list.
    pub(crate) list: Vec<(Tone, String)>,
    pub(crate) charts: Vec<Chart>,
    pub(crate) tables: Vec<Table>,
}

/// A table. The texts of its cells are not escaped.
pub(crate) struct Table {
    pub(crate) caption: &'static str,
    pub(crate) heads: Vec<Head>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// The heading of a column.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    pub(crate) name: &'static str,
    pub(crate) is_number: bool,
}

/// A column of text.
pub(crate) const fn text(name: &'static str) -> Head {
    Head { name, is_number: false }
}

/// A column of numbers.
pub(crate) const fn number(name: &'static str) -> Head {
    Head { name, is_number: true }
}

/// A chart with one value per day for each series.
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) kind: ChartKind,
    /// The days.
    pub(crate) labels: Vec<String>,
    pub(crate) series: Vec<Series>,
}

tds_core::closed_set! {
    /// The form of a chart.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum ChartKind {
        /// Bars on top of each other.
        Stacked = "stacked",
        /// Bars side by side.
        Bars = "bars",
        /// Lines.
        Lines = "lines",
    }
}

/// The values of one kind.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) values: Vec<Option<f64>>,
}
