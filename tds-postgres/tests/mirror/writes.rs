//! Tests of which reads change the tables and which do not.

use serde_json::json;
use tds_core::{
    guard::RereadReason,
    mirror::{Applied, Mirror as _},
    queue::Outcome,
    record::{Observed, Shape},
};

use crate::support::{Case, at, call, detail, invoices, prices};

const APPLIED: Applied = Applied::Done(Outcome::Applied);
const UNCHANGED: Applied = Applied::Done(Outcome::Unchanged);
const STALE: Applied = Applied::Done(Outcome::Stale);

#[tokio::test]
async fn a_read_that_shows_nothing_new_writes_nothing() {
    let case = Case::new().await;
    let invoices = invoices();
    let read =
        detail(&invoices, "1", 1, json!({"number": "A-1"})).rows("invoice_lines", [json!({"position": 1})]);
    case.apply(&invoices, read.clone()).await.expect("stored");
    let rows =
        "SELECT h.xmin::text || ' ' || l.xmin::text || ' ' || l.id FROM erp.invoices h, erp.invoice_lines l";
    let before = case.text(rows).await;
    assert_eq!(case.apply(&invoices, read.clone().seen(call(5))).await.expect("fine"), UNCHANGED);
    // The read has a new version with the same columns. The guard accepts it, but the tables already have the values.
    let same = detail(&invoices, "1", 9, json!({"number": "A-1"}))
        .rows("invoice_lines", [json!({"position": 1})])
        .raw(r#"{"id":"1","seen":1,"fields":{"number":"A-1"}}"#);
    assert_eq!(case.apply(&invoices, same).await.expect("fine"), UNCHANGED);
    assert_eq!(case.text(rows).await, before);
    let id = tds_core::record::RecordId::new("1");
    let states = case.mirror.states(&invoices.entity, std::slice::from_ref(&id)).await.expect("states");
    assert_eq!((states[&id].version, states[&id].observed), (Some(at(9)), call(9)));
}

#[tokio::test]
async fn a_stale_read_changes_nothing() {
    let case = Case::new().await;
    let invoices = invoices();
    case.apply(&invoices, detail(&invoices, "1", 5, json!({"number": "new"}))).await.expect("stored");
    let old = detail(&invoices, "1", 2, json!({"number": "old"}));
    assert_eq!(case.apply(&invoices, old.clone()).await.expect("fine"), STALE);
    assert_eq!(
        case.apply(&invoices, old.shape(Shape::Webhook).seen(Observed::Push(at(9)))).await.expect("fine"),
        STALE
    );
    assert_eq!(case.text("SELECT number FROM erp.invoices").await, "new");
}

#[tokio::test]
async fn a_tie_asks_for_another_read() {
    let case = Case::new().await;
    let invoices = invoices();
    case.apply(&invoices, detail(&invoices, "1", 5, json!({"number": "one"}))).await.expect("stored");
    let other = detail(&invoices, "1", 5, json!({"number": "other"}));
    let tie = Applied::Reread(RereadReason::Tie);
    assert_eq!(case.apply(&invoices, other.clone()).await.expect("fine"), tie);
    assert_eq!(
        case.apply(&invoices, other.clone().shape(Shape::Webhook).seen(Observed::Push(at(9))))
            .await
            .expect("fine"),
        tie
    );
    assert_eq!(case.text("SELECT number FROM erp.invoices").await, "one");
    assert_eq!(case.apply(&invoices, other.seen(call(8))).await.expect("fine"), APPLIED);
    assert_eq!(case.text("SELECT number FROM erp.invoices").await, "other");
}

#[tokio::test]
async fn a_source_that_went_back_is_accepted_at_the_second_read() {
    let case = Case::new().await;
    let invoices = invoices();
    case.apply(&invoices, detail(&invoices, "1", 5, json!({"number": "later"}))).await.expect("stored");
    let restored = detail(&invoices, "1", 3, json!({"number": "restored"}));
    let again = case.apply(&invoices, restored.clone().seen(call(8))).await.expect("fine");
    assert_eq!(again, Applied::Reread(RereadReason::SourceWentBack));
    assert_eq!(case.apply(&invoices, restored.seen(call(9))).await.expect("fine"), APPLIED);
    assert_eq!(case.text("SELECT number FROM erp.invoices").await, "restored");
}

#[tokio::test]
async fn volatile_columns_change_without_a_new_version_and_alone() {
    let case = Case::new().await;
    let invoices = invoices();
    let first = detail(&invoices, "1", 1, json!({"number": "A-1"})).volatile(json!({"balance": 10.00}));
    case.apply(&invoices, first.clone()).await.expect("stored");
    case.execute("UPDATE erp.invoices SET number = 'local'").await;
    let paid = first.clone().volatile(json!({"balance": 0})).shape(Shape::List).seen(call(5));
    assert_eq!(case.apply(&invoices, paid.clone()).await.expect("fine"), APPLIED);
    assert_eq!(case.text("SELECT concat_ws('|', number, balance) FROM erp.invoices").await, "local|0");
    assert_eq!(case.apply(&invoices, paid.seen(call(6))).await.expect("fine"), UNCHANGED);
    assert_eq!(
        case.apply(&invoices, first.seen(call(4))).await.expect("fine"),
        UNCHANGED,
        "seen before the payment"
    );
    assert_eq!(case.text("SELECT balance::text FROM erp.invoices").await, "0");
}

#[tokio::test]
async fn volatile_columns_make_no_row_that_is_not_there_and_leave_the_whole_record_as_it_was_read() {
    let case = Case::new().await;
    let invoices = invoices();
    let first = detail(&invoices, "1", 1, json!({"number": "A-1"}))
        .volatile(json!({"balance": 10}))
        .raw(r#"{"address": {"zip": 1}, "balance": 10}"#);
    case.apply(&invoices, first.clone()).await.expect("stored");
    let row = |balance: i64, n| {
        let row = first.clone().shape(Shape::List).volatile(json!({"balance": balance}));
        row.raw(r#"{"address": {"zipcode": 1}, "balance": 0}"#).seen(call(n))
    };
    assert_eq!(case.apply(&invoices, row(0, 5)).await.expect("fine"), APPLIED);
    assert_eq!(
        case.text("SELECT raw::text || balance FROM erp.invoices").await,
        r#"{"address": {"zip": 1}, "balance": 10}0"#
    );
    case.execute("DELETE FROM erp.invoices").await;
    assert_eq!(case.apply(&invoices, row(1, 6)).await.expect("fine"), UNCHANGED);
    assert_eq!(case.text("SELECT count(*)::text FROM erp.invoices").await, "0");
    assert_eq!(case.apply(&invoices, first.seen(call(7))).await.expect("fine"), APPLIED);
    assert_eq!(case.text("SELECT number FROM erp.invoices").await, "A-1");
}

#[tokio::test]
async fn a_set_that_becomes_empty_is_believed_only_when_seen_twice() {
    let case = Case::new().await;
    let prices = prices();
    let items = |count: i64| (0..count).map(|n| json!({"product_zoho_id": n.to_string(), "rate": n}));
    let read = |n: i64, count: i64| {
        detail(&prices, "7", n, json!({"name": "List"})).rows("price_list_items", items(count))
    };
    let count = "SELECT count(*)::text FROM erp.price_list_items";
    let shrunk = Applied::Reread(RereadReason::Shrunk);
    case.apply(&prices, read(1, 30)).await.expect("stored");
    assert_eq!(case.apply(&prices, read(2, 15)).await.expect("half is left"), APPLIED);
    assert_eq!(case.apply(&prices, read(3, 0)).await.expect("fine"), shrunk);
    assert_eq!(case.text(count).await, "15");
    // The next read is whole again: the empty set was an error of the source, and the suspicion is removed.
    case.apply(&prices, read(3, 15)).await.expect("fine");
    assert_eq!(case.apply(&prices, read(4, 0)).await.expect("fine"), shrunk);
    assert_eq!(case.apply(&prices, read(4, 0).seen(call(6))).await.expect("confirmed"), APPLIED);
    assert_eq!(case.text(count).await, "0");
    case.apply(&prices, read(10, 20)).await.expect("stored");
    assert_eq!(case.apply(&prices, read(11, 9)).await.expect("fine"), shrunk);
}
