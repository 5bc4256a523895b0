//! Figures, and how they are printed.

/// Everything that was measured, in its order.
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
    /// A number that says something about this machine only.
    pub(crate) fn figure(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.add(Line { name, value, kind: Kind::Figure(unit) });
    }

    /// A ratio of two numbers of the same run that has a lower bound.
    pub(crate) fn at_least(&mut self, name: &'static str, value: f64, bound: f64) {
        self.add(Line { name, value, kind: Kind::AtLeast(bound) });
    }

    /// A ratio of two numbers of the same run that has an upper bound.
    pub(crate) fn at_most(&mut self, name: &'static str, value: f64, bound: f64) {
        self.add(Line { name, value, kind: Kind::AtMost(bound) });
    }

    /// True where a bound was missed.
    pub(crate) fn misses(&self) -> bool {
        self.0.iter().any(|line| match line.kind {
            Kind::Figure(_) => false,
            Kind::AtLeast(bound) => line.value < bound,
            Kind::AtMost(bound) => line.value > bound,
        })
    }

    /// One line per figure.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(Line::text).collect::<Vec<_>>().join("\n")
    }

    /// One object per line.
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

/// Tells how far it is.
#[expect(clippy::print_stderr, reason = "progress; the figures go to the output")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// The middle one of the values of several rounds.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which this share of the values lies.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = ((values.len() as f64) * share) as usize;
    values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
