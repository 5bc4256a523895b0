//! Cases of [`crate::mirror::Mirror`].
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use serde_json::json;

use super::harness::*;
use crate::{
    error::{ErrorKind, Result},
    guard::RereadReason,
    mirror::{Applied, Child, Difference, FieldDifference, MirrorSchema, Presence},
    queue::Outcome,
    record::{Content, ContentHash, ListedRow, Observed, Read, RecordBuilder, RecordId, Shape},
};

pub(super) const PRODUCT_SCHEMA: MirrorSchema =
    MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
pub(super) const INVOICE_SCHEMA: MirrorSchema = MirrorSchema {
    entity: INVOICES,
    head: Some("invoices"),
    children: &[Child { table: "invoice_lines", owner: "document_zoho_id", confirm_shrink: false }],
};
const PRICES: crate::record::EntityType = crate::record::EntityType::from_static("prices");
const PRICE_SCHEMA: MirrorSchema = MirrorSchema {
    entity: PRICES,
    head: Some("price_lists"),
    children: &[Child { table: "price_list_items", owner: "price_list_zoho_id", confirm_shrink: true }],
};

const APPLIED: Applied = Applied::Done(Outcome::Applied);
const UNCHANGED: Applied = Applied::Done(Outcome::Unchanged);
const STALE: Applied = Applied::Done(Outcome::Stale);

pub(super) async fn apply(harness: &dyn Harness, schema: &MirrorSchema, read: Read) -> Result<Applied> {
    let mut results = harness.stores().mirror.apply(schema, vec![read]).await;
    assert_eq!(results.len(), 1, "one answer per read");
    results.remove(0)
}

pub(super) async fn applied(harness: &dyn Harness, schema: &MirrorSchema, read: Read) -> Applied {
    apply(harness, schema, read).await.expect("applied")
}

pub(super) fn named(name: &str, version: i64) -> RecordBuilder {
    RecordBuilder::new(&PRODUCTS, "1").version(at(version)).fields(json!({"name": name}))
}

fn absent(began: i64) -> Read {
    Read { content: Content::Absent, ..RecordBuilder::new(&PRODUCTS, "1").read(at(began), at(began + 1)) }
}

async fn name(harness: &dyn Harness) -> Option<String> {
    harness.column("products", "1", "name").await
}

pub async fn a_new_record_is_written_and_its_state_is_known(harness: &dyn Harness) {
    let read = named("lamp", 1).read(at(10), at(11));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, read).await, APPLIED);
    assert_eq!(name(harness).await.as_deref(), Some("lamp"));
    let states = Case(harness).states(&PRODUCTS, &["1", "2"]).await;
    assert_eq!(states.len(), 1, "unknown records are absent from the map");
    let state = &states[&RecordId::new("1")];
    assert_eq!((state.version, state.observed, state.deleted), (Some(at(1)), call(10), false));
    assert!(state.detail_hash.is_some() && state.detail_version == Some(at(1)));
    assert!(Case(harness).states(&CUSTOMERS, &["1"]).await.is_empty());
}

pub async fn a_newer_read_is_written_and_an_older_one_is_not(harness: &dyn Harness) {
    applied(harness, &PRODUCT_SCHEMA, named("second", 2).read(at(20), at(21))).await;
    let old = named("first", 1).read(at(10), at(11));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, old).await, STALE);
    let pushed = named("first", 1).seen(Shape::Webhook, Observed::Push(at(30)));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, pushed).await, STALE);
    assert_eq!(name(harness).await.as_deref(), Some("second"));
    let new = named("third", 3).read(at(30), at(31));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, new).await, APPLIED);
    assert_eq!(name(harness).await.as_deref(), Some("third"));
}

pub async fn the_same_content_again_is_unchanged_and_moves_the_time_of_the_observation(
    harness: &dyn Harness,
) {
    applied(harness, &PRODUCT_SCHEMA, named("lamp", 1).read(at(10), at(11))).await;
    let again = named("lamp", 1).read(at(20), at(21));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, again).await, UNCHANGED);
    let states = Case(harness).states(&PRODUCTS, &["1"]).await;
    assert_eq!(states[&RecordId::new("1")].observed, call(20));
}

