//! The figures of the outbox.

use std::collections::BTreeMap;

use sqlx::{Row as _, postgres::PgRow};
use tds_core::{
    measures::{OutboxCounts, RefusedChanges, ShadowFigures},
    outbound::WOULD_BE_REFUSED,
    record::EntityType,
};

use super::number;
use crate::{Database, db::text::entity_of};

/// The number of reasons that are named.
const REASONS_SHOWN: i64 = 3;

/// Each part reads the partial index of what is open.
const COUNTS: &str = "
SELECT entity_type, sum(pending)::bigint AS pending, sum(conflicts)::bigint AS conflicts,
       sum(in_doubt)::bigint AS in_doubt FROM (
  SELECT entity_type, count(*) AS pending, 0::bigint AS conflicts, 0::bigint AS in_doubt FROM tds_outbox
   WHERE status IN ('pending', 'conflict') AND status = 'pending' GROUP BY entity_type
  UNION ALL
  SELECT entity_type, 0::bigint, count(*), 0::bigint FROM tds_conflicts WHERE status = 'open' GROUP BY entity_type
  UNION ALL
  SELECT entity_type, 0::bigint, 0::bigint, count(*) FROM tds_links WHERE in_doubt_since IS NOT NULL GROUP BY entity_type
) AS c GROUP BY entity_type
";

const SHADOW: &str = "
SELECT count(*) AS changes, count(*) FILTER (WHERE starts_with(note, $2)) AS refused
  FROM tds_outbox WHERE status = 'shadow' AND settled_at > now() - make_interval(secs => $1)
";

const REASONS: &str = "
SELECT entity_type, substr(note, length($2) + 1) AS reason, count(*) AS count
  FROM tds_outbox
 WHERE status = 'shadow' AND settled_at > now() - make_interval(secs => $1) AND starts_with(note, $2)
 GROUP BY entity_type, note ORDER BY count DESC, entity_type, reason LIMIT $3
";

const SHADOWED: &str = "SELECT entity_type FROM tds_modes WHERE mode = 'shadow' ORDER BY entity_type";

/// Returns what waits, by entity type.
pub(super) async fn counts(database: &Database) -> Result<BTreeMap<EntityType, OutboxCounts>, sqlx::Error> {
    let counts = sqlx::query(COUNTS).try_map(|row: PgRow| {
        let counts = OutboxCounts {
            pending: number(&row, "pending")?,
            conflicts: number(&row, "conflicts")?,
            in_doubt: number(&row, "in_doubt")?,
        };
        Ok((entity_of(row.try_get("entity_type")?)?, counts))
    });
    Ok(counts.fetch_all(database).await?.into_iter().collect())
}

/// Returns what would have been pushed in these seconds before now.
pub(super) async fn shadow(database: &Database, within: f64) -> Result<ShadowFigures, sqlx::Error> {
    let refused = WOULD_BE_REFUSED;
    let entities: Vec<String> = sqlx::query_scalar(SHADOWED).fetch_all(database).await?;
    let found = sqlx::query(SHADOW).bind(within).bind(refused).fetch_one(database).await?;
    let reasons = sqlx::query(REASONS).bind(within).bind(refused).bind(REASONS_SHOWN);
    let reasons = reasons.try_map(|row: PgRow| {
        Ok(RefusedChanges {
            entity: entity_of(row.try_get("entity_type")?)?,
            reason: row.try_get("reason")?,
            count: number(&row, "count")?,
        })
    });
    Ok(ShadowFigures {
        entities: entities.iter().map(|entity| entity_of(entity)).collect::<Result<_, _>>()?,
        changes: number(&found, "changes")?,
        refused: number(&found, "refused")?,
        reasons: reasons.fetch_all(database).await?,
    })
}
