//! Orders, credits of vendors, and payments on every path: one shop with one server, and every column compared.

mod records;

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use tds_zoho::testkit::{
    stamp,
    webhook::{Delivery, Form, deliver},
};

use self::records::{KINDS, Kind};
use crate::shop::{SECRET, Shop, assert_columns, assert_rows};

/// The id of the records that webhooks bring.
const ID: &str = "4600000000000000011";
/// Columns that depend on the moment and not on the record.
const OF_THE_MOMENT: [&str; 3] = ["id", "synced_at", "raw"];

impl Kind {
    /// Returns the record under another id.
    fn record(&self, id: &str) -> Value {
        let mut record = records::literal(self.record);
        record[self.id_key] = json!(id);
        record
    }

    /// Enters the record as it was changed this many minutes ago, with this reference.
    fn put(&self, shop: &Shop, id: &str, reference: &str, minutes_ago: i64) {
        let mut record = self.record(id);
        record["reference_number"] = json!(reference);
        record["last_modified_time"] = json!(stamp(shop.zoho.now() - time::Duration::minutes(minutes_ago)));
        shop.zoho.put(self.module, record);
    }

    /// Returns the record as Zoho pushes it, without its envelope.
    fn pushed(&self, shop: &Shop, id: &str) -> Value {
        let mut body: Value = serde_json::from_str(&shop.zoho.webhook_body(self.module, id)).expect("JSON");
        body[self.module.detail_key].take()
    }

    /// Returns the number of calls that read single records.
    fn reads(&self, shop: &Shop) -> u64 {
        shop.zoho.calls_to(&format!("/books/v3/{}/", self.module.path))
    }

    async fn row(&self, shop: &Shop, id: &str) -> Map<String, Value> {
        let row = shop.row(self.entity, id).await.unwrap_or_else(|| panic!("no row of {} {id}", self.entity));
        serde_json::from_value(row).expect("an object")
    }

    /// Asserts that the tables show the record in every column, with this reference.
    async fn assert_landed(&self, shop: &Shop, id: &str, reference: &str) {
        let mut expected = records::literal(self.row);
        expected["zoho_id"] = json!(id);
        expected["reference_number"] = json!(reference);
        expected["deleted_at"] = Value::Null;
        let row = self.row(shop, id).await;
        let compared = expected.as_object().expect("an object").keys().map(String::as_str);
        let compared: BTreeSet<&str> = compared.chain(OF_THE_MOMENT).chain(["zoho_modified_at"]).collect();
        assert_eq!(row.keys().map(String::as_str).collect::<BTreeSet<_>>(), compared, "{}", self.entity);
        assert_eq!(row["raw"][self.id_key], id, "raw is the record as Zoho sent it");
        assert_columns(&Value::Object(row), &expected);
        let mut rows = records::literal(self.rows);
        for row in rows.as_array_mut().expect("rows") {
            row[self.owner] = json!(id);
        }
        let of_record = format!("(SELECT * FROM erp.{} WHERE {} = '{id}')", self.children, self.owner);
        let mut found = shop.rows(&of_record, "position").await;
        for row in found.iter_mut().filter_map(Value::as_object_mut) {
            row.remove("id");
        }
        assert_rows(&found, &rows);
        let columns = |row: &Value| row.as_object().expect("a row").keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(columns(&found[0]), columns(&rows[0]), "every column of {} is compared", self.children);
    }

    async fn assert_gone(&self, shop: &Shop, id: &str) {
        assert_ne!(self.row(shop, id).await["deleted_at"], Value::Null, "{} has a tombstone", self.entity);
    }
}

