//! How accepted webhooks are committed.

use tds_postgres::StoreSettings;

use super::lookup::Reader;

/// The bounds of the group commit. Settings that are not set here have the defaults of [`StoreSettings`].
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// `TDS_COMMITTERS`, default 2: the number of commits under way at the same time, each on its own connection.
    pub committers: usize,
    /// `TDS_COMMIT_EVENTS`, default 256: the most webhooks in one commit. With 1, each webhook has a commit of its
    /// own.
    pub batch_events: usize,
}

impl IngestConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let defaults = StoreSettings::default();
        let mut bound = |variable: &str, default: usize, high: u32| {
            let number = reader.number(variable, u32::try_from(default).unwrap_or(high), 1, high);
            usize::try_from(number).unwrap_or(default)
        };
        Self {
            committers: bound("TDS_COMMITTERS", defaults.committers, 64),
            batch_events: bound("TDS_COMMIT_EVENTS", defaults.batch_events, 2_000),
        }
    }

    /// Returns the settings of the store.
    #[must_use]
    pub fn settings(&self) -> StoreSettings {
        StoreSettings {
            committers: self.committers,
            batch_events: self.batch_events,
            ..StoreSettings::default()
        }
    }
}
