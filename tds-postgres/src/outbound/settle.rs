//! The end of a push.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::types::Json;
use tds_core::{
    mirror::FieldDifference,
    outbound::{Earlier, EntryStatus, PRESENCE, Push, Sent, Settled, Settlement},
    record::Fields,
};

use super::{conflicts, load, modes, take, target::Target};
use crate::{
    Database, Tx,
    db::{
        quote,
        text::{storable, storable_json},
    },
};

const OTHERS: &str = "
SELECT fields FROM tds_outbox
 WHERE entity_type = $1 AND local_id = $2 AND status IN ('pending', 'conflict') AND id <> ALL($3)
";

const END: &str = "
UPDATE tds_outbox SET status = $2, relayed = true, settled_at = CASE WHEN $2 <> 'conflict' THEN clock_timestamp() END,
  differences = $3, note = $4, conflict_id = coalesce($5, conflict_id)
 WHERE id = ANY($1) AND status IN ('pending', 'conflict')
";

// A push whose item was lost may have been settled by another worker.
const OPEN: &str = "
SELECT EXISTS (SELECT FROM tds_outbox WHERE id = ANY($1) AND status IN ('pending', 'conflict'))
";

// The record is in the source and nowhere else, so the next read begins anew.
const FORGET: [&str; 2] = [
    "DELETE FROM tds_sync_records WHERE entity_type = $1 AND zoho_id = $2",
    "DELETE FROM tds_links WHERE entity_type = $1 AND zoho_id = $2",
];

const ACCEPTED: &str = "SELECT detail_hash FROM tds_sync_records WHERE entity_type = $1 AND zoho_id = $2";

const STATES: &str = "SELECT earlier, sent FROM tds_links WHERE entity_type = $1 AND local_id = $2";

const NEW_BASE: &str = "
UPDATE tds_links SET earlier = $3, kept = $4, sent = $5
 WHERE entity_type = $1 AND local_id = $2 AND (earlier, kept, sent) IS DISTINCT FROM ($3, $4, $5)
";

/// The changes of a record that are not part of a push.
struct Others {
    exist: bool,
    all: bool,
    fields: BTreeSet<String>,
}

impl Others {
    fn name(&self, field: &str) -> bool {
        self.all || self.fields.contains(field)
    }
}

/// What became of a settlement.
pub(super) enum End {
    /// The push has ended, perhaps already before.
    Settled,
    /// The mode has another epoch than the push. Nothing was written.
    OtherEpoch,
    /// The mirror has accepted another record than the push goes by, or a person has decided since. Nothing was written.
    Overtaken,
}

/// Ends a push.
pub(super) async fn settle(
    database: &Database,
    target: &Target,
    push: &Push,
    settlement: &Settlement,
) -> Result<End, sqlx::Error> {
    let mut tx = database.begin_as_engine("").await?;
    if !modes::holds(&mut tx, push).await? {
        tx.rollback().await?;
        return Ok(End::OtherEpoch);
    }
    let changes: Vec<i64> = push.changes.iter().map(|id| id.0).collect();
    let is_open: bool = sqlx::query_scalar(OPEN).bind(&changes).fetch_one(&mut tx).await?;
    if !is_open {
        tx.rollback().await?;
        return Ok(End::Settled);
    }
    let local_id = push.local_id;
    let sql = format!("SELECT zoho_id FROM {} WHERE id = $1 FOR UPDATE", quote::table(target.head));
    let row: Option<Option<String>> =
        sqlx::query_scalar(quote::statement(sql)).bind(local_id).fetch_optional(&mut tx).await?;
    let is_gone = row.is_none();
    let of_row: Option<String> = row.flatten();
    let of_link = push.link.remote_id.as_ref().map(|id| id.as_str().to_owned());
    let remote_id = of_row.or(of_link);
    let decided = sqlx::query_scalar(load::DECIDED).bind(push.entity.as_str()).bind(local_id);
    let decided: i64 = decided.fetch_one(&mut tx).await?;
    if u64::try_from(decided) != Ok(push.decided) {
        tx.rollback().await?;
        return Ok(End::Overtaken);
    }
    if let Some(accepted) = &settlement.accepted {
        // A batch of reads holds the lock of the head row until its states are written.
        let known = sqlx::query_scalar(ACCEPTED).bind(push.entity.as_str()).bind(remote_id.as_deref());
        let known: Option<Option<String>> = known.fetch_optional(&mut tx).await?;
        if known.flatten().as_deref() != Some(accepted.as_str()) {
            tx.rollback().await?;
            return Ok(End::Overtaken);
        }
    }
    let replaced = || target.children.iter().filter(|it| settlement.take_rows.contains_key(it.table));
    for child in replaced() {
        take::lock_rows(&mut tx, child, local_id, remote_id.as_deref()).await?;
    }
    // Programs that changed one of these rows have committed their changes to the outbox by now.
    let others = others(&mut tx, push).await?;
    let taken: Fields = settlement.take.clone().into_iter().filter(|(name, _)| !others.name(name)).collect();
    take::columns(&mut tx, target, local_id, &taken).await?;
    for child in replaced().filter(|child| !others.name(child.table)) {
        if let Some(rows) = settlement.take_rows.get(child.table) {
            take::rows(&mut tx, target, child, (local_id, remote_id.as_deref()), rows).await?;
        }
    }
    take::resolve_references(&mut tx, target, (local_id, remote_id.as_deref())).await?;
    if let Some(id) = remote_id.filter(|_| is_gone && settlement.take.contains_key(PRESENCE)) {
        for statement in FORGET {
            sqlx::query(statement).bind(push.entity.as_str()).bind(&id).execute(&mut tx).await?;
        }
    }
    if settlement.settled != Settled::Parked {
        conflicts::close(&mut tx, push).await?;
    }
    let conflict = match settlement.settled {
        // Nothing was written anywhere, so nothing was decided.
        Settled::Shadow => None,
        Settled::Parked => conflicts::open_for(&mut tx, push, &settlement.conflicts).await?,
        Settled::Pushed | Settled::Unchanged => {
            conflicts::keep_decided(&mut tx, push, &settlement.conflicts).await?
        }
    };
    end_entries(&mut tx, push, settlement, conflict).await?;
    let keeps_base = match settlement.settled {
        Settled::Parked => true,
        Settled::Shadow => others.exist,
        Settled::Pushed | Settled::Unchanged => false,
    };
    if !keeps_base {
        renew_base(&mut tx, push, settlement, &others).await?;
    }
    tx.commit().await?;
    Ok(End::Settled)
}

