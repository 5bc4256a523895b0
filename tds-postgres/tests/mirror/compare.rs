//! Tests that a comparison finds every change of the tables, and nothing else.

use serde_json::{Value, json};
use tds_core::{
    mirror::{Difference, Mirror as _, MirrorSchema, Presence},
    record::{EntityType, Read, RecordId, Shape},
};

use crate::support::{Case, Make, absent, detail, invoices, prices, stock};

/// The difference of one record with the target.
async fn difference(case: &Case, schema: &MirrorSchema, read: impl Into<Read>) -> Option<Difference> {
    let mut found = case.mirror.compare(schema, &[read.into()]).await.expect("compared");
    assert!(found.len() <= 1, "{found:?}");
    found.drain().next().map(|(_, difference)| difference)
}

/// The fields of a live record that differ, each as `field: source/target`.
async fn fields(case: &Case, schema: &MirrorSchema, read: impl Into<Read>) -> Vec<String> {
    let Some(difference) = difference(case, schema, read).await else { return Vec::new() };
    assert_eq!(difference.presence, Presence::Live, "{difference:?}");
    difference.fields.iter().map(|it| format!("{}: {}/{}", it.field, it.source, it.target)).collect()
}

async fn presence(case: &Case, schema: &MirrorSchema, read: impl Into<Read>) -> Option<Presence> {
    difference(case, schema, read).await.map(|difference| difference.presence)
}

