//! Tests of batches: each record succeeds or fails by itself, and one record is written completely or not at all.

use std::{ops::Range, time::Duration};

use serde_json::{Value, json};
use tds_core::{
    error::{ErrorKind, Retry},
    mirror::{Applied, Mirror as _},
    queue::Outcome,
    record::Read,
};
use tds_postgres::PgMirror;
use tokio::time::{Instant, sleep};

use crate::support::{Case, detail, invoices};

const APPLIED: Applied = Applied::Done(Outcome::Applied);

fn number(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Returns a text that does not compress.
fn noise(length: usize) -> String {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_digit(state >> 27, 36)
    };
    std::iter::from_fn(next).take(length).collect()
}

#[tokio::test]
async fn a_poisoned_record_fails_alone_in_a_batch_of_a_hundred() {
    let invoices = invoices();
    let good = |id: usize| detail(&invoices, &id.to_string(), 1, json!({"number": id.to_string()}));
    let poisons = [
        (json!({"notes": "a\u{0}b"}), "U+0000"),
        (json!({"total": number("1e200000")}), "out of range"),
        (json!({"date": "2026-02-30"}), "2026-02-30"),
        (json!({"total": "twelve"}), "twelve"),
        (json!({"customer_zoho_id": noise(9_000)}), "index row"),
    ];
    let case = Case::new().await;
    for (round, (poison, words)) in poisons.into_iter().enumerate() {
        let first = round * 100;
        let mut reads: Vec<Read> = (first..first + 100).map(|id| good(id).0).collect();
        reads[37] = detail(&invoices, &(first + 37).to_string(), 1, poison).0;
        let results = case.mirror.apply(&invoices, reads).await;
        for (index, result) in results.iter().enumerate() {
            match result {
                Ok(applied) => assert!(index != 37 && *applied == APPLIED, "{index}: {applied:?}"),
                Err(error) => {
                    assert_eq!(
                        (index, error.kind(), error.retry()),
                        (37, ErrorKind::Invalid, Retry::Permanent)
                    );
                    assert!(error.to_string().contains(words), "{error:?}");
                    assert!(error.to_string().contains(&format!("invoices {}", first + 37)), "{error:?}");
                }
            }
        }
    }
    assert_eq!(case.text("SELECT count(*)::text FROM erp.invoices").await, "495");
    assert_eq!(case.text("SELECT count(*)::text FROM tds_sync_records").await, "495");
}

#[tokio::test]
async fn half_a_surrogate_pair_is_reported_with_an_explanation() {
    let case = Case::new().await;
    let read = detail(&invoices(), "1", 1, json!({})).raw(r#"{"name":"\ud83d"}"#);
    let error = case.apply(&invoices(), read).await.expect_err("not a character");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("surrogate"), "{error:?}");
}

#[tokio::test]
async fn a_child_that_cannot_be_stored_leaves_its_record_as_it_was() {
    let case = Case::new().await;
    let invoices = invoices();
    let rows = |quantity: Value| [json!({"position": 1}), json!({"position": 2, "quantity": quantity})];
    let read = |n, number: &str, quantity| {
        detail(&invoices, "1", n, json!({"number": number})).rows("invoice_lines", rows(quantity))
    };
    case.apply(&invoices, read(1, "A-1", json!(1))).await.expect("stored");
    case.apply(&invoices, read(2, "A-2", json!("many"))).await.expect_err("no number");
    let state = "SELECT concat_ws('|', number, sum(quantity), count(*), s.version)
                 FROM erp.invoices h JOIN erp.invoice_lines l ON l.document_zoho_id = h.zoho_id
                 JOIN tds_sync_records s ON s.zoho_id = h.zoho_id GROUP BY number, s.version";
    assert!(case.text(state).await.starts_with("A-1|1|2|2024-10-04 00:00:01"), "{}", case.text(state).await);
    case.apply(&invoices, read(3, "A-3", json!(5))).await.expect("stored");
    assert!(case.text(state).await.starts_with("A-3|5|2|"));
}

