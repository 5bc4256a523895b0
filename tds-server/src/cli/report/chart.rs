//! Small charts as shapes of an inline SVG.

use super::document::{Chart, ChartKind};

/// The size of a chart in the units of its view box.
pub(crate) const WIDTH: f64 = 420.0;
pub(crate) const HEIGHT: f64 = 170.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 22.0;
/// The number of lines behind the values.
const STEPS: u32 = 4;
/// The maximum number of labels below the values.
const LABELS: usize = 8;

/// The shapes of a chart.
pub(crate) struct Shapes {
    pub(crate) bars: Vec<Bar>,
    pub(crate) lines: Vec<Line>,
    pub(crate) grid: Vec<Tick>,
    pub(crate) labels: Vec<Tick>,
    /// True if there is no value at all.
    pub(crate) is_empty: bool,
}

/// One bar.
pub(crate) struct Bar {
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) width: String,
    pub(crate) height: String,
    /// The place of the series, which decides its colour.
    pub(crate) series: usize,
    /// What a pointer shows.
    pub(crate) title: String,
}

/// One line: its points, and the dots on it.
pub(crate) struct Line {
    pub(crate) points: String,
    pub(crate) dots: Vec<Dot>,
    pub(crate) series: usize,
}

/// One value of a line.
pub(crate) struct Dot {
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) title: String,
}

/// A text beside the values, at its place.
pub(crate) struct Tick {
    pub(crate) at: String,
    pub(crate) text: String,
}

/// Returns the shapes of a chart.
#[expect(clippy::cast_precision_loss, reason = "places in a drawing need no more than a float has")]
pub(crate) fn shapes(chart: &Chart) -> Shapes {
    let days = chart.labels.len().max(1);
    let slot = (WIDTH - LEFT - RIGHT) / days as f64;
    let highest = round_up(highest(chart));
    let height = |value: f64| value / highest * (HEIGHT - TOP - BOTTOM);
    let middle = |day: usize| LEFT + slot * (day as f64 + 0.5);
    let mut shapes = Shapes {
        bars: Vec::new(),
        lines: Vec::new(),
        grid: (0..=STEPS)
            .map(|step| {
                let value = highest * f64::from(step) / f64::from(STEPS);
                Tick { at: place(HEIGHT - BOTTOM - height(value)), text: short(value) }
            })
            .collect(),
        labels: labels(chart)
            .map(|(day, text)| Tick { at: place(middle(day)), text: text.clone() })
            .collect(),
        is_empty: chart.series.iter().all(|series| series.values.iter().all(Option::is_none)),
    };
    let mut stacked = vec![0.0; days];
    let bar_width = slot * 0.7;
    for (place_of, series) in chart.series.iter().enumerate() {
        let values = series.values.iter().enumerate().filter_map(|(day, value)| Some((day, (*value)?)));
        let title = |day: usize, value: f64| {
            let label = chart.labels.get(day).map_or("", String::as_str);
            format!("{label} · {}: {} {}", series.name, short(value), chart.unit).trim_end().to_owned()
        };
        match chart.kind {
            ChartKind::Lines => {
                let dots: Vec<Dot> = values
                    .map(|(day, value)| Dot {
                        x: place(middle(day)),
                        y: place(HEIGHT - BOTTOM - height(value)),
                        title: title(day, value),
                    })
                    .collect();
                let points: Vec<String> = dots.iter().map(|dot| format!("{},{}", dot.x, dot.y)).collect();
                shapes.lines.push(Line { points: points.join(" "), dots, series: place_of });
            }
            ChartKind::Bars | ChartKind::Stacked => {
                let is_stacked = chart.kind == ChartKind::Stacked;
                let share = if is_stacked { 1.0 } else { chart.series.len().max(1) as f64 };
                for (day, value) in values.filter(|(_, value)| *value > 0.0) {
                    let (below, aside) =
                        if is_stacked { (stacked[day], 0.0) } else { (0.0, place_of as f64) };
                    shapes.bars.push(Bar {
                        x: place(middle(day) - bar_width / 2.0 + bar_width / share * aside),
                        y: place(HEIGHT - BOTTOM - height(below + value)),
                        width: place(bar_width / share),
                        height: place(height(value)),
                        series: place_of,
                        title: title(day, value),
                    });
                    stacked[day] += value;
                }
            }
        }
    }
    shapes
}