/// Makes what the mirror has accepted last the base of later changes, but for values that the source won and that are still
/// to be merged with one of them.
async fn renew_base(
    tx: &mut Tx,
    push: &Push,
    settlement: &Settlement,
    others: &Others,
) -> Result<(), sqlx::Error> {
    let is_kept = |name: &str| others.name(name) && push.is_about(name);
    let states = sqlx::query_as(STATES).bind(push.entity.as_str()).bind(push.local_id);
    let (earlier, sent): (Json<Vec<Earlier>>, Json<Vec<Sent>>) =
        states.fetch_optional(&mut *tx).await?.unwrap_or_default();
    let later = (!others.all).then_some(&others.fields);
    sqlx::query(NEW_BASE)
        .bind(push.entity.as_str())
        .bind(push.local_id)
        .bind(Json(Earlier::after(&earlier, push, later)))
        .bind(Json(settlement.before.clone().only(is_kept)))
        .bind(Json(Sent::about(&sent, is_kept)))
        .execute(tx)
        .await
        .map(drop)
}

async fn others(tx: &mut Tx, push: &Push) -> Result<Others, sqlx::Error> {
    let ids: Vec<i64> = push.changes.iter().map(|id| id.0).collect();
    let rows = sqlx::query_scalar(OTHERS).bind(push.entity.as_str()).bind(push.local_id).bind(ids);
    let rows: Vec<Option<Vec<String>>> = rows.fetch_all(tx).await?;
    let (exist, all) = (!rows.is_empty(), rows.iter().any(Option::is_none));
    Ok(Others { exist, all, fields: rows.into_iter().flatten().flatten().collect() })
}

async fn end_entries(
    tx: &mut Tx,
    push: &Push,
    settlement: &Settlement,
    conflict: Option<i64>,
) -> Result<(), sqlx::Error> {
    let status = match settlement.settled {
        Settled::Pushed => EntryStatus::Pushed,
        Settled::Unchanged => EntryStatus::Unchanged,
        Settled::Shadow => EntryStatus::Shadow,
        Settled::Parked => EntryStatus::Conflict,
    };
    let differences = (!settlement.differences.is_empty()).then(|| Json(stored(&settlement.differences)));
    // A row that the relay moves at this moment is found where it was moved to.
    let mut ended = 0;
    for _ in 0..2 {
        let end = sqlx::query(END)
            .bind(push.changes.iter().map(|id| id.0).collect::<Vec<_>>())
            .bind(status.as_str())
            .bind(&differences)
            .bind(settlement.note.as_deref().map(storable))
            .bind(conflict);
        ended += end.execute(&mut *tx).await?.rows_affected();
        if usize::try_from(ended).is_ok_and(|ended| ended >= push.changes.len()) {
            break;
        }
    }
    Ok(())
}

/// Returns differences as the column `differences` holds them.
fn stored(differences: &[FieldDifference]) -> Value {
    let one = |it: &FieldDifference| json!({"field": it.field, "zoho": it.source, "erp": it.target});
    storable_json(&differences.iter().map(one).collect())
}
