//! Tests with rows of the mirror that the ERP has locked: their records wait without spending an attempt, and no
//! other record waits.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tds_core::{
    error::{ErrorKind, Retry},
    mirror::{Applied, Mirror as _},
    queue::Outcome,
    record::Read,
};
use tokio::time::timeout;

use crate::support::{Case, detail, invoices};

const APPLIED: Applied = Applied::Done(Outcome::Applied);
/// A limit that is far below the former wait of a batch for a lock, and long enough for a busy machine.
const SOON: Duration = Duration::from_secs(8);

fn invoice(id: usize, n: i64) -> Read {
    detail(&invoices(), &id.to_string(), n, json!({"number": format!("{id}-{n}")}))
        .rows("invoice_lines", [json!({"line_zoho_id": format!("{id}-{n}"), "position": n})])
        .into()
}

async fn other(case: &Case, statement: &'static str) -> PgConnection {
    let url = format!("{}&application_name=erp-test", case.test.url());
    let mut other = PgConnection::connect(&url).await.expect("connects");
    sqlx::raw_sql("BEGIN").execute(&mut other).await.expect("begins");
    sqlx::raw_sql(statement).execute(&mut other).await.expect("locked");
    other
}

/// Writes two hundred invoices, of which the first one is locked. Returns the error of the first one.
async fn all_but_the_first(case: &Case, n: i64) -> tds_core::error::Error {
    let reads = (0..200).map(|id| invoice(id, n)).collect();
    let results = timeout(SOON, case.mirror.apply(&invoices(), reads)).await.expect("in time");
    let mut results = results.into_iter();
    let first = results.next().expect("a result").expect_err("locked");
    for result in results {
        assert_eq!(result.expect("stored"), APPLIED);
    }
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_erp_has_locked_waits_alone_and_says_who_holds_it() {
    let case = Case::new().await;
    for id in 0..200 {
        case.apply(&invoices(), invoice(id, 1)).await.expect("stored");
    }
    let mut holder = other(&case, "SELECT FROM erp.invoices WHERE zoho_id = '0' FOR UPDATE").await;
    for n in 2..4 {
        let error = all_but_the_first(&case, n).await;
        assert_eq!(error.kind(), ErrorKind::Locked);
        let Retry::Throttled { retry_after } = error.retry() else {
            panic!("an attempt was spent: {error:?}")
        };
        assert!(retry_after <= Duration::from_secs(15), "{retry_after:?}");
        assert!(error.chain().contains("pid ") && error.chain().contains("erp-test"), "{}", error.chain());
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.expect("rolled back");
    assert_eq!(case.apply(&invoices(), invoice(0, 5)).await.expect("stored"), APPLIED);
    assert_eq!(all_applied(&case, 6).await, 200);
}

async fn all_applied(case: &Case, n: i64) -> usize {
    let reads = (0..200).map(|id| invoice(id, n)).collect();
    let results = case.mirror.apply(&invoices(), reads).await;
    results.into_iter().filter(|result| matches!(result, Ok(applied) if *applied == APPLIED)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sync_state_and_the_lines_of_a_record_can_be_locked_as_well() {
    for statement in [
        "SELECT FROM tds_sync_records WHERE zoho_id = '0' FOR UPDATE",
        "SELECT FROM erp.invoice_lines WHERE document_zoho_id = '0' FOR UPDATE",
    ] {
        let case = Case::new().await;
        assert_eq!(all_applied(&case, 1).await, 200);
        let _holder = other(&case, statement).await;
        for n in 2..4 {
            assert_eq!(all_but_the_first(&case, n).await.kind(), ErrorKind::Locked, "{statement}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_delays_all_records_and_spends_no_attempt() {
    let case = Case::new().await;
    let _holder = other(&case, "LOCK TABLE erp.invoices").await;
    let reads = (0..200).map(|id| invoice(id, 1)).collect();
    let results = timeout(SOON, case.mirror.apply(&invoices(), reads)).await.expect("in time");
    for result in results {
        let error = result.expect_err("locked");
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(matches!(error.retry(), Retry::Throttled { .. }), "{error:?}");
    }
}

/// Returns the mirror's results for two hundred invoices after the statement was executed.
async fn while_so(case: &Case, statement: &'static str, n: i64) -> Vec<tds_core::error::Result<Applied>> {
    sqlx::raw_sql(statement).execute(case.test.database().pool()).await.expect("executed");
    let reads = (0..200).map(|id| invoice(id, n)).collect();
    timeout(SOON, case.mirror.apply(&invoices(), reads)).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_a_trigger_of_the_erp_refuses_fails_alone() {
    let case = Case::new().await;
    let trigger = "
        CREATE FUNCTION erp.no() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'the month is closed'; END $$;
        CREATE TRIGGER no BEFORE INSERT OR UPDATE ON erp.invoices
          FOR EACH ROW WHEN (NEW.zoho_id = '77') EXECUTE FUNCTION erp.no()";
    for (id, result) in while_so(&case, trigger, 1).await.into_iter().enumerate() {
        if id == 77 {
            let error = result.expect_err("refused");
            assert!(error.chain().contains("the month is closed"), "{}", error.chain());
            assert!(matches!(error.retry(), Retry::Transient { .. }), "it is counted: {error:?}");
        } else {
            assert_eq!(result.expect("stored"), APPLIED, "{id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_missing_for_a_moment_spends_no_attempt() {
    let case = Case::new().await;
    assert_eq!(all_applied(&case, 1).await, 200);
    let away = "ALTER TABLE erp.invoices RENAME zoho_id TO another";
    for result in while_so(&case, away, 2).await {
        let error = result.expect_err("it is missing");
        assert!(matches!(error.retry(), Retry::Throttled { .. }), "{error:?}");
    }
    let back = "ALTER TABLE erp.invoices RENAME another TO zoho_id";
    let ends = while_so(&case, back, 3).await;
    assert!(ends.into_iter().all(|end| end.expect("stored") == APPLIED));
}

/// An erasure and a change of the mode hold this lock. A transaction that waits for it in vain has begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_whose_first_lock_is_refused_leaves_no_connection_in_a_failed_transaction() {
    let case = Case::new().await;
    let holds = "SELECT pg_advisory_xact_lock(hashtext(tds_own('tds_modes')), hashtext('invoices'))";
    let mut holder = other(&case, holds).await;
    for id in 0..4 {
        let error = case.apply(&invoices(), invoice(id, 1)).await.expect_err("locked");
        assert_eq!(error.kind(), ErrorKind::Locked, "{}", error.chain());
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.expect("rolled back");
    for id in 0..20 {
        assert_eq!(case.apply(&invoices(), invoice(id, 1)).await.expect("stored"), APPLIED, "{id}");
    }
}
