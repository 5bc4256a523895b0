//! Tests of the figures over days and weeks.

use std::time::Duration;

use tds_core::{
    clock::{Clock as _, SystemClock},
    inbox::Inbox as _,
    measures::{AnswerCount, AnswerKind, AnswerTimes, HistoryCheck, Measures as _, Watched},
    queue::{Claimed, Lane, Lease, Outcome, Queue as _, Settle, Settlement},
    record::EntityType,
};

use crate::support::{PRODUCTS, claim, complete, event, store, text, work};
use tds_postgres::testkit::TestDatabase;

const WEEK: Duration = Duration::from_secs(7 * 86_400);
const QUARTER: Duration = Duration::from_secs(900);
const VENDORS: EntityType = EntityType::from_static("vendors");
const CUSTOMERS: EntityType = EntityType::from_static("customers");

async fn run(database: &TestDatabase, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(database.database().pool())
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn dead(item: &Claimed) -> Settlement {
    Settlement {
        lease: Lease { id: item.id, token: item.token },
        generation: item.generation,
        settle: Settle::DeadLetter { error: "Zoho answered HTTP 400, code 1001: no item 4711".to_owned() },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_is_measured_from_what_the_tables_keep() {
    let (database, store) = store().await;
    let empty = store.week(WEEK, QUARTER).await.expect("figures");
    assert_eq!((empty.delays.completed, empty.delays.since, empty.deliveries.received), (0, None, 0));
    assert_eq!((empty.answers_since, empty.money.len(), empty.dead_letters.now), (None, 0, 0));

    for id in ["1", "2", "3", "4"] {
        store.accept(event(id, work(1, "{}"))).await.expect("accepted");
    }
    let items = claim(&store, 3).await;
    store.settle(complete(&items[..2], Outcome::Applied)).await.expect("settled");
    store.settle(vec![dead(&items[2])]).await.expect("settled");
    // The first delivery was received eight days ago, the one that waits twenty minutes ago.
    run(
        &database,
        "UPDATE tds_inbox_events SET received_at = now() - interval '8 days', processed_at = now() - interval '8 days'
          WHERE event_id = 'event-1';
         UPDATE tds_inbox_events SET received_at = now() - interval '20 minutes' WHERE event_id = 'event-4';
         UPDATE tds_queue_done SET queued_at = processing_completed_at - interval '4 seconds';
         UPDATE tds_queue_done SET processing_completed_at = now() - interval '8 days',
                queued_at = now() - interval '8 days 1 hour' WHERE zoho_entity_id = '1';
         INSERT INTO tds_verifications (id, completed_at, money) VALUES
           (1, now() - interval '9 days', '[{\"check\": \"old\", \"difference\": \"1.00\"}]'),
           (2, now() - interval '1 day', '[{\"check\": \"receivables\", \"currency\": \"IQD\", \"zoho\": \"5\",
                                            \"erp\": \"4\", \"difference\": \"1\", \"holds\": false}]');",
    )
    .await;
    let week = store.week(WEEK, QUARTER).await.expect("figures");
    assert_eq!(
        (week.delays.completed, week.delays.mean, week.delays.webhook_mean),
        (1, Some(4.0), Some(4.0))
    );
    assert!(week.delays.since.expect("a time") < week.now - time::Duration::days(7));
    let deliveries = &week.deliveries;
    assert_eq!((deliveries.received, deliveries.completed, deliveries.failed, deliveries.late), (3, 1, 1, 1));
    assert!((1_199.0..1_300.0).contains(&deliveries.oldest_open.expect("an age")), "{deliveries:?}");
    assert_eq!((week.dead_letters.now, week.dead_letters.made), (1, 1));
    assert!(week.dead_letters.last_at.is_some());
    let failing: Vec<_> = week.money.iter().flat_map(|point| point.failing()).collect();
    assert_eq!((week.money.len(), failing.len(), failing[0].check.as_str()), (1, 1, "receivables"));

    let days = store.days(7).await.expect("figures");
    assert_eq!(days.days.len(), 7);
    let sums = days.days.iter().fold((0, 0, 0, 0), |sums, day| {
        (sums.0 + day.deliveries, sums.1 + day.completed, sums.2 + day.changed, sums.3 + day.dead_letters)
    });
    assert_eq!(sums, (3, 1, 1, 1));
    assert_eq!((days.failures.len(), days.failures[0].dead_letters), (1, 1));
    assert!(days.failures[0].error.contains("4711"), "{:?}", days.failures);
    assert_eq!((days.dead_letters.len(), days.dead_letters[0].items), (1, 1));
    assert_eq!((days.entities.len(), days.entities[0].deliveries), (1, 3));
    assert!(days.tables[0].name.is_empty() && days.tables[0].bytes > 1_000_000, "{:?}", days.tables[0]);
    assert!(days.tables.iter().any(|table| table.name == "erp.invoices"));
    assert!(days.tables.iter().all(|table| table.before.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_times_of_answers_add_up_and_old_ones_are_pruned() {
    let (database, store) = store().await;
    let now = SystemClock.now();
    let hour =
        now.replace_minute(0).and_then(|at| at.replace_second(0)).and_then(|at| at.replace_nanosecond(0));
    let hour = hour.expect("an hour");
    let count = |hours: i64, kind, milliseconds: &[u64]| {
        let mut times = AnswerTimes::default();
        milliseconds.iter().for_each(|ms| times.add(Duration::from_millis(*ms), *ms > 1_000));
        AnswerCount { hour: hour - time::Duration::hours(hours), kind, times }
    };
    store
        .count_answers(&[count(0, AnswerKind::Api, &[1, 40]), count(0, AnswerKind::Webhook, &[3, 30_000])])
        .await
        .expect("counted");
    store
        .count_answers(&[count(0, AnswerKind::Api, &[2]), count(24 * 40, AnswerKind::Api, &[2])])
        .await
        .expect("counted");
    let week = store.week(WEEK, QUARTER).await.expect("figures");
    assert_eq!((week.answers.answers, week.answers.faults), (5, 1));
    assert_eq!(week.answers.classes, [3, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
    assert!((week.answers.seconds - 30.046).abs() < 1e-6, "{:?}", week.answers);
    assert_eq!(week.answers_since, Some(hour - time::Duration::hours(24 * 40)));
    let rows = "SELECT count(*)::text FROM tds_answer_times";
    assert_eq!(text(&database, rows).await, "3");
    tds_core::queue::QueueMaintenance::prune(&store, Duration::from_secs(60), false).await.expect("pruned");
    assert_eq!(text(&database, rows).await, "2", "measurements outlive a short retention");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_compared_with_the_deliveries_that_announced_them() {
    let (database, store) = store().await;
    let watched = [
        Watched { entity: PRODUCTS, delivered_as: PRODUCTS },
        Watched { entity: VENDORS, delivered_as: CUSTOMERS },
    ];
    assert!(store.coverage(&watched, 2).await.expect("rows").iter().all(|row| row.changes == 0));
    // Ten products and a vendor changed yesterday at noon. Nine deliveries came, one of them of an older version. The
    // list brought an earlier version of a product before any delivery did.
    let list = Lane::Incremental.priority();
    run(
        &database,
        &format!(
            "CREATE TEMP VIEW noon AS SELECT ((now() AT TIME ZONE 'UTC')::date - 1)::timestamp AT TIME ZONE 'UTC' + interval '12 hours' AS at;
             INSERT INTO tds_sync_records (entity_type, zoho_id, version, pushed, observed_began, observed_ended)
               SELECT 'products', n::text, at, true, at, at FROM noon, generate_series(1, 10) n
               UNION ALL SELECT 'vendors', '77', at, true, at, at FROM noon
               UNION ALL SELECT 'invoices', '88', at, true, at, at FROM noon
               UNION ALL SELECT 'products', 'old', at - interval '40 days', true, at, at FROM noon;
             INSERT INTO tds_inbox_events (event_id, source_type, entity_type, entity_id, event_type, raw_payload, received_at, status, records)
               SELECT 'e' || n, 'zoho', 'products', n::text, 'updated', ''::bytea, at + make_interval(secs => n), 'completed', NULL::text[] FROM noon, generate_series(1, 8) n
               UNION ALL SELECT 'early', 'zoho', 'products', '9', 'updated', '', at - interval '1 minute', 'completed', NULL FROM noon
               UNION ALL SELECT 'first', 'zoho', 'invoices', '1', 'updated', '', at - interval '1 hour', 'completed', NULL FROM noon
               UNION ALL SELECT 'several', 'zoho', 'customers', NULL, 'updated', '', at + interval '3 seconds', 'completed', ARRAY['76', '77'] FROM noon;
             INSERT INTO tds_queue_done (id, entity_type, zoho_entity_id, direction, priority, outcome, retry_count, queued_at, processing_completed_at, run_at, version)
               SELECT 1, 'products', '1', 'inbound', {list}, 'applied', 0, at, at, at, at - interval '10 minutes' FROM noon
               UNION ALL SELECT 2, 'products', '1', 'inbound', {list}, 'unchanged', 0, at, at, at, at - interval '9 minutes' FROM noon"
        ),
    )
    .await;
    let rows = store.coverage(&watched, 2).await.expect("rows");
    let found = |rows: &[tds_core::measures::Coverage], entity: &EntityType| {
        let of: Vec<_> =
            rows.iter().filter(|row| row.entity == *entity && row.changes > 0).cloned().collect();
        assert_eq!(of.len(), 1, "{rows:?}");
        (of[0].changes, of[0].delivered, of[0].late_p50, of[0].late_p99)
    };
    assert_eq!(rows.len(), 6, "each entity type on each day");
    assert_eq!(found(&rows, &PRODUCTS), (11, 8, Some(4.0), Some(8.0)));
    assert_eq!(found(&rows, &VENDORS), (1, 1, Some(3.0), Some(3.0)));

    assert_eq!(store.store_day(&watched, 2).await.expect("stored"), 2);
    run(&database, "UPDATE tds_sync_records SET version = now() - interval '1 hour'").await;
    let rows = store.coverage(&watched, 2).await.expect("rows");
    let noon: Vec<u64> = rows.iter().filter(|row| row.entity == PRODUCTS).map(|row| row.changes).collect();
    assert_eq!(noon[1], 11, "a stored day stays as it was: {rows:?}");
    assert_eq!(store.store_day(&watched, 2).await.expect("stored"), 0);
    // The sizes of today are the earlier figures of tomorrow.
    run(&database, "UPDATE tds_table_sizes SET day = day - 3").await;
    let days = store.days(7).await.expect("figures");
    assert!(days.tables[0].bytes_before.is_some() && days.tables[0].before.is_some(), "{:?}", days.tables[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_day_is_taken_once_and_looks_are_kept() {
    let (database, store) = store().await;
    assert!(!store.claim_day().await.expect("claim"), "the first call begins the count");
    run(&database, "UPDATE tds_daily SET day = day - 1").await;
    assert!(store.claim_day().await.expect("claim"));
    assert!(!store.claim_day().await.expect("claim"));
    let check = HistoryCheck {
        at: SystemClock.now().replace_nanosecond(0).expect("a time"),
        is_answered: true,
        detail: "2 failed deliveries".to_owned(),
        calls: 1,
        failed: 2,
        read_again: 2,
    };
    for _ in 0..2 {
        store.store_history_check(&check).await.expect("stored");
    }
    let since = check.at.date() - time::Duration::days(1);
    assert_eq!(store.history_checks(since).await.expect("checks"), [check]);
}