#[tokio::test]
async fn a_new_set_takes_the_place_of_the_old_one_in_one_step() {
    let case = Case::new().await;
    let invoices = invoices();
    let read = |n: i64, lines: &[i64]| {
        detail(&invoices, "1", n, json!({}))
            .rows("invoice_lines", lines.iter().map(|line| json!({"position": line})))
    };
    let lines = "SELECT string_agg(position::text, ',' ORDER BY id) FROM erp.invoice_lines";
    case.apply(&invoices, read(1, &[1, 2, 2])).await.expect("stored");
    assert_eq!(case.text(lines).await, "1,2,2");
    case.apply(&invoices, read(2, &[1, 2])).await.expect("stored");
    assert_eq!(case.text(lines).await, "1,2", "one of two equal rows is a difference");
    // A read that does not show the table leaves the table as it is. An empty set empties the table.
    case.apply(&invoices, detail(&invoices, "1", 3, json!({"number": "A"}))).await.expect("stored");
    assert_eq!(case.text(lines).await, "1,2");
    case.apply(&invoices, read(4, &[])).await.expect("stored");
    assert_eq!(case.text(lines).await, "∅");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_mirrors_with_the_same_records_in_opposite_order_agree() {
    let case = Case::new().await;
    let other = PgMirror::new(case.test.database().clone());
    let invoices = invoices();
    for round in 1..=10 {
        let read = |id: i64, n: i64| {
            detail(&invoices, &id.to_string(), n, json!({"number": n.to_string()}))
                .rows("invoice_lines", [json!({"position": n})])
                .0
        };
        let forth: Vec<Read> = (0..50).map(|id| read(id, round * 2)).collect();
        let back: Vec<Read> = (0..50).rev().map(|id| read(id, round * 2 + 1)).collect();
        let (one, two) = tokio::join!(case.mirror.apply(&invoices, forth), other.apply(&invoices, back));
        assert!(one.iter().all(Result::is_ok), "{one:?}");
        assert!(two.iter().all(|result| matches!(result, Ok(APPLIED))), "{two:?}");
    }
    assert_eq!(case.text("SELECT string_agg(DISTINCT number, ',') FROM erp.invoices").await, "21");
    assert_eq!(
        case.text("SELECT concat_ws('|', count(*), min(position), max(position)) FROM erp.invoice_lines")
            .await,
        "50|21|21"
    );
}

#[tokio::test]
async fn a_record_that_is_twice_in_a_batch_is_written_in_order() {
    let case = Case::new().await;
    let invoices = invoices();
    let reads = [1, 2].map(|n| detail(&invoices, "1", n, json!({"number": n.to_string()})).0);
    let results = case.mirror.apply(&invoices, reads.to_vec()).await;
    assert!(results.iter().all(|result| matches!(result, Ok(APPLIED))), "{results:?}");
    assert_eq!(case.text("SELECT number FROM erp.invoices").await, "2");
}

#[tokio::test]
async fn a_local_change_of_another_column_survives() {
    let case = Case::new().await;
    let invoices = invoices();
    case.apply(&invoices, detail(&invoices, "1", 1, json!({"number": "A-1", "notes": "n"})))
        .await
        .expect("stored");
    case.execute("UPDATE erp.invoices SET salesperson_name = 'Sara'").await;
    case.apply(&invoices, detail(&invoices, "1", 2, json!({"number": "A-2"}))).await.expect("stored");
    assert_eq!(
        case.text("SELECT concat_ws('|', number, notes, salesperson_name) FROM erp.invoices").await,
        "A-2|n|Sara"
    );
}

#[tokio::test]
async fn a_batch_reads_no_states_but_its_own_though_the_table_has_no_statistics() {
    let invoices = invoices();
    let reads =
        |ids: Range<usize>| ids.map(|id| detail(&invoices, &id.to_string(), 1, json!({})).0).collect();
    let case = Case::new().await;
    // Most of the first backfill runs before PostgreSQL has analyzed the table.
    for first in (0..3_000).step_by(500) {
        case.mirror.apply(&invoices, reads(first..first + 500)).await;
    }
    let read = "SELECT (t.seq_tup_read + i.idx_tup_read)::text FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i
        USING (relid) WHERE i.indexrelname = 'tds_sync_records_pkey'";
    let written = "SELECT n_tup_ins::text FROM pg_stat_user_tables WHERE relname = 'tds_sync_records'";
    let deadline = Instant::now() + Duration::from_secs(30);
    while case.text(written).await != "3000" {
        assert!(Instant::now() < deadline, "the statistics did not arrive");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(case.text(read).await, "0", "states that were not there were read");
}
