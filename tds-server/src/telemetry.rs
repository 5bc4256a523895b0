//! Logs to standard error, as text or as one JSON object per line.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogConfig, LogFormat};

/// Starts logging for the whole process. A second call changes nothing.
pub fn init(config: &LogConfig) {
    // The directives were checked with the configuration.
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let result = match config.format {
        LogFormat::Json => {
            let layer = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
            registry.with(layer.with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Text => {
            let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stderr().is_terminal();
            registry.with(fmt::layer().with_ansi(!plain).with_writer(std::io::stderr)).try_init()
        }
    };
    if result.is_err() {
        tracing::debug!("logging was started before");
    }
}
