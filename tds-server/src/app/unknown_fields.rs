//! Stores which fields Zoho sends and no column takes. Each process gathers them in memory, so that they cost nothing per
//! record.

use std::time::Duration;

use tds_core::shutdown::Shutdown;
use tds_postgres::PgStore;
use tds_zoho::ZohoClient;

/// The time between two writes.
const EVERY: Duration = Duration::from_secs(60);

/// Stores what was gathered, once a minute until the shutdown signal. What is gathered later is stored by [`store`].
pub(crate) async fn run(database: PgStore, zoho: ZohoClient, shutdown: Shutdown) {
    while !shutdown.sleep(EVERY).await {
        store(&database, &zoho).await;
    }
}

/// Stores what was gathered. If the database does not answer, the fields are kept for the next time.
pub(crate) async fn store(database: &PgStore, zoho: &ZohoClient) {
    let fields = zoho.take_unknown_fields();
    if fields.is_empty() {
        return;
    }
    match database.note_unknown_fields(&fields).await {
        Ok(new) => {
            for field in new {
                tracing::info!(
                    entity = %field.entity,
                    field = field.path,
                    "Zoho sends a field that no column takes; its value is in the column raw"
                );
            }
        }
        Err(error) => {
            tracing::debug!(error = %error.chain(), "the names of unknown fields could not be stored yet");
            zoho.put_back_unknown_fields(fields);
        }
    }
}