/// Returns the labels that fit below the values, each with its day.
fn labels(chart: &Chart) -> impl Iterator<Item = (usize, &String)> {
    let every = chart.labels.len().div_ceil(LABELS).max(1);
    chart.labels.iter().enumerate().filter(move |(day, _)| day.is_multiple_of(every))
}

fn highest(chart: &Chart) -> f64 {
    let of_day = |day: usize| {
        let values = chart.series.iter().filter_map(|series| *series.values.get(day)?);
        if chart.kind == ChartKind::Stacked { values.sum() } else { values.fold(0.0, f64::max) }
    };
    (0..chart.labels.len()).map(of_day).fold(0.0, f64::max)
}

/// Rounds up to 1, 2, 4, 5 or 8 times a power of ten, so that the lines behind the values have round numbers.
fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let round = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0].into_iter().find(|step| step * power >= value);
    round.unwrap_or(10.0) * power
}

fn place(value: f64) -> String {
    format!("{value:.1}")
}

/// Returns a number in few letters: `12k` for 12,000.
fn short(value: f64) -> String {
    let trimmed = |value: f64, unit: &str| {
        let text = format!("{value:.1}");
        format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
    };
    match value {
        value if value >= 999_950.0 => trimmed(value / 1_000_000.0, "M"),
        value if value >= 1_000.0 => trimmed(value / 1_000.0, "k"),
        value if value > 0.0 && value < 1.0 => {
            let text = format!("{value:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        value => trimmed(value, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::document::Series;

    fn chart(kind: ChartKind, values: [[Option<f64>; 3]; 2]) -> Chart {
        let series = values.into_iter().enumerate();
        Chart {
            title: "t",
            unit: "s",
            kind,
            labels: ["Mon", "Tue", "Wed"].map(str::to_owned).to_vec(),
            series: series
                .map(|(n, values)| Series { name: format!("s{n}"), values: values.to_vec() })
                .collect(),
        }
    }

    #[test]
    fn bars_on_top_of_each_other_reach_their_sum() {
        let drawn = shapes(&chart(
            ChartKind::Stacked,
            [[Some(30.0), None, Some(0.0)], [Some(10.0), Some(20.0), None]],
        ));
        assert_eq!((drawn.bars.len(), drawn.grid[4].text.as_str()), (3, "40"));
        assert_eq!(
            (drawn.bars[1].y.as_str(), drawn.bars[1].series),
            ("10.0", 1),
            "the second begins at the first's top"
        );
        assert_eq!(drawn.bars[0].title, "Mon · s0: 30 s");
    }

    #[test]
    fn days_without_a_value_have_no_dot() {
        let drawn = shapes(&chart(ChartKind::Lines, [[Some(1.0), None, Some(2.0)], [None, None, None]]));
        assert_eq!((drawn.lines[0].dots.len(), drawn.lines[1].dots.len(), drawn.is_empty), (2, 0, false));
        assert!(shapes(&chart(ChartKind::Bars, [[None; 3]; 2])).is_empty);
    }

    #[test]
    fn numbers_are_short_and_steps_are_round() {
        assert_eq!(
            [0.0, 0.25, 7.0, 1_500.0, 12_000.0, 2_000_000.0].map(short),
            ["0", "0.25", "7", "1.5k", "12k", "2M"]
        );
        assert_eq!([0.0, 0.3, 41.0, 90.0, 450.0].map(round_up), [1.0, 0.4, 50.0, 100.0, 500.0]);
    }
}
