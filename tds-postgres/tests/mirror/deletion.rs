//! Tests that deletions are tombstones, and that a tombstone can be lifted.

use serde_json::json;
use tds_core::{
    guard::RereadReason,
    mirror::Applied,
    queue::Outcome,
    record::{Observed, Shape},
};

use crate::support::{Case, absent, at, call, detail, invoices, stock};

const APPLIED: Applied = Applied::Done(Outcome::Applied);
const UNCHANGED: Applied = Applied::Done(Outcome::Unchanged);
const DELETED: Applied = Applied::Done(Outcome::Deleted);

const HEAD: &str = "SELECT concat_ws('|', number, deleted_at IS NOT NULL) FROM erp.invoices";

#[tokio::test]
async fn a_deleted_record_keeps_its_row_and_its_lines() {
    let case = Case::new().await;
    let invoices = invoices();
    let read =
        detail(&invoices, "1", 1, json!({"number": "A-1"})).rows("invoice_lines", [json!({"position": 1})]);
    case.apply(&invoices, read.clone()).await.expect("stored");
    assert_eq!(case.apply(&invoices, absent(&invoices, "1", 5)).await.expect("fine"), DELETED);
    assert_eq!(case.text(HEAD).await, "A-1|t");
    assert_eq!(case.text("SELECT count(*)::text FROM erp.invoice_lines").await, "1");
    assert_eq!(case.apply(&invoices, absent(&invoices, "1", 6)).await.expect("fine"), UNCHANGED);
    // This body was already under way when the record was deleted.
    let late = read.clone().shape(Shape::Webhook).seen(Observed::Push(at(9)));
    assert_eq!(case.apply(&invoices, late).await.expect("fine"), Applied::Reread(RereadReason::Resurrection));
    assert_eq!(
        case.apply(&invoices, read.clone().seen(call(2))).await.expect("fine"),
        Applied::Done(Outcome::Stale)
    );
    assert_eq!(case.text(HEAD).await, "A-1|t");
}

#[tokio::test]
async fn a_record_seen_after_its_deletion_comes_back() {
    let case = Case::new().await;
    let invoices = invoices();
    let read = detail(&invoices, "1", 1, json!({"number": "A-1"}));
    case.apply(&invoices, read.clone()).await.expect("stored");
    case.apply(&invoices, absent(&invoices, "1", 5)).await.expect("deleted");
    assert_eq!(case.apply(&invoices, read.seen(call(9))).await.expect("fine"), APPLIED);
    assert_eq!(case.text(HEAD).await, "A-1|f");
    assert_eq!(case.text("SELECT (deleted_at IS NULL)::text FROM tds_sync_records").await, "true");
}

#[tokio::test]
async fn a_record_that_was_never_known_can_be_gone() {
    let case = Case::new().await;
    let invoices = invoices();
    assert_eq!(case.apply(&invoices, absent(&invoices, "1", 5)).await.expect("fine"), DELETED);
    assert_eq!(case.text(HEAD).await, "∅");
    let late = detail(&invoices, "1", 1, json!({})).shape(Shape::Webhook).seen(Observed::Push(at(6)));
    assert_eq!(case.apply(&invoices, late).await.expect("fine"), Applied::Reread(RereadReason::Resurrection));
}

#[tokio::test]
async fn the_stock_of_a_deleted_item_is_gone() {
    let case = Case::new().await;
    let levels = [json!({"location_zoho_id": "", "stock_on_hand": 1})];
    for item in ["1", "2"] {
        let read = detail(&stock(), item, 1, json!({})).rows("stock_levels", levels.clone());
        assert_eq!(case.apply(&stock(), read).await.expect("stored"), APPLIED);
    }
    assert_eq!(case.apply(&stock(), absent(&stock(), "1", 5)).await.expect("fine"), DELETED);
    assert_eq!(case.text("SELECT string_agg(product_zoho_id, ',') FROM erp.stock_levels").await, "2");
}
