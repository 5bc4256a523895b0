//! Tests that every value keeps the spelling of the source.

use serde_json::{Value, json};
use tds_core::{mirror::Applied, queue::Outcome, record::Shape};

use crate::support::{Case, detail, invoices, prices, stock};

const APPLIED: Applied = Applied::Done(Outcome::Applied);

#[tokio::test]
async fn money_keeps_forty_digits_and_its_trailing_zeros() {
    let case = Case::new().await;
    let fields: Value = serde_json::from_str(
        r#"{"total": 1234567890123456789012345678901234567890.1200, "balance": -0.10, "exchange_rate": 1e-3,
            "discount": "5%", "date": "2026-02-28", "zoho_created_at": "2026-02-28T21:59:59Z",
            "billing_address": {"city": "بغداد", "lines": [1.50, null]}, "taxes": [], "customer_name": "",
            "custom_fields": {"cf_tds_id": "7"}}"#,
    )
    .expect("JSON");
    let rows = [
        serde_json::from_str(
            r#"{"line_zoho_id":"9","position":2,"quantity":0.000000000000000000001,"discount":5.50}"#,
        )
        .expect("JSON"),
        json!({"line_zoho_id": "8", "position": 1, "quantity": Value::Null}),
    ];
    let read = detail(&invoices(), "460000000000098765", 1, fields).rows("invoice_lines", rows);
    assert_eq!(case.apply(&invoices(), read).await.expect("stored"), APPLIED);
    for (sql, expected) in [
        ("SELECT total::text FROM erp.invoices", "1234567890123456789012345678901234567890.1200"),
        ("SELECT balance::text FROM erp.invoices", "-0.10"),
        ("SELECT exchange_rate::text FROM erp.invoices", "0.001"),
        ("SELECT discount FROM erp.invoices", "5%"),
        ("SELECT date::text FROM erp.invoices", "2026-02-28"),
        ("SELECT (zoho_created_at = '2026-02-28 21:59:59+00')::text FROM erp.invoices", "true"),
        ("SELECT billing_address::text FROM erp.invoices", r#"{"city": "بغداد", "lines": [1.50, null]}"#),
        ("SELECT taxes::text FROM erp.invoices", "[]"),
        ("SELECT custom_fields->>'cf_tds_id' FROM erp.invoices", "7"),
        ("SELECT due_date::text FROM erp.invoices", "∅"),
        (
            "SELECT zoho_id FROM erp.invoices WHERE id IS NOT NULL AND synced_at IS NOT NULL",
            "460000000000098765",
        ),
        ("SELECT raw->>'id' FROM erp.invoices", "460000000000098765"),
        ("SELECT quantity::text FROM erp.invoice_lines WHERE position = 2", "0.000000000000000000001"),
        ("SELECT discount FROM erp.invoice_lines WHERE position = 2", "5.50"),
        ("SELECT quantity::text FROM erp.invoice_lines WHERE position = 1", "∅"),
        (
            "SELECT string_agg(document_zoho_id, ',') FROM erp.invoice_lines",
            "460000000000098765,460000000000098765",
        ),
    ] {
        assert_eq!(case.text(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn null_empties_a_column_and_an_absent_key_keeps_it() {
    let case = Case::new().await;
    let invoices = invoices();
    let first = detail(&invoices, "1", 1, json!({"number": "A-1", "notes": "keep", "terms": "drop"}));
    case.apply(&invoices, first).await.expect("stored");
    case.apply(&invoices, detail(&invoices, "1", 2, json!({"number": "A-2", "terms": null})))
        .await
        .expect("stored");
    assert_eq!(
        case.text("SELECT concat_ws('|', number, notes, coalesce(terms, '∅')) FROM erp.invoices").await,
        "A-2|keep|∅"
    );
}

#[tokio::test]
async fn a_list_row_does_not_erase_what_a_detail_brought() {
    let case = Case::new().await;
    let invoices = invoices();
    let whole = detail(&invoices, "1", 1, json!({"number": "A-1", "notes": "from the detail"}))
        .rows("invoice_lines", [json!({"position": 1})])
        .raw(r#"{"id":"1","only_detail":1,"n":1.10}"#);
    case.apply(&invoices, whole).await.expect("stored");
    let row =
        detail(&invoices, "1", 2, json!({"number": "A-2"})).shape(Shape::List).raw(r#"{"id":"1","n":2.20}"#);
    assert_eq!(case.apply(&invoices, row).await.expect("stored"), APPLIED);
    assert_eq!(
        case.text("SELECT concat_ws('|', number, notes) FROM erp.invoices").await,
        "A-2|from the detail"
    );
    assert_eq!(case.text("SELECT count(*)::text FROM erp.invoice_lines").await, "1");
    assert_eq!(
        case.text("SELECT raw::text FROM erp.invoices").await,
        r#"{"n": 2.20, "id": "1", "only_detail": 1}"#
    );
}

#[tokio::test]
async fn every_column_of_a_list_of_prices_and_of_stock_finds_its_place() {
    let case = Case::new().await;
    let list = detail(
        &prices(),
        "7",
        1,
        json!({"name": "Wholesale", "currency_code": "IQD", "is_increase": false, "percentage": 12.5, "status": "active"}),
    )
    .rows("price_list_items", [json!({"product_zoho_id": "p", "start_quantity": 1, "end_quantity": null, "rate": 55555})]);
    case.apply(&prices(), list).await.expect("stored");
    let levels = [
        json!({"location_zoho_id": "", "stock_on_hand": -3}),
        json!({"location_zoho_id": "l1", "location_name": "Main", "available_stock": 2.5}),
    ];
    case.apply(&stock(), detail(&stock(), "p", 1, json!({})).rows("stock_levels", levels))
        .await
        .expect("stored");
    assert_eq!(
        case.text(
            "SELECT concat_ws('|', name, is_increase, percentage, rate, product_zoho_id)
                   FROM erp.price_lists l JOIN erp.price_list_items i ON i.price_list_zoho_id = l.zoho_id"
        )
        .await,
        "Wholesale|f|12.5|55555|p"
    );
    assert_eq!(
        case.text("SELECT string_agg(concat_ws('|', location_zoho_id, stock_on_hand, available_stock), ',' ORDER BY 1)
                   FROM erp.stock_levels WHERE product_zoho_id = 'p'").await,
        "l1|2.5,|-3".split(',').rev().collect::<Vec<_>>().join(",")
    );
}

#[tokio::test]
async fn columns_of_every_kind_take_their_values_and_none_is_cut() {
    let case = Case::new().await;
    for sql in [
        "CREATE TYPE colour AS ENUM ('red', 'green')",
        "CREATE DOMAIN percent AS numeric(5, 2) CHECK (value <= 100)",
        "CREATE TYPE size AS (width numeric, unit text)",
        r#"CREATE TABLE erp.odd (id bigint GENERATED ALWAYS AS IDENTITY, zoho_id varchar(20) UNIQUE, "it's" text, short varchar(3), code char(4), bits bit(3),
             price numeric(10, 2), count integer, flag boolean, day date, moment timestamptz, doc jsonb,
             tags text[], rate percent, shade colour, size size, bytes bytea)"#,
    ] {
        case.execute(sql).await;
    }
    let schema = tds_core::mirror::MirrorSchema {
        entity: tds_core::record::EntityType::from_static("odd"),
        head: Some("odd"),
        children: &[],
    };
    let fields = json!({"it's": "\\ ' \" {}", "short": "abc", "code": "ab", "bits": "101", "price": "12.5", "count": 7,
        "flag": true, "day": "2026-02-28", "moment": "2026-02-28T00:00:00Z", "doc": "only text",
        "tags": ["a", "b,c", null], "rate": 12.345, "shade": "green", "size": {"width": 2, "unit": "m"}, "bytes": "\\x00ff"});
    case.apply(&schema, detail(&schema, "1", 1, fields)).await.expect("stored");
    assert_eq!(
        case.text(
            r#"SELECT concat_ws('|', "it's", short, code, bits, price, count, flag, day, moment AT TIME ZONE 'UTC', doc,
                 tags, rate, shade, size, bytes) FROM erp.odd"#
        )
        .await,
        r#"\ ' " {}|abc|ab  |101|12.50|7|t|2026-02-28|2026-02-28 00:00:00|"only text"|{a,"b,c",NULL}|12.35|green|(2,m)|\x00ff"#
    );
    let empty = json!({"doc": null, "tags": null, "size": null, "bits": null, "short": "x"});
    case.apply(&schema, detail(&schema, "1", 2, empty)).await.expect("stored");
    assert_eq!(
        case.text("SELECT concat_ws('|', short, price, num_nulls(doc, tags, size, bits)) FROM erp.odd").await,
        "x|12.50|4"
    );
    for wrong in
        [json!({"short": "four"}), json!({"bits": "1011"}), json!({"rate": 101}), json!({"shade": "blue"})]
    {
        let error = case.apply(&schema, detail(&schema, "1", 3, wrong.clone())).await.expect_err("refused");
        assert_eq!(error.kind(), tds_core::error::ErrorKind::Invalid, "{wrong}: {error:?}");
    }
}

#[tokio::test]
async fn a_new_entity_type_needs_only_a_table_and_a_schema_value() {
    let case = Case::new().await;
    case.execute("CREATE TABLE public.\"odd \"\"table\" (id bigint GENERATED ALWAYS AS IDENTITY, zoho_id text UNIQUE, colour text)").await;
    let schema = tds_core::mirror::MirrorSchema {
        entity: tds_core::record::EntityType::from_static("packages"),
        head: Some("public.odd \"table"),
        children: &[],
    };
    assert_eq!(
        case.apply(&schema, detail(&schema, "1", 1, json!({"colour": "red"}))).await.expect("stored"),
        APPLIED
    );
    assert_eq!(case.text("SELECT colour FROM \"odd \"\"table\"").await, "red");
    let error = case
        .apply(&schema, detail(&schema, "2", 1, json!({"color": "red"})))
        .await
        .expect_err("no such column");
    assert!(error.to_string().contains("no column color"), "{error:?}");
}
