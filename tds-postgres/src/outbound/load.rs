//! What is pending of a record, read in one state of the database.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sqlx::{Row as _, postgres::PgRow, types::Json};
use tds_core::{
    outbound::{
        Earlier, EntityMode, Link, LocalRecord, Operation, OutboxId, Push, Sent, Side, Values,
        forget_decisions,
    },
    record::{EntityType, Payload, RecordId, Shape},
};
use time::OffsetDateTime;

use super::{
    decisions, modes,
    rows::{self, Head},
    target::Target,
};
use crate::{Database, Tx, db::text::one_of};

/// Lets all statements see the same state. Times are written in UTC.
const BEGIN: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL TimeZone = 'UTC'";

// Parked changes wait for a person. They are pushed together with newer ones.
const ENTRIES: &str = "
SELECT o.id, o.zoho_id, o.operation, o.fields, o.captured_at, o.status = 'pending' AS is_pending, c.decisions
  FROM tds_outbox AS o
  LEFT JOIN tds_conflicts AS c ON c.id = o.conflict_id AND c.status = 'resolved'
 WHERE o.entity_type = $1 AND o.local_id = $2 AND o.status IN ('pending', 'conflict') ORDER BY o.id
";

const LINK: &str = "
SELECT l.key::text AS key, l.zoho_id, l.in_doubt_since, l.earlier, l.kept, l.sent
  FROM tds_links AS l WHERE l.entity_type = $1 AND l.local_id = $2
";

const MODE: &str = "
SELECT entity_type, mode, conflict_policy, field_policies, epoch, changed_at FROM tds_modes WHERE entity_type = $1
";

pub(super) const DECIDED: &str = "
SELECT count(*) FROM tds_conflicts WHERE entity_type = $1 AND local_id = $2 AND resolved_by <> 'policy'
";

const KNOWS_DETAIL: &str = "
SELECT detail_hash IS NOT NULL FROM tds_sync_records WHERE entity_type = $1 AND zoho_id = $2
";

// The key of a record is that of its first change. A record that the source has needs no key before. Another local
// record may have had the record at the source before.
const ADD_LINK: &str = "
INSERT INTO tds_links (entity_type, local_id, zoho_id, key)
SELECT $1, $2, CASE WHEN NOT EXISTS (SELECT FROM tds_links WHERE entity_type = $1 AND zoho_id = $3) THEN $3 END,
       COALESCE(o.key, gen_random_uuid())
  FROM tds_outbox AS o WHERE o.entity_type = $1 AND o.local_id = $2 AND o.status IN ('pending', 'conflict')
 ORDER BY o.id LIMIT 1
ON CONFLICT DO NOTHING
";

/// What the entries of a record say together.
#[derive(Default)]
struct Changes {
    ids: Vec<OutboxId>,
    /// `None`: any column.
    fields: Option<BTreeSet<String>>,
    operation: Option<Operation>,
    changed_at: Option<OffsetDateTime>,
    remote_id: Option<String>,
    /// Something is not parked.
    is_pending: bool,
    decisions: BTreeMap<String, (Value, Side)>,
}

/// What is known of the link of a record.
struct StoredLink {
    key: String,
    remote_id: Option<String>,
    in_doubt_since: Option<OffsetDateTime>,
    earlier: Vec<Earlier>,
    kept: Values,
    sent: Vec<Sent>,
}

/// The result of one look.
enum Look {
    Nothing,
    Unlinked { remote_id: Option<String> },
    Found(Box<Push>),
}

/// Returns what is pending of a record; `None` if nothing is.
pub(super) async fn load(
    database: &Database,
    target: &Target,
    entity: &EntityType,
    local_id: i64,
) -> Result<Option<Push>, sqlx::Error> {
    loop {
        match look(database, target, entity, local_id).await? {
            Look::Nothing => return Ok(None),
            Look::Found(push) => return Ok(Some(*push)),
            // Only the first load of a record gets here, so the others need no second look.
            Look::Unlinked { remote_id } => {
                let add = sqlx::query(ADD_LINK).bind(entity.as_str()).bind(local_id).bind(remote_id);
                add.execute(database).await?;
            }
        }
    }
}