pub async fn a_newer_version_that_shows_nothing_new_is_unchanged(harness: &dyn Harness) {
    let first = named("lamp", 1).read(at(10), at(11));
    let mut second = named("lamp", 2).read(at(20), at(21));
    if let (Content::Present(old), Content::Present(new)) = (&first.content, &mut second.content) {
        new.raw = old.raw.clone();
    }
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, first).await, APPLIED);
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, second).await, UNCHANGED);
    let states = Case(harness).states(&PRODUCTS, &["1"]).await;
    assert_eq!(states[&RecordId::new("1")].version, Some(at(2)), "the guard knows the new version");
}

pub async fn other_content_of_an_equal_version_is_decided_by_the_time_of_the_observation(
    harness: &dyn Harness,
) {
    applied(harness, &PRODUCT_SCHEMA, named("one", 1).read(at(20), at(30))).await;
    let before = named("two", 1).read(at(10), at(15));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, before).await, STALE);
    let meanwhile = named("two", 1).read(at(25), at(35));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, meanwhile).await, Applied::Reread(RereadReason::Tie));
    let pushed = named("two", 1).seen(Shape::Webhook, Observed::Push(at(40)));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, pushed).await, Applied::Reread(RereadReason::Tie));
    assert_eq!(name(harness).await.as_deref(), Some("one"));
    let after = named("two", 1).read(at(31), at(32));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, after).await, APPLIED);
    assert_eq!(name(harness).await.as_deref(), Some("two"));
}

pub async fn a_source_that_goes_back_is_believed_when_a_second_read_confirms_it(harness: &dyn Harness) {
    applied(harness, &PRODUCT_SCHEMA, named("newer", 5).read(at(10), at(11))).await;
    let back = || named("older", 3);
    let first = applied(harness, &PRODUCT_SCHEMA, back().read(at(20), at(21))).await;
    assert_eq!(first, Applied::Reread(RereadReason::SourceWentBack));
    assert_eq!(name(harness).await.as_deref(), Some("newer"));
    let same = applied(harness, &PRODUCT_SCHEMA, back().read(at(20), at(21))).await;
    assert_eq!(same, Applied::Reread(RereadReason::SourceWentBack), "one read confirms nothing by itself");
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, back().read(at(30), at(31))).await, APPLIED);
    assert_eq!(name(harness).await.as_deref(), Some("older"));
}

pub async fn columns_that_a_read_does_not_show_keep_their_values(harness: &dyn Harness) {
    let whole = named("lamp", 1).fields(json!({"description": "bright", "brand": "Sun"}));
    applied(harness, &PRODUCT_SCHEMA, whole.read(at(10), at(11))).await;
    let row = named("new lamp", 2).fields(json!({"brand": null})).seen(Shape::List, call(20));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, row).await, APPLIED);
    assert_eq!(name(harness).await.as_deref(), Some("new lamp"));
    assert_eq!(harness.column("products", "1", "description").await.as_deref(), Some("bright"));
    assert_eq!(harness.column("products", "1", "brand").await, None);
    let states = Case(harness).states(&PRODUCTS, &["1"]).await;
    let state = &states[&RecordId::new("1")];
    assert_eq!((state.version, state.detail_version), (Some(at(2)), Some(at(1))));
}

pub async fn money_keeps_its_digits(harness: &dyn Harness) {
    let rate: serde_json::Value = serde_json::from_str("1234567890.12345678901").expect("a number");
    applied(harness, &PRODUCT_SCHEMA, named("lamp", 1).fields(json!({"rate": rate})).read(at(10), at(11)))
        .await;
    assert_eq!(harness.column("products", "1", "rate").await.as_deref(), Some("1234567890.12345678901"));
}

pub async fn volatile_columns_change_without_a_new_version(harness: &dyn Harness) {
    let invoice = |balance: i64| {
        RecordBuilder::new(&INVOICES, "1")
            .version(at(1))
            .fields(json!({"number": "INV-1"}))
            .volatile(json!({"balance": balance}))
    };
    applied(harness, &INVOICE_SCHEMA, invoice(100).read(at(10), at(11))).await;
    assert_eq!(applied(harness, &INVOICE_SCHEMA, invoice(40).read(at(20), at(21))).await, APPLIED);
    assert_eq!(harness.column("invoices", "1", "balance").await.as_deref(), Some("40"));
    assert_eq!(applied(harness, &INVOICE_SCHEMA, invoice(100).read(at(15), at(16))).await, UNCHANGED);
    assert_eq!(harness.column("invoices", "1", "balance").await.as_deref(), Some("40"));
}

