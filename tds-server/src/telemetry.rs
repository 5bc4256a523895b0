//! Logs to standard error, as text or as one JSON object per line.
//!
//! With JSON, every line that the process writes after [`init`] is an object: its own messages, panics, and the reason
//! why the process ends.

use std::{
    fmt::{self, Write as _},
    io::{IsTerminal as _, Write as _},
    panic::PanicHookInfo,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::json;
use tds_core::clock::{Clock as _, SystemClock};
use time::format_description::well_known::Rfc3339;
use tracing::field::Field;
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt as _,
    fmt::{
        self as layers,
        format::{Writer, debug_fn},
    },
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::{LogConfig, LogFormat};

/// `true` once log lines are JSON.
static JSON: AtomicBool = AtomicBool::new(false);

/// Starts logging for the whole process. A second call changes nothing.
pub fn init(config: &LogConfig) {
    // The directives were already checked with the configuration.
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let result = match config.format {
        LogFormat::Json => {
            let layer =
                layers::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
            registry.with(layer.with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Text => {
            let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stderr().is_terminal();
            let layer = layers::layer().with_ansi(!plain).fmt_fields(debug_fn(field).delimited(" "));
            registry.with(layer.with_writer(std::io::stderr)).try_init()
        }
    };
    if result.is_err() {
        tracing::debug!("logging has already been started");
    } else if config.format == LogFormat::Json {
        JSON.store(true, Ordering::Relaxed);
        std::panic::set_hook(Box::new(panicked));
    }
}

/// Returns `true` if standard error carries JSON lines only.
pub(crate) fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Writes an error line whatever the filter is: the reason why the process ends must always be logged.
pub(crate) fn write_error(message: &str) {
    line(&json!({"timestamp": now(), "level": "ERROR", "message": message, "target": "tds_server"}));
}

fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    line(&json!({
        "timestamp": now(),
        "level": "ERROR",
        "message": "panic",
        "panic": panic_text(panic.payload()),
        "place": place,
        "thread": std::thread::current().name(),
        "target": "tds_server",
    }));
}

/// Returns the message of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

fn line(object: &serde_json::Value) {
    // A failed write is ignored: no channel is left to report that standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "{object}");
}

fn now() -> String {
    SystemClock.now().format(&Rfc3339).unwrap_or_default()
}

/// Writes one field of a text line. Text from outside stays within its line and cannot send commands to a terminal.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() == "message" {
        return write!(OneLine(writer), "{value:?}");
    }
    let name = field.name();
    if writer.has_ansi_escapes() {
        write!(writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m")?;
    } else {
        write!(writer, "{name}=")?;
    }
    write!(OneLine(writer), "{value:?}")
}

/// Returns `true` for control characters and changes of the writing direction, which could send commands to a terminal
/// or make a text look like another one.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// Escapes the harmful characters of a text.
struct OneLine<'a, W>(&'a mut W);

impl<W: fmt::Write> fmt::Write for OneLine<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_harmful) {
            let (plain, from) = rest.split_at(at);
            let mut characters = from.chars();
            self.0.write_str(plain)?;
            if let Some(character) = characters.next() {
                write!(self.0, "{}", character.escape_default())?;
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{field::MakeExt as _, fmt::format::debug_fn};

    use super::field;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn text_from_outside_stays_in_its_line_and_cannot_command_the_terminal() {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = tracing_subscriber::fmt()
            .with_ansi(false)
            .fmt_fields(debug_fn(field).delimited(" "))
            .with_writer(move || writer.clone())
            .finish();
        let hostile = "a\r\n2026 ERROR forged\u{1b}[2J\u{7}\u{9b}31m\u{202e}b";
        tracing::subscriber::with_default(layer, || {
            let span = tracing::info_span!("request", id = hostile, shown = %hostile);
            span.in_scope(|| {
                tracing::info!(text = hostile, error = %io::Error::other(hostile), shown = %hostile, "kept {hostile}");
            });
        });
        let text = String::from_utf8(kept.0.lock().expect("no panic").clone()).expect("text");
        assert_eq!(text.lines().count(), 1, "{text}");
        let harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(harmful), "{text:?}");
        assert!(text.contains("kept a\\r\\n2026 ERROR forged\\u{1b}[2J"), "{text}");
        assert!(text.contains(" error=a\\r\\n") && text.contains("request{id="), "{text}");
    }
}
