//! How accepted webhooks are committed.

use tds_postgres::StoreSettings;

use super::lookup::Reader;

/// Reads `TDS_COMMITTERS`, default 2: the number of commits under way at the same time, each on its own connection; and
/// `TDS_COMMIT_EVENTS`, default 256: the most webhooks in one commit. With 1, each webhook has its own commit.
pub(super) fn read(reader: &mut Reader<'_>) -> StoreSettings {
    let defaults = StoreSettings::default();
    StoreSettings {
        committers: reader.number("TDS_COMMITTERS", defaults.committers, 1, 64),
        batch_events: reader.number("TDS_COMMIT_EVENTS", defaults.batch_events, 1, 2_000),
        ..defaults
    }
}
