//! Tests of the decisions that are kept with each write.

use std::time::Duration;

use serde_json::json;
use tds_core::{
    history::{HistoryWindow, RecordHistory as _},
    inbox::InboxId,
    mirror::Mirror as _,
    queue::{ItemId, QueueMaintenance as _},
    record::{Cause, Observed, Origin, Read, RecordId, Shape},
};
use tds_postgres::{PgStore, StoreSettings};

use crate::support::{Case, absent, at, call, detail, invoices, stock};

const DECISIONS: &str = "SELECT string_agg(concat_ws(' ', zoho_id, kind, verdict, outcome, operation,
     (SELECT string_agg(c, ',' ORDER BY c) FROM unnest(changed) AS c), item_id, inbox_event_id), '; ' ORDER BY at, zoho_id)
   FROM tds_decisions";

/// Applies reads of invoices, each of which is judged.
async fn judged(case: &Case, reads: Vec<Read>) {
    let results = case.mirror.apply(&invoices(), reads).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[tokio::test]
async fn one_batch_keeps_one_decision_for_each_read() {
    let case = Case::new().await;
    let invoices = invoices();
    let line = |n: i64| json!({"line_zoho_id": n.to_string(), "position": n});
    let read = |id: &str, n, number: &str, total| {
        detail(&invoices, id, n, json!({"number": number, "total": total, "date": "2026-11-01"}))
            .volatile(json!({"balance": 10.00}))
            .rows("invoice_lines", [line(1)])
    };
    let first: Vec<Read> =
        ["1", "2", "3", "4", "5"].map(|id| read(id, 5, "A", json!(10)).into()).into_iter().collect();
    judged(&case, first).await;
    case.execute("DELETE FROM tds_decisions").await;
    let cause = Cause { item: ItemId(71), event: Some(InboxId(72)), origin: Origin::Webhook, by_run: false };
    let reads: Vec<Read> = vec![
        // Only the spelling of the total differs, which is equal as a number.
        read("1", 6, "B", json!(10.00)).into(),
        Read {
            cause: Some(cause),
            ..read("2", 3, "old", json!(1)).shape(Shape::Webhook).seen(Observed::Push(at(9))).0
        },
        read("3", 5, "other", json!(10)).shape(Shape::Webhook).seen(Observed::Push(at(9))).into(),
        read("4", 6, "A", json!(11)).rows("invoice_lines", [line(1), line(2)]).into(),
        absent(&invoices, "5", 8),
        read("6", 6, "new", json!(10)).into(),
    ];
    judged(&case, reads).await;
    assert_eq!(
        case.text(DECISIONS).await,
        "1 detail apply applied update number; 2 webhook stale stale 71 72; 3 webhook reread; \
         4 detail apply applied update invoice_lines,total; 5 detail apply deleted delete; \
         6 detail apply applied insert"
    );
    assert_eq!(
        case.text("SELECT count(DISTINCT at)::text FROM tds_decisions").await,
        "1",
        "one statement writes the decisions of a batch"
    );
    let seen =
        "SELECT concat_ws(' ', version = '2024-10-04T00:00:03Z', observed_began = '2024-10-04T00:00:09Z',
                  observed_ended = observed_began) FROM tds_decisions WHERE zoho_id = '2'";
    assert_eq!(case.text(seen).await, "t t t");
    case.execute("DELETE FROM tds_decisions").await;
    // No state changes, and the decision is kept nevertheless.
    let stale = read("1", 2, "older", json!(1)).shape(Shape::Webhook).seen(Observed::Push(at(9)));
    case.apply(&invoices, stale).await.expect("stale");
    assert_eq!(case.text(DECISIONS).await, "1 webhook stale stale");
}

