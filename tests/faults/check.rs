//! The rules that must hold once all work has ended: statements about the database, each of which must return no row.

use std::collections::BTreeMap;

use crate::{cluster::Cluster, journal::Fault, letters::Accepted};

/// A rule, and the statement that finds its violations, one text per row. `$poison` stands for the ids of the poisoned
/// records.
const RULES: [(&str, &str); 17] = [
    (
        "an event did not end",
        "SELECT format('event %s (%s %s): %s, open_items %s, received %s', id, entity_type, entity_id, status, open_items, received_at)
           FROM tds_inbox_events WHERE status IN ('pending', 'processing')",
    ),
    (
        "an event that ended waits for items",
        "SELECT format('event %s (%s %s): %s, open_items %s', id, entity_type, entity_id, status, open_items)
           FROM tds_inbox_events WHERE status = 'completed' AND open_items <> 0",
    ),
    (
        "an event counts its items wrong",
        "SELECT format('event %s (%s %s): %s, open_items %s, waits for %s', e.id, e.entity_type, e.entity_id, e.status, e.open_items, w.n)
           FROM tds_inbox_events e CROSS JOIN LATERAL
             (SELECT count(*) AS n FROM tds_queue_waiters w WHERE w.cause = 'event' AND w.cause_id = e.id) w
          WHERE e.status IN ('completed', 'failed') AND e.open_items <> w.n AND NOT (e.open_items = 0 AND w.n = 0)",
    ),
    (
        "an event ended without an outcome",
        "SELECT format('event %s (%s %s)', id, entity_type, entity_id) FROM tds_inbox_events
          WHERE status = 'completed' AND (outcome IS NULL OR processed_at IS NULL)",
    ),
    (
        "a good event failed",
        "SELECT format('event %s (%s %s): %s', e.id, e.entity_type, e.entity_id, e.error_message)
           FROM tds_inbox_events e WHERE e.status = 'failed' AND e.open_items > 0 AND NOT e.entity_id = ANY ($poison)",
    ),
    (
        "an event was pruned before it ended",
        "SELECT format('event %s: %s, open_items %s', id, status, open_items) FROM monkey.pruned_events
          WHERE status NOT IN ('completed', 'failed')",
    ),
    (
        "a run did not end",
        "SELECT format('run %s (%s %s): %s, %s of %s, open_items %s, since %s', id, run_type, entity_type, status, processed_items,
             total_items, open_items, started_at)
           FROM tds_sync_runs WHERE status IN ('pending', 'running')",
    ),
    (
        "a run failed",
        "SELECT format('run %s (%s %s): %s', id, run_type, entity_type, error) FROM monkey.failed_runs",
    ),
    (
        "the counts of a run do not add up",
        "SELECT format('run %s (%s %s): %s, %s of %s, failed %s, open_items %s, waits for %s', id, run_type, entity_type, status,
             processed_items, total_items, failed_items, open_items, w.n)
           FROM tds_sync_runs r CROSS JOIN LATERAL
             (SELECT count(*) AS n FROM tds_queue_waiters w WHERE w.cause = 'run' AND w.cause_id = r.id) w
          WHERE status LIKE 'completed%' AND (processed_items <> total_items OR open_items <> 0)
             OR status <> 'running' AND (w.n <> open_items OR failed_items < 0 OR failed_items > processed_items)",
    ),
    (
        "a run counts failures that are none",
        "SELECT format('run %s (%s %s): %s failed', id, run_type, entity_type, failed_items) FROM tds_sync_runs
          WHERE failed_items > 0 AND entity_type NOT IN ('invoices', 'bills')",
    ),
    (
        "a cancelled run continues",
        "SELECT format('run %s: %s items were taken into work after it was cancelled, among them %s', run_id, count(*), min(item))
           FROM monkey.in_vain GROUP BY run_id",
    ),
    (
        "something was seen later than now",
        "SELECT format('%s %s: until %s', entity_type, zoho_id, GREATEST(observed_began, observed_ended, detail_seen, volatile_seen))
           FROM tds_sync_records
          WHERE GREATEST(observed_began, observed_ended, detail_seen, volatile_seen) > now() + interval '1 minute'",
    ),
    (
        "the queue is not empty",
        "SELECT format('item %s (%s %s): %s, attempt %s, run_at %s: %s', id, entity_type, zoho_entity_id, status, retry_count, run_at, error_message)
           FROM tds_queue_live WHERE dead_lettered_at IS NULL",
    ),
    (
        "a cause waits for an item that is gone",
        "SELECT format('%s %s waits for item %s', cause, cause_id, item_id) FROM tds_queue_waiters w
          WHERE NOT EXISTS (SELECT FROM tds_queue_live q WHERE q.id = w.item_id)",
    ),
    (
        "a good record became a dead letter",
        "SELECT format('%s %s after %s attempts: %s', entity_type, zoho_id, retry_count, error) FROM monkey.dead_letters
          WHERE NOT zoho_id = ANY ($poison)
         UNION ALL
         SELECT format('item %s (%s %s): %s', id, entity_type, zoho_entity_id, error_message) FROM tds_queue_live
          WHERE dead_lettered_at IS NOT NULL AND NOT zoho_entity_id = ANY ($poison)
            AND NOT EXISTS (SELECT FROM monkey.dead_letters d WHERE d.zoho_id = zoho_entity_id)",
    ),
    (
        "an operator's DELETE took a live item",
        "SELECT format('item %s (%s %s) was %s', id, entity_type, zoho_id, status) FROM monkey.taken",
    ),
    (
        "something stale was applied",
        "SELECT format('%s %s went from %s back to %s', entity, zoho_id, before, after) FROM monkey.went_back",
    ),
];

/// Returns every violation of the rules in the database.
pub(crate) async fn state(cluster: &Cluster, database: &str, poison: &[&str]) -> Vec<Fault> {
    let poison = format!("ARRAY['{}']", poison.join("','"));
    let mut faults = Vec::new();
    for (rule, sql) in RULES {
        let rows = rows(cluster, database, &sql.replace("$poison", &poison)).await;
        faults.extend(rows.into_iter().map(|row| Fault::new(rule, row)));
    }
    faults
}

/// Returns the accepted deliveries that do not have exactly their own row.
pub(crate) async fn accepted(
    cluster: &Cluster,
    database: &str,
    accepted: &BTreeMap<String, Accepted>,
) -> Vec<Fault> {
    let sql = "SELECT event_id || ' ' || id FROM tds_inbox_events
               UNION SELECT event_id || ' ' || id FROM monkey.pruned_events";
    let known: std::collections::BTreeSet<String> = rows(cluster, database, sql).await.into_iter().collect();
    accepted
        .iter()
        .filter(|(event_id, accepted)| !known.contains(&format!("{event_id} {}", accepted.inbox_event_id)))
        .map(|(event_id, accepted)| {
            let answer =
                format!("{event_id} was answered {} as event {}", accepted.status, accepted.inbox_event_id);
            Fault::new("an accepted event is lost", answer)
        })
        .collect()
}

async fn rows(cluster: &Cluster, database: &str, sql: &str) -> Vec<String> {
    let sql = format!("SELECT COALESCE(jsonb_agg(t.text), '[]')::text FROM ({sql}) AS t(text)");
    let text = cluster.text(database, &sql).await.expect("an array");
    serde_json::from_str(&text).expect("texts")
}
