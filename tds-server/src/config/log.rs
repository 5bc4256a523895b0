//! The settings of the log.

use tracing_subscriber::EnvFilter;

use super::{Environment, lookup::Reader};

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
        let accepted = "a level (error, warn, info, debug, trace) or directives such as info,sqlx=warn";
        let filter = reader.parse("RUST_LOG", "info".to_owned(), accepted, |text| {
            EnvFilter::try_new(text).is_ok().then(|| text.to_owned())
        });
        Self { filter, format }
    }
}
