//! Reading queue items for operators.

use sqlx::{Row as _, postgres::PgRow};

use tds_core::{
    inbox::InboxId,
    queue::{AttemptView, EntityDelays, ItemId, ItemStatus, ItemView, QueueStats, StatusCounts},
};

use crate::queue::entity_of;

/// Reads a row of the view `tds_sync_queue`.
pub(crate) fn item_of(row: &PgRow) -> Result<ItemView, sqlx::Error> {
    let entity: String = row.try_get("entity_type")?;
    let retries: i32 = row.try_get("retry_count")?;
    Ok(ItemView {
        id: ItemId(row.try_get("id")?),
        inbox_event_id: row.try_get::<Option<i64>, _>("inbox_event_id")?.map(InboxId),
        entity_type: entity_of(&entity)?,
        entity_id: row.try_get("entity_id")?,
        zoho_entity_id: row.try_get("zoho_entity_id")?,
        priority: row.try_get("priority")?,
        status: status_of(row.try_get("status")?)?,
        outcome: row.try_get("outcome")?,
        retry_count: u32::try_from(retries).unwrap_or(0),
        error_message: row.try_get("error_message")?,
        queued_at: row.try_get("queued_at")?,
        processing_started_at: row.try_get("processing_started_at")?,
        processing_completed_at: row.try_get("processing_completed_at")?,
        run_at: row.try_get("run_at")?,
        payload: None,
        attempts: None,
    })
}

/// Reads the attempts of an item, numbered in their order.
pub(crate) fn attempts_of(rows: &[PgRow]) -> Result<Vec<AttemptView>, sqlx::Error> {
    let read = |(number, row): (u32, &PgRow)| {
        Ok(AttemptView {
            attempt: number,
            started_at: row.try_get("started_at")?,
            ended_at: row.try_get("ended_at")?,
            worker: row.try_get("worker")?,
            result: row.try_get("result")?,
            error: row.try_get("error")?,
        })
    };
    (1..).zip(rows).map(read).collect()
}

/// Reads the figures of the queue.
pub(crate) fn stats_of(counts: &[PgRow], delays: &[PgRow]) -> Result<QueueStats, sqlx::Error> {
    let mut stats = QueueStats::default();
    for row in delays {
        let entity: String = row.try_get("entity_type")?;
        let known = EntityDelays {
            avg: row.try_get("mean")?,
            p50: row.try_get("p50")?,
            p99: row.try_get("p99")?,
            oldest: row.try_get("oldest")?,
        };
        if entity.is_empty() {
            stats.sync_delay_avg_seconds = known.avg;
            stats.sync_delay_p50_seconds = known.p50;
            stats.sync_delay_p99_seconds = known.p99;
            stats.oldest_pending_seconds = known.oldest;
        } else {
            stats.delays.insert(entity_of(&entity)?, known);
        }
    }
    for row in counts {
        let entity: String = row.try_get("entity_type")?;
        let (status, total) = (status_of(row.try_get("status")?)?, row.try_get("total")?);
        add(&mut stats.queue, status, total);
        add(stats.by_entity.entry(entity_of(&entity)?).or_default(), status, total);
    }
    Ok(stats)
}

fn add(counts: &mut StatusCounts, status: ItemStatus, total: i64) {
    let counter = match status {
        ItemStatus::Pending => &mut counts.pending,
        ItemStatus::Processing => &mut counts.processing,
        ItemStatus::Completed => &mut counts.completed,
        ItemStatus::Failed => &mut counts.failed,
        ItemStatus::DeadLetter => &mut counts.dead_letter,
    };
    *counter += total;
}

fn status_of(text: &str) -> Result<ItemStatus, sqlx::Error> {
    let known = ItemStatus::ALL.into_iter().find(|status| status.as_str() == text);
    known.ok_or_else(|| sqlx::Error::Decode(format!("unknown item status {text:?}").into()))
}
