//! The expressions of rules and dashboards, and the names of series in them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::tools;

/// Words of the query language that are no names of series.
const KEYWORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];
/// Words before a list of labels.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// A rule of `rules.yml`.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    /// The name of the recorded series, or of the alert.
    pub(crate) name: String,
    pub(crate) is_alert: bool,
    pub(crate) expression: String,
    /// The lines of the rule.
    pub(crate) text: String,
}

/// Reads `rules.yml`, which has one key per line. An expression may follow `expr: >-` on deeper lines.
pub(crate) fn rules() -> Vec<Rule> {
    let text = tools::read("rules.yml");
    let mut rules: Vec<Rule> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let content = line.trim();
        let begins = [("- alert: ", true), ("- record: ", false)];
        if let Some((name, is_alert)) =
            begins.iter().find_map(|(key, is_alert)| Some((content.strip_prefix(key)?, *is_alert)))
        {
            rules.push(Rule { name: name.to_owned(), is_alert, ..Rule::default() });
        }
        if content.starts_with("- name: ") {
            goes_on = false;
            continue;
        }
        let Some(rule) = rules.last_mut() else { continue };
        rule.text += line;
        rule.text.push('\n');
        match content.strip_prefix("expr: ") {
            Some(">-") => goes_on = true,
            Some(expression) => rule.expression = expression.to_owned(),
            None if goes_on && line.starts_with("          ") => {
                rule.expression += content;
                rule.expression.push(' ');
            }
            None => goes_on = false,
        }
    }
    assert!(rules.iter().all(|rule| !rule.expression.is_empty()), "{rules:#?}");
    rules
}

/// Returns the documents of all dashboards.
pub(crate) fn dashboards() -> Vec<Value> {
    let files = std::fs::read_dir(tools::directory().join("grafana/dashboards")).expect("a directory");
    let text = |path| std::fs::read_to_string(path).expect("text");
    files.map(|file| serde_json::from_str(&text(file.expect("a file").path())).expect("JSON")).collect()
}

/// Returns the expressions of a dashboard.
pub(crate) fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let annotations = dashboard["annotations"]["list"].as_array().expect("annotations").iter();
    let texts = targets.chain(annotations).map(|target| target["expr"].as_str().expect("an expression"));
    texts.map(str::to_owned).collect()
}

/// Returns the names of the series in an expression.
pub(crate) fn series(expression: &str) -> BTreeSet<String> {
    // Every second part is a quoted text.
    let plain: String = expression.split('"').step_by(2).collect();
    let (mut names, mut depth, mut labels) = (BTreeSet::new(), 0_u32, false);
    let mut rest = plain.as_str();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '.';
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len()).max(1);
        let (word, after) = rest.split_at(end);
        rest = after;
        match first {
            // A selector or a duration has no names of series, and neither has a list of labels.
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            '(' if labels => depth += 1,
            ')' if labels => (depth, labels) = (depth - 1, false),
            _ if BEFORE_LABELS.contains(&word) => labels = true,
            _ if depth > 0 || labels || KEYWORDS.contains(&word) => {}
            // A function is followed by its arguments, and an aggregation by them or by its labels.
            _ if first.is_ascii_alphabetic()
                && !["(", "by ", "without "].iter().any(|next| after.trim_start().starts_with(next)) =>
            {
                names.insert(word.to_owned());
            }
            _ => {}
        }
    }
    names
}

#[test]
fn the_names_of_series_are_found() {
    let expression = r#"sum by (le, product) (rate(a_total{result=~"x|y"}[5m])) / on (z) b:c > 3 * 2e9 and time() - up == 0"#;
    assert_eq!(series(expression).into_iter().collect::<Vec<_>>(), ["a_total", "b:c", "up"]);
}
