//! Checks everything that must be right before a server works: configuration, database, Zoho, webhook secret and clock.

mod items;

use crate::config::{Config, ConfigError};

tds_core::closed_set! {
    /// The result of one check.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Status {
        /// Everything is right.
        Ok = "ok",
        /// It works, but should be improved.
        Warning = "warning",
        /// It does not work.
        Failed = "failed",
        /// It could not be checked, because an earlier check failed.
        Skipped = "skipped",
    }
}

/// What one check found.
pub(crate) struct Finding {
    pub(crate) name: &'static str,
    pub(crate) status: Status,
    pub(crate) detail: String,
    /// What to do, if something is not right.
    pub(crate) hint: Option<String>,
}

/// The findings of all checks.
pub(crate) struct Report {
    pub(crate) checks: Vec<Finding>,
    /// No check failed.
    pub(crate) ok: bool,
}

impl Finding {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, detail: detail.into(), hint: None }
    }

    fn warning(name: &'static str, detail: impl Into<String>, hint: &str) -> Self {
        Self { name, status: Status::Warning, detail: detail.into(), hint: Some(hint.to_owned()) }
    }

    fn failed(name: &'static str, detail: impl Into<String>, hint: &str) -> Self {
        Self { name, status: Status::Failed, detail: detail.into(), hint: Some(hint.to_owned()) }
    }

    fn skipped(name: &'static str, detail: &str) -> Self {
        Self { name, status: Status::Skipped, detail: detail.to_owned(), hint: None }
    }
}

/// Performs all checks. `errors` are those of the configuration of a server. `config` is the configuration, or only its
/// part for the database if another part has errors; `None` if that part has errors too.
pub(crate) async fn check(errors: &[ConfigError], config: Option<&Config>) -> Report {
    let hint = "docs/configuration.md explains every variable";
    let mut checks: Vec<Finding> =
        errors.iter().map(|error| Finding::failed("configuration", error.to_string(), hint)).collect();
    match config {
        Some(config) => {
            if errors.is_empty() {
                checks.push(Finding::ok("configuration", items::summary(config)));
            }
            let (database, storage) = items::database(config).await;
            checks.extend(database);
            checks.extend(items::zoho(config, storage.as_ref()).await);
            checks.push(items::webhooks(config));
            checks.push(items::images(config).await);
            if let Some(storage) = storage {
                storage.close().await;
            }
        }
        None => {
            let names = [
                "database",
                "connections",
                "schema",
                "exposures",
                "zoho",
                "budget",
                "webhook secret",
                "image store",
                "clock",
            ];
            checks.extend(names.map(|name| Finding::skipped(name, "the configuration is not usable")));
        }
    }
    let ok = !checks.iter().any(|finding| finding.status == Status::Failed);
    Report { checks, ok }
}