async fn look(
    database: &Database,
    target: &Target,
    entity: &EntityType,
    local_id: i64,
) -> Result<Look, sqlx::Error> {
    let mut tx = database.begin_with(BEGIN).await?;
    let changes = changes(&mut tx, entity, local_id).await?;
    let (Some(operation), Some(changed_at), true) =
        (changes.operation, changes.changed_at, changes.is_pending)
    else {
        return Ok(Look::Nothing);
    };
    let head = rows::head(&mut tx, target, local_id).await?;
    let of_row = head.as_ref().and_then(|head| head.remote_id.clone());
    let link = sqlx::query(LINK).bind(entity.as_str()).bind(local_id);
    let link = link.try_map(|row: PgRow| link_of(&row)).fetch_optional(&mut tx).await?;
    let Some(link) = link else {
        return Ok(Look::Unlinked { remote_id: of_row.or(changes.remote_id) });
    };
    let remote_id = link.remote_id.or(of_row).or(changes.remote_id);
    let mode = sqlx::query(MODE).bind(entity.as_str());
    let mode = mode.try_map(|row: PgRow| modes::mode_of(&row)).fetch_optional(&mut tx).await?;
    let base = match (&head, &remote_id) {
        // Before the push has ended that created the record, both sides have nothing in common.
        _ if link.sent.iter().any(|sent| sent.creates) => None,
        (Some(Head { raw: Some(raw), .. }), Some(id)) => {
            let knows = sqlx::query_scalar(KNOWS_DETAIL).bind(entity.as_str()).bind(id);
            let knows: Option<bool> = knows.fetch_optional(&mut tx).await?;
            let shape = if knows == Some(true) { Shape::Detail } else { Shape::List };
            Some((Payload::new(raw.as_str()), shape))
        }
        _ => None,
    };
    let decided = sqlx::query_scalar(DECIDED).bind(entity.as_str()).bind(local_id);
    let decided: i64 = decided.fetch_one(&mut tx).await?;
    let removes = head.as_ref().is_none_or(|head| head.is_deleted);
    let record = match head {
        None => None,
        Some(head) => Some(LocalRecord {
            key: link.key.clone(),
            remote_id: remote_id.clone().map(RecordId::new),
            remote_status: head.remote_status,
            fields: head.fields,
            children: rows::children(&mut tx, target, local_id, remote_id.as_deref()).await?,
        }),
    };
    tx.commit().await?;
    Ok(Look::Found(Box::new(Push {
        entity: entity.clone(),
        local_id,
        link: Link {
            key: link.key,
            remote_id: remote_id.map(RecordId::new),
            in_doubt_since: link.in_doubt_since,
        },
        operation: if removes { Operation::Delete } else { operation },
        changes: changes.ids,
        fields: changes.fields,
        changed_at,
        record,
        base,
        earlier: link.earlier,
        kept: link.kept,
        sent: link.sent,
        mode: mode.unwrap_or_else(|| EntityMode::initial(entity.clone())),
        decisions: changes.decisions,
        decided: u64::try_from(decided).unwrap_or(0),
    })))
}

/// Reads the pending entries of a record.
async fn changes(tx: &mut Tx, entity: &EntityType, local_id: i64) -> Result<Changes, sqlx::Error> {
    let entries = sqlx::query(ENTRIES).bind(entity.as_str()).bind(local_id).fetch_all(tx).await?;
    let mut changes = Changes { fields: Some(BTreeSet::new()), ..Changes::default() };
    for row in &entries {
        changes.ids.push(OutboxId(row.try_get("id")?));
        changes.is_pending |= row.try_get::<bool, _>("is_pending")?;
        let operation: &str = row.try_get("operation")?;
        changes.operation = Some(one_of(Operation::ALL, Operation::as_str, "operation", operation)?);
        changes.changed_at = changes.changed_at.max(Some(row.try_get("captured_at")?));
        let fields: Option<Vec<String>> = row.try_get("fields")?;
        match row.try_get("decisions")? {
            Some(Json(stored)) => changes.decisions.extend(decisions::read(stored)?),
            None => {
                let later = fields.as_ref().map(|fields| fields.iter().cloned().collect());
                forget_decisions(&mut changes.decisions, later.as_ref());
            }
        }
        changes.fields = changes.fields.zip(fields).map(|(mut all, more)| {
            all.extend(more);
            all
        });
        let remote_id: Option<String> = row.try_get("zoho_id")?;
        changes.remote_id = remote_id.or(changes.remote_id);
    }
    Ok(changes)
}

fn link_of(row: &PgRow) -> Result<StoredLink, sqlx::Error> {
    let (Json(earlier), Json(kept)) = (row.try_get("earlier")?, row.try_get("kept")?);
    let Json(sent) = row.try_get("sent")?;
    Ok(StoredLink {
        key: row.try_get("key")?,
        remote_id: row.try_get("zoho_id")?,
        in_doubt_since: row.try_get("in_doubt_since")?,
        earlier,
        kept,
        sent,
    })
}
