//! Figures, and how they are printed.

/// All measured figures, in the order of their measurement.
#[derive(Default)]
pub(crate) struct Report(Vec<Line>);

struct Line {
    name: &'static str,
    value: f64,
    kind: Kind,
}

enum Kind {
    Figure(&'static str),
    AtLeast(f64),
    AtMost(f64),
}

impl Report {
    /// Adds a number that is meaningful only for this machine.
    pub(crate) fn figure(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.add(Line { name, value, kind: Kind::Figure(unit) });
    }

    /// Adds a ratio of two numbers of the same run that has a lower bound.
    pub(crate) fn at_least(&mut self, name: &'static str, value: f64, bound: f64) {
        self.add(Line { name, value, kind: Kind::AtLeast(bound) });
    }

    /// Adds a ratio of two numbers of the same run that has an upper bound.
    pub(crate) fn at_most(&mut self, name: &'static str, value: f64, bound: f64) {
        self.add(Line { name, value, kind: Kind::AtMost(bound) });
    }

    /// Returns `true` if a figure misses its bound.
    pub(crate) fn misses(&self) -> bool {
        self.0.iter().any(|line| match line.kind {
            Kind::Figure(_) => false,
            Kind::AtLeast(bound) => line.value < bound,
            Kind::AtMost(bound) => line.value > bound,
        })
    }

    /// Returns one line per figure.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(Line::text).collect::<Vec<_>>().join("\n")
    }

    /// Returns one JSON object per line.
    pub(crate) fn json(&self) -> String {
        self.0.iter().map(|line| line.json().to_string()).collect::<Vec<_>>().join("\n")
    }

    fn add(&mut self, line: Line) {
        say(&line.text());
        self.0.push(line);
    }
}

impl Line {
    fn text(&self) -> String {
        let Self { name, value, kind } = self;
        match kind {
            Kind::Figure(unit) => format!("FIGURE {name} {value:.2} {unit}"),
            Kind::AtLeast(bound) => format!("RATIO {name} {value:.2} (must >= {bound})"),
            Kind::AtMost(bound) => format!("RATIO {name} {value:.2} (must <= {bound})"),
        }
    }

    fn json(&self) -> serde_json::Value {
        let Self { name, value, kind } = self;
        match kind {
            Kind::Figure(unit) => serde_json::json!({"name": name, "value": value, "unit": unit}),
            Kind::AtLeast(bound) => serde_json::json!({"name": name, "value": value, "at_least": bound}),
            Kind::AtMost(bound) => serde_json::json!({"name": name, "value": value, "at_most": bound}),
        }
    }
}

/// Reports progress.
#[expect(clippy::print_stderr, reason = "progress; the figures go to the output")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Returns the median of the values of several rounds.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the value below which this share of the values lies.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = ((values.len() as f64) * share) as usize;
    values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