/// Sends a body to the path of a kind, in one of the forms.
async fn send(shop: &Shop, kind: &Kind, event: &str, body: &Value, form: Form) {
    let delivery =
        Delivery { entity_path: kind.path.to_owned(), event: event.to_owned(), body: body.to_string() };
    let receipt = deliver(&delivery, &shop.base, SECRET, form).await.expect("an answer");
    assert!(receipt.status == 200 && receipt.body.contains("accepted"), "{} {receipt:?}", kind.path);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_in_every_form_brings_every_column() {
    let shop = Shop::open().await;
    for kind in &KINDS {
        kind.put(&shop, ID, "R-1", 60);
        send(&shop, kind, "created", &json!({kind.envelope: kind.pushed(&shop, ID)}), Form::Json).await;
    }
    shop.settled().await;
    for kind in &KINDS {
        kind.assert_landed(&shop, ID, "R-1").await;
    }

    for (reference, minutes_ago, form) in [("R-2", 50, Form::Json), ("R-3", 40, Form::JsonString)] {
        for kind in &KINDS {
            kind.put(&shop, ID, reference, minutes_ago);
            send(&shop, kind, "updated", &kind.pushed(&shop, ID), form).await;
        }
        shop.settled().await;
        for kind in &KINDS {
            kind.assert_landed(&shop, ID, reference).await;
            assert_eq!(kind.reads(&shop), 0, "{}: the body is complete", kind.entity);
        }
    }

    // A form with chosen values, and a body that only names the record, make a read.
    for (reference, minutes_ago, form) in [("R-4", 30, Form::Plain), ("R-5", 20, Form::Json)] {
        for kind in &KINDS {
            kind.put(&shop, ID, reference, minutes_ago);
            let named = json!({kind.envelope: {kind.id_key: ID}});
            send(&shop, kind, "updated", &named, form).await;
        }
        shop.settled().await;
        for kind in &KINDS {
            kind.assert_landed(&shop, ID, reference).await;
        }
    }
    for kind in &KINDS {
        assert_eq!(kind.reads(&shop), 2, "{}", kind.entity);
    }

    // A deletion leaves a tombstone, and a record that comes back loses it.
    for kind in &KINDS {
        shop.zoho.delete(kind.module, ID).expect("a record");
        let named = json!({kind.envelope: {kind.id_key: ID}});
        send(&shop, kind, "deleted", &named, Form::Json).await;
    }
    shop.settled().await;
    for kind in &KINDS {
        kind.assert_gone(&shop, ID).await;
        kind.put(&shop, ID, "R-6", 10);
        let named = json!({kind.envelope: {kind.id_key: ID}});
        send(&shop, kind, "created", &named, Form::Json).await;
    }
    shop.settled().await;
    for kind in &KINDS {
        kind.assert_landed(&shop, ID, "R-6").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_sync_brings_every_column_what_changed_and_what_was_deleted() {
    let shop = Shop::open().await;
    let (one, other) = ("4600000000000000021", "4600000000000000022");
    for kind in &KINDS {
        kind.put(&shop, one, "R-1", 60);
        kind.put(&shop, other, "R-1", 59);
    }
    for kind in &KINDS {
        let run = shop.sync(kind.entity, "full").await;
        let counts = ["total_items", "processed_items", "failed_items"].map(|count| run[count].as_i64());
        assert_eq!(counts, [Some(2), Some(2), Some(0)], "{run:#}");
        kind.assert_landed(&shop, one, "R-1").await;
        kind.assert_landed(&shop, other, "R-1").await;

        kind.put(&shop, one, "R-2", 1);
        let run = shop.sync(kind.entity, "incremental").await;
        assert_eq!(run["run_type"], "incremental", "{run:#}");
        kind.assert_landed(&shop, one, "R-2").await;

        // A second full sync finds nothing to write.
        let version = format!("SELECT string_agg(xmin::text, ' ' ORDER BY zoho_id) FROM erp.{}", kind.entity);
        let before = shop.text(&version).await;
        shop.sync(kind.entity, "full").await;
        assert_eq!(shop.text(&version).await, before, "{} was written again", kind.entity);

        // The children are replaced as a set.
        let rows = kind.pushed(&shop, other)[kind.list].as_array().expect("a list").clone();
        shop.zoho.update(kind.module, other, json!({kind.list: [rows[1]]}));
        shop.sync(kind.entity, "incremental").await;
        let left = format!("erp.{} WHERE {} = '{other}'", kind.children, kind.owner);
        assert_eq!(shop.count(&left).await, 1, "{}", kind.entity);

        shop.zoho.delete(kind.module, other).expect("a record");
        shop.sync(kind.entity, "full").await;
        kind.assert_gone(&shop, other).await;
        kind.put(&shop, other, "R-3", 0);
        shop.sync(kind.entity, "full").await;
        kind.assert_landed(&shop, other, "R-3").await;
    }
    // Payments of customers have no schedule for changes, because no list of them is documented.
    for kind in &KINDS {
        let schedules = format!("tds_schedules WHERE name LIKE '%{}%'", kind.entity);
        let expected = if kind.entity == "customer_payments" { 1 } else { 2 };
        assert_eq!(shop.count(&schedules).await, expected, "{}", kind.entity);
    }
    // The addresses of the predecessor are aliases.
    for (name, entity) in [("orders", "sales_orders"), ("payments", "customer_payments")] {
        let kind = KINDS.iter().find(|kind| kind.entity == entity).expect("a kind");
        kind.put(&shop, one, "R-9", 0);
        let body = json!({kind.envelope: kind.pushed(&shop, one)}).to_string();
        let (status, answer) = shop.signed(&format!("/api/tds/webhooks/{name}"), &body).await;
        assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("accepted")), "{name}: {answer}");
        shop.settled().await;
        kind.assert_landed(&shop, one, "R-9").await;
    }
}
