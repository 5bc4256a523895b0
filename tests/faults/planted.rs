//! Tests of the judge: known faults are planted from outside, and the judge must report each of them and nothing else.

use std::{sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, Connection as _};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    check,
    cluster::Cluster,
    dice::Dice,
    journal::{report, rules},
    letters,
    mirror::Mirror,
    monkey::close,
    rest, senders,
    world::{DATABASE, World},
};

const COPY: &str = "planted";
const DIFFERS: [&str; 2] = ["the mirror differs from a fresh one", "the mirror differs from the source"];

/// The statements that are run on a copy of the idle database, and the rules that each of them violates.
const PLANTED: [(&str, &str, &[&str]); 26] = [
    (
        "an event lost its item, and its waiter stayed",
        "UPDATE tds_inbox_events SET status = 'pending', open_items = 1, outcome = NULL, processed_at = NULL
          WHERE id = (SELECT min(id) FROM tds_inbox_events WHERE outcome = 'applied');
         INSERT INTO tds_queue_waiters (item_id, cause, cause_id, generation)
           SELECT 999999, 'event', id, 1 FROM tds_inbox_events WHERE status = 'pending'",
        &["an event did not end", "a cause waits for an item that is gone"],
    ),
    (
        "an event lost its waiter",
        "UPDATE tds_inbox_events SET status = 'pending', open_items = 1, outcome = NULL, processed_at = NULL
          WHERE id = (SELECT min(id) FROM tds_inbox_events WHERE outcome = 'applied')",
        &["an event did not end"],
    ),
    (
        "a run waits for an item that is gone",
        "UPDATE tds_sync_runs SET status = 'running', processed_items = processed_items - 1, open_items = 1, completed_at = NULL
          WHERE id = (SELECT max(id) FROM tds_sync_runs WHERE entity_type = 'products' AND status = 'completed')",
        &["a run did not end"],
    ),
    (
        "a run ended one record too early",
        "UPDATE tds_sync_runs SET processed_items = processed_items - 1
          WHERE id = (SELECT max(id) FROM tds_sync_runs WHERE entity_type = 'products' AND status = 'completed')",
        &["the counts of a run do not add up"],
    ),
    (
        "a cut of the database made a run fail",
        "UPDATE tds_sync_runs SET status = 'failed', error_log = 'reading the pages: connection reset by peer'
          WHERE id = (SELECT max(id) FROM tds_sync_runs WHERE entity_type = 'products')",
        &["a run failed"],
    ),
    (
        "a run blames records",
        "UPDATE tds_sync_runs SET status = 'completed_with_errors', failed_items = 1
          WHERE id = (SELECT max(id) FROM tds_sync_runs WHERE entity_type = 'products')",
        &["a run counts failures that are none"],
    ),
    (
        "a payment is dropped",
        "UPDATE erp.invoices SET status = 'sent', balance = total + 1
          WHERE id = (SELECT min(id) FROM erp.invoices WHERE deleted_at IS NULL AND zoho_id <> $poison)",
        &DIFFERS,
    ),
    (
        "a state that came back is taken for a repetition",
        "UPDATE erp.products SET description = 'state B'
          WHERE id = (SELECT min(id) FROM erp.products WHERE deleted_at IS NULL)",
        &DIFFERS,
    ),
    (
        "a customer's field becomes one of the invoice",
        "UPDATE erp.invoices SET custom_fields = COALESCE(custom_fields, '{}') || '{\"cf_tin\": \"100200300\"}'
          WHERE id = (SELECT min(id) FROM erp.invoices WHERE deleted_at IS NULL AND zoho_id <> $poison)",
        &["the mirror differs from a fresh one"],
    ),
    (
        "fields that came as text keep what they were",
        "UPDATE erp.products SET custom_fields = '{\"cf_shelf\": \"as it was\"}'
          WHERE id = (SELECT min(id) FROM erp.products WHERE deleted_at IS NULL)",
        &["the mirror differs from a fresh one"],
    ),
    (
        "a list row's spelling replaces the detail's",
        "UPDATE erp.invoices SET billing_address = billing_address - 'zip' || '{\"zipcode\": \"10001\"}'
          WHERE id = (SELECT min(id) FROM erp.invoices
                       WHERE deleted_at IS NULL AND zoho_id <> $poison AND jsonb_typeof(billing_address) = 'object')",
        &["the mirror differs from a fresh one"],
    ),
    (
        "somebody's edit of the mirror stays",
        "UPDATE erp.products SET rate = 1 WHERE id = (SELECT min(id) FROM erp.products WHERE deleted_at IS NULL)",
        &DIFFERS,
    ),
    (
        "a line is lost",
        "DELETE FROM erp.invoice_lines WHERE id = (SELECT min(l.id) FROM erp.invoice_lines l
           JOIN erp.invoices i ON i.zoho_id = l.document_zoho_id WHERE i.deleted_at IS NULL AND i.zoho_id <> $poison)",
        &DIFFERS,
    ),
    (
        "a live record has a tombstone",
        "UPDATE erp.customers SET deleted_at = now() WHERE id = (SELECT min(id) FROM erp.customers WHERE deleted_at IS NULL)",
        &DIFFERS,
    ),
    (
        "an older version is applied",
        "UPDATE erp.products SET zoho_modified_at = zoho_modified_at - interval '1 hour', description = 'as it was'
          WHERE id = (SELECT min(id) FROM erp.products WHERE deleted_at IS NULL)",
        &["something stale was applied", DIFFERS[0], DIFFERS[1]],
    ),
    (
        "lost leases are counted as attempts",
        "INSERT INTO tds_queue_live (entity_type, zoho_entity_id, status, retry_count, error_message, dead_lettered_at)
         VALUES ('products', '4600000000000000001', 'dead_letter', 8, 'given up after 8 attempts', now())",
        &["a good record became a dead letter"],
    ),
    (
        "a lock that the ERP holds is charged to a record",
        "INSERT INTO tds_queue_live (entity_type, zoho_entity_id, status, retry_count, error_message, dead_lettered_at)
         VALUES ('products', '4600000000000000001', 'dead_letter', 8, 'canceling statement due to lock timeout', now())",
        &["a good record became a dead letter"],
    ),
    (
        "a clock that was ahead holds a record back",
        "UPDATE tds_sync_records SET observed_ended = now() + interval '3 hours', observed_began = now() + interval '3 hours'
          WHERE (entity_type, zoho_id) = (SELECT entity_type, min(zoho_id) FROM tds_sync_records GROUP BY entity_type LIMIT 1)",
        &["something was seen later than now"],
    ),
    (
        "a cancelled run continues reading",
        "UPDATE tds_sync_runs SET status = 'cancelled', completed_at = now() - interval '1 minute' WHERE id = (SELECT min(id) FROM tds_sync_runs WHERE status = 'completed');
         INSERT INTO tds_queue_live (id, entity_type, zoho_entity_id) SELECT 910000 + n, 'invoices', 'planted ' || n
           FROM generate_series(1, 7) n;
         INSERT INTO tds_queue_waiters (item_id, cause, cause_id, generation)
           SELECT 910000 + n, 'run', (SELECT id FROM tds_sync_runs WHERE status = 'cancelled' ORDER BY id LIMIT 1), 1
             FROM generate_series(1, 7) n;
         UPDATE tds_queue_live SET status = 'processing', lease_token = 1, lease_owner = 'planted', lease_expires_at = now(),
           processing_started_at = now() WHERE id > 910000;
         DELETE FROM tds_queue_waiters WHERE item_id > 910000;
         DELETE FROM tds_queue_live WHERE id > 910000",
        &["a cancelled run continues"],
    ),
    (
        "urgent work waits behind what put its item off",
        "INSERT INTO tds_queue_live (entity_type, zoho_entity_id, priority, error_message, run_at)
         VALUES ('products', '4600000000000000001', 20, 'the day''s calls are spent', now() + interval '16 minutes')",
        &["the queue is not empty"],
    ),
    (
        "an accepted event is gone",
        "ALTER TABLE tds_inbox_events DISABLE TRIGGER monkey_event_goes;
         DELETE FROM tds_inbox_events WHERE id = (SELECT min(id) FROM tds_inbox_events WHERE outcome = 'applied')",
        &["an accepted event is lost"],
    ),
    (
        "pruning takes what has not ended",
        "UPDATE tds_inbox_events SET status = 'pending' WHERE id = (SELECT min(id) FROM tds_inbox_events WHERE outcome = 'applied');
         DELETE FROM tds_inbox_events WHERE status = 'pending'",
        &["an event was pruned before it ended"],
    ),
    (
        "an event ended without an outcome",
        "UPDATE tds_inbox_events SET outcome = NULL WHERE id = (SELECT min(id) FROM tds_inbox_events WHERE outcome = 'applied')",
        &["an event ended without an outcome"],
    ),
    (
        "an event ended and waits",
        "UPDATE tds_inbox_events SET open_items = 1 WHERE id = (SELECT min(id) FROM tds_inbox_events WHERE outcome = 'applied')",
        &["an event counts its items wrong", "an event that ended waits for items"],
    ),
    (
        "an event of a good record failed",
        "UPDATE tds_inbox_events SET status = 'failed', open_items = 1
          WHERE id = (SELECT min(id) FROM tds_inbox_events WHERE outcome = 'applied')",
        &["a good event failed", "an event counts its items wrong"],
    ),
    ("nothing", "SELECT 1", &[]),
];