#[tokio::test]
async fn what_differs_is_named_for_rows_without_a_head_for_raw_alone_and_for_triggers_of_others() {
    let case = Case::new().await;
    let (stock, invoices) = (stock(), invoices());
    let levels = |n, hand: i64| {
        detail(&stock, "p", n, json!({}))
            .rows("stock_levels", [json!({"location_zoho_id": "", "stock_on_hand": hand})])
    };
    for read in [levels(1, 5), levels(2, 5), levels(3, 6)] {
        case.apply(&stock, read).await.expect("stored");
    }
    case.apply(&stock, absent(&stock, "p", 9)).await.expect("deleted");
    assert_eq!(
        case.text(DECISIONS).await,
        "p detail apply applied insert; p detail apply unchanged; p detail apply applied update stock_levels; \
         p detail apply deleted delete"
    );
    case.execute("DELETE FROM tds_decisions").await;
    let read = |n, raw: &str| detail(&invoices, "1", n, json!({"number": "A"})).raw(raw);
    for (n, raw) in [(1, r#"{"unknown": 1}"#), (2, r#"{"unknown": 2}"#)] {
        case.apply(&invoices, read(n, raw)).await.expect("stored");
    }
    case.execute(
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN NEW.notes := upper(NEW.number); RETURN NEW; END $$",
    )
    .await;
    case.execute("CREATE TRIGGER shout BEFORE UPDATE ON erp.invoices FOR EACH ROW EXECUTE FUNCTION shout()")
        .await;
    case.apply(&invoices, detail(&invoices, "1", 3, json!({"number": "b"}))).await.expect("stored");
    assert_eq!(
        case.text(DECISIONS).await,
        "1 detail apply applied insert; 1 detail apply applied update raw; \
         1 detail apply applied update notes,number"
    );
    // Only volatile columns are written, and a lost row is made anew.
    case.execute("DELETE FROM tds_decisions").await;
    case.execute("DROP TRIGGER shout ON erp.invoices").await;
    let paid =
        detail(&invoices, "1", 3, json!({})).volatile(json!({"balance": 1})).shape(Shape::List).seen(call(8));
    case.apply(&invoices, paid).await.expect("stored");
    case.execute("DELETE FROM erp.invoices").await;
    case.apply(&invoices, detail(&invoices, "1", 4, json!({"number": "b"})).seen(call(9)))
        .await
        .expect("stored");
    assert_eq!(
        case.text(DECISIONS).await,
        "1 list apply applied update balance; 1 detail apply applied insert"
    );
}

#[tokio::test]
async fn a_record_that_cannot_be_written_has_no_decision_and_old_decisions_are_pruned() {
    let case = Case::new().await;
    let invoices = invoices();
    let wrong = detail(&invoices, "2", 1, json!({"total": "much"}));
    let reads = vec![detail(&invoices, "1", 1, json!({"number": "A"})).into(), wrong.into()];
    let results = case.mirror.apply(&invoices, reads).await;
    assert!(results[0].is_ok() && results[1].is_err());
    assert_eq!(case.text(DECISIONS).await, "1 detail apply applied insert");
    case.execute("UPDATE tds_decisions SET at = at - interval '40 days'").await;
    case.apply(&invoices, detail(&invoices, "1", 2, json!({"number": "B"}))).await.expect("stored");
    let store = PgStore::new(case.test.database().clone(), StoreSettings::default());
    store.prune(Duration::from_secs(30 * 86_400), false).await.expect("pruned");
    assert_eq!(case.text(DECISIONS).await, "1 detail apply applied update number");
    // A run is found by the time at which it was active.
    let cause = Cause { item: ItemId(9), event: None, origin: Origin::List, by_run: true };
    case.execute(
        "INSERT INTO tds_sync_runs (id, run_type, entity_type, source_type, status, started_at, completed_at) VALUES
           (1, 'full', 'invoices', 'zoho', 'completed', now() - interval '2 days', now() - interval '1 day'),
           (2, 'incremental', 'invoices', 'zoho', 'running', now(), NULL),
           (3, 'verify', 'invoices', 'zoho', 'running', now(), NULL)",
    )
    .await;
    let listed = Read { cause: Some(cause), ..detail(&invoices, "1", 3, json!({"number": "C"})).0 };
    case.apply(&invoices, listed).await.expect("stored");
    let addresses = std::slice::from_ref(&invoices.entity);
    let history = store
        .history(&invoices, &RecordId::new("1"), addresses, &HistoryWindow::newest(10))
        .await
        .expect("read");
    let history = history.expect("a known record");
    let runs: Vec<Option<i64>> = history.entries.iter().map(|it| it.run.map(|run| run.0)).collect();
    assert_eq!(runs, [None, Some(2)]);
    assert!(history.record.local_id.is_some() && history.record.first_seen_at.is_some());
}
