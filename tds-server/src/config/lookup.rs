//! Reads variables and collects the errors in them.

use std::{fmt::Display, path::Path, str::FromStr, time::Duration};

use secrecy::SecretString;

use super::{ConfigError, ConfigErrors};
use crate::bounded;

/// A description of how durations are written.
const DURATIONS: &str = "a duration such as 250ms, 2s, 15m, 24h or 30d";
/// The longest accepted duration: ten years. No setting needs more, and databases can add such a duration to a time.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Reads variables and collects every error.
pub(super) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, errors: Vec::new() }
    }

    /// Returns the value, or every error that was collected.
    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigErrors> {
        if self.errors.is_empty() { Ok(value) } else { Err(ConfigErrors(self.errors)) }
    }

    /// Adds an error.
    pub(super) fn error(&mut self, variable: &str, found: impl Into<String>, accepted: impl Into<String>) {
        // Values may hold line breaks or escape sequences. Each error of a report is one clean line.
        let clean = |text: String| text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'");
        self.errors.push(ConfigError {
            variable: variable.to_owned(),
            found: clean(found.into()),
            accepted: accepted.into(),
        });
    }

    /// Returns the trimmed value, or `None` if it is unset or empty.
    pub(super) fn text(&self, variable: &str) -> Option<String> {
        let value = (self.lookup)(variable)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Returns the comma-separated parts of a value, trimmed. The list is empty if the variable is unset.
    pub(super) fn list(&self, variable: &str) -> Vec<String> {
        self.text(variable).map(|text| split_list(&text)).unwrap_or_default()
    }

    /// Returns the value that `parse` made of the text. A value that `parse` refuses adds an error, and the default is
    /// returned.
    pub(super) fn parse<T>(
        &mut self,
        variable: &str,
        default: T,
        accepted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(text) = self.text(variable) else { return default };
        parse(&text).unwrap_or_else(|| {
            self.error(variable, format!("\"{text}\""), accepted);
            default
        })
    }

    /// Returns a whole number within bounds.
    pub(super) fn number<T>(&mut self, variable: &str, default: T, low: T, high: T) -> T
    where
        T: Copy + Display + FromStr + PartialOrd,
    {
        self.parse(variable, default, &format!("a whole number from {low} to {high}"), |text| {
            text.parse().ok().filter(|number| (low..=high).contains(number))
        })
    }

    /// Returns a duration longer than zero.
    pub(super) fn duration(&mut self, variable: &str, default: Duration) -> Duration {
        self.parse(variable, default, DURATIONS, parse_duration)
    }

    /// Returns a duration, or `None` for `off`.
    pub(super) fn duration_or_off(&mut self, variable: &str, default: Duration) -> Option<Duration> {
        let accepted = format!("{DURATIONS}, or off");
        self.parse(variable, Some(default), &accepted, |text| {
            if text == "off" { Some(None) } else { parse_duration(text).map(Some) }
        })
    }

    /// Returns a secret from the variable, or from the file that `<variable>_FILE` names.
    pub(super) fn secret(&mut self, variable: &str) -> Option<SecretString> {
        self.secret_text(variable).map(SecretString::from)
    }

    /// Like [`Reader::secret`], for values that have to be split. Blanks and line ends around a value are removed. A
    /// line break within a value would be part of the secret and is refused.
    pub(super) fn secret_text(&mut self, variable: &str) -> Option<String> {
        let value = self.secret_of(variable)?;
        if value.contains(char::is_control) {
            let accepted = "a value of one line; several are separated by commas";
            self.error(variable, "a line break or another control character in the value", accepted);
            return None;
        }
        Some(value)
    }

    fn secret_of(&mut self, variable: &str) -> Option<String> {
        let file_variable = format!("{variable}_FILE");
        let (value, file) = (self.text(variable), self.text(&file_variable));
        let Some(path) = file else { return value };
        if value.is_some() {
            self.error(&file_variable, format!("it together with {variable}"), "one of the two");
            return value;
        }
        match bounded::read(Path::new(&path)) {
            Ok(content) if content.trim().is_empty() => {
                self.error(
                    &file_variable,
                    format!("an empty file {path}"),
                    "a file that contains the secret",
                );
                None
            }
            Ok(content) => Some(content.trim_start_matches('\u{feff}').trim().to_owned()),
            Err(error) => {
                self.error(&file_variable, format!("{path} ({error})"), "a readable file with the secret");
                None
            }
        }
    }
}

/// Returns the comma-separated parts of a text, trimmed. Empty parts are left out.
pub(super) fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Parses `250ms`, `2s`, `15m`, `24h` or `30d`. The duration must be longer than zero and at most ten years.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit_at);
    let count: u64 = count.parse().ok()?;
    let duration = match unit {
        "ms" => Duration::from_millis(count),
        "s" => Duration::from_secs(count),
        "m" => Duration::from_secs(count.checked_mul(60)?),
        "h" => Duration::from_secs(count.checked_mul(3_600)?),
        "d" => Duration::from_secs(count.checked_mul(86_400)?),
        _ => return None,
    };
    (!duration.is_zero() && duration <= LONGEST).then_some(duration)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse_duration;

    #[test]
    fn durations_are_read_in_every_unit() {
        for (text, expected) in [
            ("250ms", Duration::from_millis(250)),
            ("2s", Duration::from_secs(2)),
            ("15m", Duration::from_secs(900)),
            ("24h", Duration::from_secs(86_400)),
            ("30d", Duration::from_secs(2_592_000)),
        ] {
            assert_eq!(parse_duration(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_duration_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "0s",
            "-1s",
            "1.5s",
            "1 s",
            "2w",
            "99999999999999999999s",
            "18446744073709551615d",
            "4000d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