#[tokio::test]
async fn a_change_of_a_column_of_any_type_is_named_with_both_values() {
    let case = Case::new().await;
    for sql in [
        "CREATE TYPE colour AS ENUM ('red', 'green')",
        "CREATE DOMAIN percent AS numeric(5, 2) CHECK (value <= 100)",
        "CREATE TYPE size AS (width numeric, unit text)",
        "CREATE TABLE erp.odd (id bigint GENERATED ALWAYS AS IDENTITY, zoho_id varchar(20) UNIQUE, \"it's\" text,
           short varchar(3), code char(4), bits bit(3), price numeric(10, 2), count integer, flag boolean, day date,
           moment timestamptz, doc jsonb, tags text[], rate percent, shade colour, size size, bytes bytea,
           twice numeric GENERATED ALWAYS AS (price * 2) STORED)",
    ] {
        case.execute(sql).await;
    }
    let schema = MirrorSchema { entity: EntityType::from_static("odd"), head: Some("odd"), children: &[] };
    let whole = || {
        detail(
            &schema,
            "1",
            1,
            json!({"it's": "\\ ' \" {}", "short": "abc", "code": "ab", "bits": "101", "price": "12.5", "count": 7,
                "flag": true, "day": "2026-02-28", "moment": "2026-02-28T03:00:00+03:00", "doc": {"b": [1.50, null], "a": 1},
                "tags": ["a", "b,c", null], "rate": 12.345, "shade": "green", "size": {"width": 2, "unit": "m"},
                "bytes": "\\x00ff"}),
        )
    };
    case.apply(&schema, whole()).await.expect("stored");
    // Another spelling of the same value is the same value: of numbers, times, JSON and padded text.
    // A column with a precision rounds what it stores.
    let respelled = json!({"price": "12.4999", "count": "7", "moment": "2026-02-28T00:00:00Z", "code": "ab  ", "rate": "12.35",
        "doc": {"a": 1.0, "b": [1.5, null]}});
    for same in [whole(), detail(&schema, "1", 1, json!({})), detail(&schema, "1", 1, respelled)] {
        assert_eq!(fields(&case, &schema, same).await, [""; 0]);
    }
    for (change, expected) in [
        ("UPDATE erp.odd SET \"it's\" = NULL", r#"it's: "\\ ' \" {}"/null"#),
        ("UPDATE erp.odd SET short = 'ABC'", r#"short: "abc"/"ABC""#),
        ("UPDATE erp.odd SET code = 'ba'", r#"code: "ab  "/"ba  ""#),
        ("UPDATE erp.odd SET bits = '111'", r#"bits: "101"/"111""#),
        ("UPDATE erp.odd SET price = 12.51", "price: 12.50/12.51"),
        ("UPDATE erp.odd SET count = -7", "count: 7/-7"),
        ("UPDATE erp.odd SET flag = false", "flag: true/false"),
        ("UPDATE erp.odd SET day = '2026-03-01'", r#"day: "2026-02-28"/"2026-03-01""#),
        (
            "UPDATE erp.odd SET doc = '{\"a\": 1, \"b\": [null, 1.5]}'",
            r#"doc: {"a":1,"b":[1.5,null]}/{"a":1,"b":[null,1.5]}"#,
        ),
        ("UPDATE erp.odd SET tags = '{a}'", r#"tags: ["a","b,c",null]/["a"]"#),
        ("UPDATE erp.odd SET rate = 1", "rate: 12.35/1.00"),
        ("UPDATE erp.odd SET shade = 'red'", r#"shade: "green"/"red""#),
        ("UPDATE erp.odd SET size = '(2,cm)'", r#"size: {"width":2,"unit":"m"}/{"width":2,"unit":"cm"}"#),
        ("UPDATE erp.odd SET bytes = NULL", r#"bytes: "\\x00ff"/null"#),
    ] {
        case.execute(change).await;
        let found: Vec<String> = fields(&case, &schema, whole()).await;
        let compact: Vec<String> = found.iter().map(|it| it.replace("\": ", "\":")).collect();
        assert_eq!(compact.len(), 1, "{change}: {found:?}");
        let (name, values) = compact[0].split_once(": ").expect("a name");
        let (wanted, wanted_values) = expected.split_once(": ").expect("a name");
        assert_eq!(name, wanted);
        let (source, target) = both(values);
        assert_eq!((source, target), both(wanted_values), "{change}");
        // Without its sync state, the record is written as if it were new.
        case.execute("DELETE FROM tds_sync_records").await;
        case.apply(&schema, whole()).await.expect("restored");
    }
    // A value that the column cannot hold differs, and the other records of the batch are compared all the same.
    let unfit = |id: &str| detail(&schema, id, 1, json!({"count": "many"})).0;
    let reads = [whole().0, unfit("2"), detail(&schema, "3", 1, json!({"count": 1})).0];
    let found = case.mirror.compare(&schema, &reads).await.expect("compared");
    let presence = |id: &str| found.get(&RecordId::new(id)).map(|difference| difference.presence);
    assert_eq!(
        (presence("1"), presence("2"), presence("3")),
        (None, Some(Presence::Live), Some(Presence::Missing))
    );
}

/// Splits `source/target` and parses both as JSON.
fn both(values: &str) -> (Value, Value) {
    let mut splits = values.match_indices('/').filter_map(|(at, _)| {
        let source = serde_json::from_str(&values[..at]).ok()?;
        Some((source, serde_json::from_str(&values[at + 1..]).ok()?))
    });
    splits.next_back().unwrap_or_else(|| panic!("{values} are not two values"))
}

fn priced(quantity: &str) -> Make {
    let rows = [
        json!({"line_zoho_id": "9", "position": 1, "quantity": 1, "rate": 5.00}),
        json!({"line_zoho_id": "8", "position": 2, "quantity": serde_json::from_str::<Value>(quantity).expect("JSON")}),
    ];
    detail(&invoices(), "1", 1, json!({"number": "A-1", "notes": "n"}))
        .volatile(json!({"balance": 10.50}))
        .rows("invoice_lines", rows)
}

#[tokio::test]
async fn a_changed_added_or_missing_child_row_is_named_by_what_identifies_it() {
    let case = Case::new().await;
    let invoices = invoices();
    case.apply(&invoices, priced("2")).await.expect("stored");
    assert_eq!(fields(&case, &invoices, priced("2.0")).await, [""; 0]);
    // What a read does not show is not compared: a list row shows neither notes nor lines.
    case.execute("UPDATE erp.invoices SET notes = 'by hand'").await;
    let listed = detail(&invoices, "1", 1, json!({"number": "A-1"})).shape(Shape::List);
    assert_eq!(fields(&case, &invoices, listed).await, [""; 0]);
    case.execute("UPDATE erp.invoices SET notes = 'n', balance = 0").await;
    assert_eq!(fields(&case, &invoices, priced("2")).await, ["balance: 10.5/0"], "a volatile column");
    case.execute("UPDATE erp.invoices SET balance = 10.5").await;

    case.execute("UPDATE erp.invoice_lines SET quantity = 3 WHERE line_zoho_id = '8'").await;
    assert_eq!(fields(&case, &invoices, priced("2")).await, ["invoice_lines[8].quantity: 2/3"]);
    case.execute("UPDATE erp.invoice_lines SET quantity = 2 WHERE line_zoho_id = '8'").await;
    case.execute(
        "INSERT INTO erp.invoice_lines (document_zoho_id, line_zoho_id, position) VALUES ('1', '7', 3)",
    )
    .await;
    let found = difference(&case, &invoices, priced("2")).await.expect("differs");
    assert_eq!((found.fields[0].field.as_str(), &found.fields[0].source), ("invoice_lines[7]", &Value::Null));
    assert_eq!(found.fields[0].target["position"], json!(3));
    case.execute("DELETE FROM erp.invoice_lines WHERE line_zoho_id IN ('7', '9')").await;
    let found = difference(&case, &invoices, priced("2")).await.expect("differs");
    assert_eq!((found.fields[0].field.as_str(), &found.fields[0].target), ("invoice_lines[9]", &Value::Null));
    case.execute("DELETE FROM erp.invoice_lines").await;
    assert_eq!(difference(&case, &invoices, priced("2")).await.expect("differs").fields.len(), 2);
    // Two records in one batch: only the one that differs is named.
    let other = detail(&invoices, "2", 1, json!({"number": "A-2"})).rows("invoice_lines", []);
    case.apply(&invoices, other.clone()).await.expect("stored");
    let found = case.mirror.compare(&invoices, &[priced("2").0, other.0]).await.expect("compared");
    assert_eq!(found.keys().map(RecordId::as_str).collect::<Vec<_>>(), ["1"]);

    // Brackets of a price list have no identity of their own.
    let bracket = |rate: i64| json!({"product_zoho_id": "p", "start_quantity": 1, "rate": rate});
    let list = |rates: &[i64]| {
        detail(&prices(), "7", 1, json!({"name": "Wholesale"}))
            .rows("price_list_items", rates.iter().map(|rate| bracket(*rate)))
    };
    case.apply(&prices(), list(&[5, 6])).await.expect("stored");
    case.execute("UPDATE erp.price_list_items SET rate = 66 WHERE rate = 6").await;
    assert_eq!(fields(&case, &prices(), list(&[5, 6])).await, ["price_list_items[p].rate: 6/66"]);
    case.execute("UPDATE erp.price_list_items SET rate = rate * 100").await;
    let found = fields(&case, &prices(), list(&[5, 6])).await;
    assert_eq!(found, ["price_list_items[#1].rate: 5/500", "price_list_items[#2].rate: 6/6600"]);
}

#[tokio::test]
async fn missing_deleted_and_headless_records_have_their_presence() {
    let case = Case::new().await;
    let invoices = invoices();
    assert_eq!(presence(&case, &invoices, priced("2")).await, Some(Presence::Missing));
    assert_eq!(presence(&case, &invoices, absent(&invoices, "1", 1)).await, None, "both sides lack it");
    case.apply(&invoices, priced("2")).await.expect("stored");
    assert_eq!(presence(&case, &invoices, absent(&invoices, "1", 1)).await, Some(Presence::Live));
    case.execute("UPDATE erp.invoices SET deleted_at = now()").await;
    let tombstone = difference(&case, &invoices, priced("3")).await.expect("differs");
    assert_eq!((tombstone.presence, tombstone.fields.len()), (Presence::Deleted, 0));
    assert_eq!(presence(&case, &invoices, absent(&invoices, "1", 1)).await, None);

    // A record without a head row is live as long as it has child rows.
    let stock = stock();
    let level = |place: &str, stock: i64| json!({"location_zoho_id": place, "stock_on_hand": stock});
    let levels =
        |here: i64| detail(&stock, "p", 1, json!({})).rows("stock_levels", [level("", 5), level("l1", here)]);
    let none = detail(&stock, "q", 1, json!({})).rows("stock_levels", []);
    assert_eq!(fields(&case, &stock, none).await, [""; 0], "no stock on either side");
    assert_eq!(difference(&case, &stock, levels(5)).await.expect("no row").fields.len(), 2);
    case.apply(&stock, levels(5)).await.expect("stored");
    case.execute("UPDATE erp.stock_levels SET stock_on_hand = 4 WHERE location_zoho_id = 'l1'").await;
    assert_eq!(fields(&case, &stock, levels(5)).await, ["stock_levels[l1].stock_on_hand: 5/4"]);
    assert_eq!(presence(&case, &stock, absent(&stock, "p", 1)).await, Some(Presence::Live));
    assert_eq!(presence(&case, &stock, absent(&stock, "q", 1)).await, None);
}