pub async fn a_deletion_is_a_tombstone_that_only_a_later_read_lifts(harness: &dyn Harness) {
    applied(harness, &PRODUCT_SCHEMA, named("lamp", 1).read(at(10), at(11))).await;
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, absent(20)).await, Applied::Done(Outcome::Deleted));
    assert_eq!(name(harness).await.as_deref(), Some("lamp"), "the row stays");
    assert!(harness.column("products", "1", "deleted_at").await.is_some());
    assert!(Case(harness).states(&PRODUCTS, &["1"]).await[&RecordId::new("1")].deleted);
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, absent(25)).await, UNCHANGED);
    let pushed = named("lamp", 2).seen(Shape::Webhook, Observed::Push(at(30)));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, pushed).await, Applied::Reread(RereadReason::Resurrection));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, named("lamp", 2).read(at(15), at(16))).await, STALE);
    assert!(harness.column("products", "1", "deleted_at").await.is_some());
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, named("lamp", 2).read(at(40), at(41))).await, APPLIED);
    assert_eq!(harness.column("products", "1", "deleted_at").await, None);
}

pub async fn a_deletion_seen_before_the_accepted_read_is_stale(harness: &dyn Harness) {
    applied(harness, &PRODUCT_SCHEMA, named("lamp", 1).read(at(20), at(21))).await;
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, absent(10)).await, STALE);
    assert_eq!(harness.column("products", "1", "deleted_at").await, None);
}

pub async fn children_are_replaced_as_a_set_and_stay_where_a_read_does_not_show_them(harness: &dyn Harness) {
    let invoice =
        |version| RecordBuilder::new(&INVOICES, "1").version(at(version)).fields(json!({"number": "INV"}));
    let line = |id: &str| json!({"line_zoho_id": id, "position": 1, "name": id});
    let lines = async || harness.child_column("invoice_lines", "document_zoho_id", "1", "line_zoho_id").await;
    let read = invoice(1).children("invoice_lines", [line("a"), line("b")]).read(at(10), at(11));
    applied(harness, &INVOICE_SCHEMA, read).await;
    assert_eq!(lines().await, ["a", "b"]);
    let read = invoice(2).children("invoice_lines", [line("b"), line("c")]).read(at(20), at(21));
    applied(harness, &INVOICE_SCHEMA, read).await;
    assert_eq!(lines().await, ["b", "c"]);
    applied(harness, &INVOICE_SCHEMA, invoice(3).seen(Shape::List, call(30))).await;
    assert_eq!(lines().await, ["b", "c"]);
    let read = invoice(4).children("invoice_lines", []).read(at(40), at(41));
    applied(harness, &INVOICE_SCHEMA, read).await;
    assert!(lines().await.is_empty());
}

pub async fn a_set_that_shrinks_much_is_believed_when_a_read_that_began_later_shows_it_too(
    harness: &dyn Harness,
) {
    let list = |version: i64, items: usize| {
        let row = |n: usize| json!({"product_zoho_id": n.to_string(), "rate": 5});
        RecordBuilder::new(&PRICES, "1")
            .version(at(version))
            .fields(json!({"name": "retail"}))
            .children("price_list_items", (0..items).map(row))
    };
    let count = async || {
        harness.child_column("price_list_items", "price_list_zoho_id", "1", "product_zoho_id").await.len()
    };
    assert_eq!(applied(harness, &PRICE_SCHEMA, list(1, 30).read(at(10), at(11))).await, APPLIED);
    assert_eq!(applied(harness, &PRICE_SCHEMA, list(2, 16).read(at(20), at(21))).await, APPLIED);
    let empty = applied(harness, &PRICE_SCHEMA, list(3, 0).read(at(30), at(31))).await;
    assert_eq!((empty, count().await), (Applied::Reread(RereadReason::Shrunk), 16));
    for (began, ended) in [(30, 31), (31, 35)] {
        let meanwhile = applied(harness, &PRICE_SCHEMA, list(3, 0).read(at(began), at(ended))).await;
        assert_eq!((meanwhile, count().await), (Applied::Reread(RereadReason::Shrunk), 16));
    }
    let pushed = list(3, 0).seen(Shape::Webhook, Observed::Push(at(36)));
    assert_eq!(applied(harness, &PRICE_SCHEMA, pushed).await, Applied::Reread(RereadReason::Shrunk));
    assert_eq!(applied(harness, &PRICE_SCHEMA, list(3, 0).read(at(40), at(41))).await, APPLIED);
    assert_eq!(count().await, 0);
    assert_eq!(applied(harness, &PRICE_SCHEMA, list(4, 30).read(at(50), at(51))).await, APPLIED);
    let less = applied(harness, &PRICE_SCHEMA, list(5, 14).read(at(60), at(61))).await;
    assert_eq!((less, count().await), (Applied::Reread(RereadReason::Shrunk), 30));
}