/// Opens a shop, sends a few changes, and checks that the idle shop violates no rule.
async fn quiet_shop() -> (Arc<World>, Mirror) {
    let world = World::open(3, 0).await;
    let mut dice = Dice::of(3, 1);
    for _ in 0..40 {
        if let Some(change) = world.source.change(&mut dice) {
            let letter = letters::about(&world.source, &change, &mut dice);
            senders::send(&world, dice.below(2), &letter).await;
        }
    }
    world.end();
    let (faults, fresh) = rest::judge(&world).await;
    assert!(faults.is_empty(), "nothing was disturbed:\n{}{}", report(&faults), world.journal.last());
    (world, fresh)
}

/// Makes a copy of the idle database.
async fn copy(cluster: &Cluster) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut admin = cluster.connect("postgres", "monkey").await;
    loop {
        let drop = format!("DROP DATABASE IF EXISTS {COPY} WITH (FORCE)");
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut admin).await.expect("the copy before goes");
        let made = format!("CREATE DATABASE {COPY} TEMPLATE {DATABASE}");
        match sqlx::raw_sql(AssertSqlSafe(made)).execute(&mut admin).await {
            Ok(_) => return,
            // Connections that are just closing take a moment to end.
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_planted_fault_is_reported_and_nothing_else() {
    let (world, fresh) = quiet_shop().await;
    for (name, sql, broken) in PLANTED {
        copy(&world.cluster).await;
        let poison = format!("'{}'", world.source.poison_ids()[0]);
        world.cluster.run(COPY, &sql.replace("$poison", &poison)).await;
        let faults = rest::at_rest(&world, COPY, &fresh).await;
        let mut broken = broken.to_vec();
        broken.sort_unstable();
        assert_eq!(rules(&faults), broken, "planted: {name}; reported:\n{}", report(&faults));
    }
    old_deletion_takes_a_live_item(&world).await;
    old_settling_loses_an_event(&world).await;
    close(world).await;
}

/// A faulty operators' DELETE selects a row, waits for its lock, and then deletes the row although its status has
/// changed in the meantime.
async fn old_deletion_takes_a_live_item(world: &World) {
    let cluster = &world.cluster;
    copy(cluster).await;
    cluster.run(COPY, include_str!("planted/delete_item.sql")).await;
    let dead =
        "SELECT count(DISTINCT zoho_entity_id)::text FROM tds_queue_live WHERE dead_lettered_at IS NOT NULL";
    let dead = cluster.text(COPY, dead).await;
    assert_eq!(dead.as_deref(), Some("2"), "the poison of two entity types");

    let mut holder = cluster.connect(COPY, "monkey-holds").await;
    let mut held = holder.begin().await.expect("a transaction");
    let first =
        "SELECT id FROM tds_queue_live WHERE ctid = (SELECT min(ctid) FROM tds_queue_live) FOR UPDATE";
    let first: i64 = sqlx::query_scalar(first).fetch_one(&mut *held).await.expect("the first dead letter");
    let mut deleter = cluster.connect(COPY, "monkey-deletes").await;
    let deleting = tokio::spawn(async move {
        let sql =
            "DELETE FROM tds_sync_queue WHERE status IN ('completed', 'dead_letter') AND queued_at < NOW()";
        sqlx::query(sql).execute(&mut deleter).await
    });
    until_it_waits(cluster, COPY, "monkey-deletes").await;
    let retry = format!(
        "UPDATE tds_sync_queue SET status = 'pending' WHERE status = 'dead_letter' AND id <> {first}"
    );
    cluster.run(COPY, &retry).await;
    held.rollback().await.expect("it is given back");
    timeout(Duration::from_secs(20), deleting).await.expect("it ends").expect("it runs").expect("it deletes");
    let faults = check::state(cluster, COPY, &world.source.poison_ids()).await;
    assert!(rules(&faults).contains(&"an operator's DELETE took a live item"), "{}", report(&faults));
}

/// A faulty `tds_complete` waits for a transaction that folds a change into its item, and then does not see the waiter
/// that this transaction added.
async fn old_settling_loses_an_event(world: &World) {
    let cluster = &world.cluster;
    copy(cluster).await;
    let old = include_str!("planted/complete.sql");
    let event = |id: u32| {
        format!(
            "INSERT INTO tds_inbox_events (id, event_id, source_type, entity_type, entity_id, event_type, raw_payload, open_items)
             VALUES ({id}, 'planted {id}', 'zoho', 'products', '4600000000000000001', 'updated', '', 1);
             INSERT INTO tds_queue_waiters (item_id, cause, cause_id, generation) VALUES (900001, 'event', {id}, 1);"
        )
    };
    let claimed = "INSERT INTO tds_queue_live (id, entity_type, zoho_entity_id, status, inbox_event_id, claimed_event_id,
                     lease_token, lease_owner, lease_expires_at, processing_started_at)
                   VALUES (900001, 'products', '4600000000000000001', 'processing', 900001, 900001, 1, 'planted', now(), now());";
    cluster.run(COPY, &format!("{old}{claimed}{}", event(900_001))).await;

    let mut folder = cluster.connect(COPY, "monkey-holds").await;
    let mut fold = folder.begin().await.expect("a transaction");
    let nothing_new =
        format!("UPDATE tds_queue_live SET priority = priority WHERE id = 900001; {}", event(900_002));
    sqlx::raw_sql(AssertSqlSafe(nothing_new)).execute(&mut *fold).await.expect("it folds");
    let mut settler = cluster.connect(COPY, "monkey-settles").await;
    let settling = tokio::spawn(async move {
        let sql = "SELECT tds_complete('{900001}'::bigint[], '{1}'::bigint[], '{1}'::bigint[], '{applied}'::text[])";
        sqlx::query(sql).execute(&mut settler).await
    });
    until_it_waits(cluster, COPY, "monkey-settles").await;
    fold.commit().await.expect("it is folded");
    timeout(Duration::from_secs(20), settling).await.expect("it ends").expect("it runs").expect("it settles");
    let faults = check::state(cluster, COPY, &world.source.poison_ids()).await;
    let broken = ["a cause waits for an item that is gone", "an event did not end"];
    assert_eq!(rules(&faults), broken, "{}", report(&faults));
}

/// Waits until a session with this application name waits for a lock.
pub(crate) async fn until_it_waits(cluster: &Cluster, database: &str, application: &str) {
    let waiting = format!(
        "SELECT (count(*) > 0)::text FROM pg_stat_activity WHERE application_name = '{application}' AND wait_event_type = 'Lock'"
    );
    let deadline = Instant::now() + Duration::from_secs(20);
    while cluster.text(database, &waiting).await.as_deref() != Some("true") {
        assert!(Instant::now() < deadline, "{application} waits for nobody");
        sleep(Duration::from_millis(20)).await;
    }
}
