//! The events of the inbox: bodies that name the person, and bodies and errors of events about its documents.

use super::concerned::Concerned;
use crate::Tx;

const BLANK: &str = "
UPDATE tds_inbox_events SET raw_payload = '', blanked_at = clock_timestamp(), error_message = NULL
 WHERE id = ANY($1) AND raw_payload <> ''
RETURNING entity_type, entity_id, records
";

// A part of a document may have the name of the person without its id. An id is unique among all records of the source.
const OF_RECORDS: &str = "
WITH ids AS (SELECT unnest($1::text[]) AS id)
UPDATE tds_inbox_events AS e SET raw_payload = '', error_message = NULL,
  blanked_at = CASE WHEN raw_payload <> '' THEN clock_timestamp() ELSE blanked_at END
 WHERE (raw_payload <> '' OR error_message IS NOT NULL)
   AND (entity_id IN (SELECT id FROM ids)
     OR records IS NOT NULL AND EXISTS (SELECT FROM unnest(e.records) AS r WHERE r IN (SELECT id FROM ids)))
";

/// Blanks the bodies of events, and adds the records that the events are about. Returns the number of bodies.
pub(super) async fn blank(
    tx: &mut Tx,
    events: Vec<i64>,
    concerned: &mut Concerned,
) -> Result<u64, sqlx::Error> {
    let blanked: Vec<(String, Option<String>, Option<Vec<String>>)> =
        sqlx::query_as(BLANK).bind(events).fetch_all(tx).await?;
    let count = blanked.len();
    for (entity, id, records) in blanked {
        for id in id.into_iter().chain(records.unwrap_or_default()) {
            concerned.add(&entity, Some(id), None);
        }
    }
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

/// Removes the bodies and the errors of the events about records. Returns the number of events.
pub(super) async fn blank_of(tx: &mut Tx, ids: &[String]) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(OF_RECORDS).bind(ids).execute(tx).await?.rows_affected())
}
