//! The settings of the log.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{Environment, lookup::Reader};
use crate::nearest::meant;

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human-readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// The filter and the format of the log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `RUST_LOG`, default `info`: directives of tracing-subscriber's `EnvFilter`.
    pub filter: String,
    /// `TDS_LOG_FORMAT`, default `text`; `json` in production.
    pub format: LogFormat,
}

impl LogConfig {
    pub(super) fn read(reader: &mut Reader<'_>, environment: Environment, serving: bool) -> Self {
        let production = serving && environment == Environment::Production;
        let default = if production { LogFormat::Json } else { LogFormat::Text };
        let format = reader.parse("TDS_LOG_FORMAT", default, "text or json", |text| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        });
        if production && format == LogFormat::Text {
            reader.error("TDS_LOG_FORMAT", "text", "json, because APP_ENV is production");
        }
        Self { filter: filter(reader), format }
    }
}

/// Reads the directives.
fn filter(reader: &mut Reader<'_>) -> String {
    const ACCEPTED: &str =
        "a level (error, warn, info, debug, trace, off) or directives TARGET=LEVEL such as info,sqlx=warn";
    let text = reader.text("RUST_LOG").unwrap_or_else(|| "info".to_owned());
    let unknown = text.split(',').map(str::trim).find(|directive| !is_understood(directive));
    if let Some(directive) = unknown {
        let level = directive.rsplit('=').next().unwrap_or(directive);
        let meant = meant(&level.to_ascii_lowercase(), LEVELS);
        let accepted = match directive == text {
            true => format!("{ACCEPTED}{meant}"),
            false => format!("{ACCEPTED}; \"{directive}\" is neither{meant}"),
        };
        reader.error("RUST_LOG", format!("\"{text}\""), accepted);
    }
    text
}

/// Returns true if the directive means what a person can have wanted. `EnvFilter` takes each bare word as the name of a
/// target, so that a mistyped level would switch off everything else. Only the targets of this program and paths of
/// modules may be bare words.
fn is_understood(directive: &str) -> bool {
    let is_bare = !directive.contains(['=', '[']);
    let is_level = directive.parse::<LevelFilter>().is_ok();
    let is_target = directive.starts_with("tds") || directive.contains("::");
    (!is_bare || is_level || is_target) && EnvFilter::try_new(directive).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let lookup = |name: &str| (name == "RUST_LOG").then(|| text.to_owned());
        let mut reader = Reader::new(&lookup);
        let filter = filter(&mut reader);
        reader.finish(filter).map_err(|errors| errors.to_string())
    }

    #[test]
    fn levels_and_directives_are_accepted() {
        for text in [
            "info",
            "INFO",
            "off",
            "3",
            "info,tds_zoho=debug",
            "info, sqlx=warn",
            "tds_zoho",
            "hyper::client",
            "warn,[request]=debug",
            "tds_server[request{id=7}]=trace",
            "info,",
        ] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_bare_word_that_is_no_level_is_refused_with_the_nearest_level() {
        for (text, words) in [
            ("loud", "RUST_LOG: found \"loud\"; accepted: a level"),
            ("inof", "did you mean info?"),
            ("Wran", "did you mean warn?"),
            ("info,debgu", "\"debgu\" is neither; did you mean debug?"),
            ("sqlx", "TARGET=LEVEL"),
            ("tds_zoho=tracee", "did you mean trace?"),
            ("info,tds=loud", "\"tds=loud\" is neither"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(words) && error.lines().count() == 1, "{error}");
        }
    }
}