pub async fn a_record_that_cannot_be_written_fails_alone(harness: &dyn Harness) {
    let good = |id: &str| {
        RecordBuilder::new(&PRODUCTS, id).version(at(1)).fields(json!({"name": id})).read(at(10), at(11))
    };
    let refused = serde_json::Value::Object(harness.refused_columns("2").await);
    let bad = RecordBuilder::new(&PRODUCTS, "2").version(at(1)).fields(refused).read(at(10), at(11));
    let results = harness.stores().mirror.apply(&PRODUCT_SCHEMA, vec![good("1"), bad, good("3")]).await;
    assert_eq!(results.len(), 3);
    assert_eq!(results[1].as_ref().expect_err("refused").kind(), ErrorKind::Invalid);
    for (index, id) in [(0, "1"), (2, "3")] {
        assert_eq!(*results[index].as_ref().expect("written"), APPLIED);
        assert_eq!(harness.column("products", id, "name").await.as_deref(), Some(id));
    }
    assert!(Case(harness).states(&PRODUCTS, &["2"]).await.is_empty(), "nothing of it is remembered");
}

pub async fn the_hash_of_the_list_row_is_kept_with_the_detail_that_it_caused(harness: &dyn Harness) {
    let row =
        |text: &str| ListedRow { hash: ContentHash::of_bytes(text.as_bytes()), spelled: vec!["name".into()] };
    let (listed, other) = (row("row"), row("other row"));
    let read = Read { listed: Some(listed.clone()), ..named("lamp", 1).read(at(10), at(11)) };
    applied(harness, &PRODUCT_SCHEMA, read).await;
    let known = async || {
        let state = Case(harness).states(&PRODUCTS, &["1"]).await[&RecordId::new("1")].clone();
        (state.list_hash, state.spelled)
    };
    assert_eq!(known().await, (Some(listed.hash), listed.spelled));
    let same = Read { listed: Some(other.clone()), ..named("lamp", 1).read(at(20), at(21)) };
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, same).await, UNCHANGED);
    assert_eq!(known().await, (Some(other.hash), other.spelled), "an unchanged read is accepted too");
}

pub async fn a_list_row_of_a_version_that_is_known_whole_changes_volatile_columns_only(
    harness: &dyn Harness,
) {
    let invoice = |shape, zip: &str, balance: i64, seen: i64| {
        RecordBuilder::new(&INVOICES, "1")
            .version(at(1))
            .fields(json!({"number": "INV-1", "billing_address": {zip: "10001"}}))
            .volatile(json!({"balance": balance, "status": "sent"}))
            .seen(shape, if shape == Shape::Webhook { Observed::Push(at(seen)) } else { call(seen) })
    };
    let address = async || harness.column("invoices", "1", "billing_address").await.expect("an address");
    let balance = async || harness.column("invoices", "1", "balance").await;
    for (whole, seen) in [(Shape::Webhook, 10), (Shape::Detail, 30)] {
        applied(harness, &INVOICE_SCHEMA, invoice(whole, "zip", 100, seen)).await;
        let paid = invoice(Shape::List, "zipcode", 40, seen + 5);
        assert_eq!(applied(harness, &INVOICE_SCHEMA, paid).await, APPLIED);
        assert!(address().await.contains("zip\"") && balance().await.as_deref() == Some("40"));
        let again = invoice(Shape::List, "zipcode", 40, seen + 10);
        assert_eq!(applied(harness, &INVOICE_SCHEMA, again).await, UNCHANGED);
    }
    let other = invoice(Shape::List, "zip_code", 40, 50);
    assert_eq!(
        applied(harness, &INVOICE_SCHEMA, other).await,
        Applied::Reread(RereadReason::Tie),
        "the row changed under one version: only a whole record shows what"
    );
}

pub async fn a_whole_record_mends_what_somebody_else_changed(harness: &dyn Harness) {
    let read = |seen: i64| named("lamp", 1).fields(json!({"brand": "Sun"})).read(at(seen), at(seen));
    applied(harness, &PRODUCT_SCHEMA, read(10)).await;
    harness.change_column("products", "1", "brand", "Moon").await;
    assert_eq!(
        applied(harness, &PRODUCT_SCHEMA, read(10)).await,
        UNCHANGED,
        "the same read shows nothing newer"
    );
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, read(20)).await, APPLIED);
    assert_eq!(harness.column("products", "1", "brand").await.as_deref(), Some("Sun"));
    assert_eq!(applied(harness, &PRODUCT_SCHEMA, read(30)).await, UNCHANGED);
}

pub async fn rows_that_differ_from_their_list_row_are_found(harness: &dyn Harness) {
    let row = |id: &str, name: &str| {
        RecordBuilder::new(&PRODUCTS, id)
            .version(at(1))
            .fields(json!({"name": name, "rate": 5}))
            .seen(Shape::List, call(20))
    };
    for id in ["1", "2", "3"] {
        let whole = RecordBuilder::new(&PRODUCTS, id)
            .version(at(1))
            .fields(json!({"name": id, "rate": 5, "brand": "Sun"}));
        applied(harness, &PRODUCT_SCHEMA, whole.read(at(10), at(11))).await;
    }
    harness.change_column("products", "2", "name", "by hand").await;
    harness.change_column("products", "3", "brand", "not in the list").await;
    let reads = vec![row("1", "1"), row("2", "2"), row("3", "3"), row("4", "no such row")];
    let compare = async |reads: &[Read]| {
        harness.stores().mirror.compare(&PRODUCT_SCHEMA, reads).await.expect("compared")
    };
    let differing = compare(&reads).await;
    assert_eq!(differing.len(), 2);
    let changed = &differing[&RecordId::new("2")];
    let name = FieldDifference { field: "name".into(), source: json!("2"), target: json!("by hand") };
    assert_eq!(*changed, Difference { presence: Presence::Live, fields: vec![name] });
    let missing = Difference { presence: Presence::Missing, fields: Vec::new() };
    assert_eq!(differing[&RecordId::new("4")], missing);
    assert!(compare(&[]).await.is_empty());
}

pub async fn a_pushed_body_with_other_volatile_values_is_read_again(harness: &dyn Harness) {
    let invoice = |status: &str, balance: i64| {
        RecordBuilder::new(&INVOICES, "1")
            .version(at(1))
            .fields(json!({"number": "INV-1"}))
            .volatile(json!({"status": status, "balance": balance}))
    };
    let pushed = |seen: i64, status: &str, balance| {
        invoice(status, balance).seen(Shape::Webhook, Observed::Push(at(seen)))
    };
    applied(
        harness,
        &INVOICE_SCHEMA,
        invoice("sent", 100).volatile(json!({"payment_made": 0})).read(at(10), at(11)),
    )
    .await;
    assert_eq!(applied(harness, &INVOICE_SCHEMA, pushed(20, "sent", 100)).await, UNCHANGED);
    let paid = applied(harness, &INVOICE_SCHEMA, pushed(30, "paid", 0)).await;
    assert_eq!(paid, Applied::Reread(RereadReason::Tie));
    assert_eq!(harness.column("invoices", "1", "status").await.as_deref(), Some("sent"));
    assert_eq!(applied(harness, &INVOICE_SCHEMA, invoice("paid", 0).read(at(40), at(41))).await, APPLIED);
    assert_eq!(applied(harness, &INVOICE_SCHEMA, pushed(50, "paid", 0)).await, UNCHANGED);
}
