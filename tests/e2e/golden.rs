//! The tests replay stored histories of events through the present code: the rows must be the same as ever.
//!
//! A change of these rows changes the tables of every operator. Make such a change on purpose (`INSTA_UPDATE=always`),
//! review it line by line, and describe it in the changelog.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;
use tds_zoho::testkit::Module;

use crate::shop::Shop;

/// The tables of the mirror, and the order of their rows.
const TABLES: [(&str, &str); 22] = [
    ("products", "zoho_id"),
    ("customers", "zoho_id"),
    ("vendors", "zoho_id"),
    ("invoices", "zoho_id"),
    ("invoice_lines", "document_zoho_id, position"),
    ("bills", "zoho_id"),
    ("bill_lines", "document_zoho_id, position"),
    ("credit_notes", "zoho_id"),
    ("credit_note_lines", "document_zoho_id, position"),
    ("stock_levels", "product_zoho_id, location_zoho_id"),
    ("price_lists", "zoho_id"),
    ("price_list_items", "price_list_zoho_id, product_zoho_id, start_quantity"),
    ("sales_orders", "zoho_id"),
    ("sales_order_lines", "document_zoho_id, position"),
    ("customer_payments", "zoho_id"),
    ("customer_payment_allocations", "payment_zoho_id, position"),
    ("purchase_orders", "zoho_id"),
    ("purchase_order_lines", "document_zoho_id, position"),
    ("vendor_payments", "zoho_id"),
    ("vendor_payment_allocations", "payment_zoho_id, position"),
    ("vendor_credits", "zoho_id"),
    ("vendor_credit_lines", "document_zoho_id, position"),
];

/// One line of a history.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Step {
    /// A note for the reader.
    Note { note: String },
    /// The record has this state in Zoho from now on.
    Put { zoho: String, record: Value },
    /// The record no longer exists in Zoho.
    Delete { zoho: String, delete: String },
    /// A delivery and the status of its answer; the status of a duplicate is `duplicate`.
    Push { push: String, body: String, answer: String },
    /// A bulk sync of one entity type.
    Sync { sync: String, mode: String },
}

fn module(path: &str) -> Module {
    match path {
        "items" => Module::ITEMS,
        "contacts" => Module::CONTACTS,
        "invoices" => Module::INVOICES,
        "bills" => Module::BILLS,
        "creditnotes" => Module::CREDIT_NOTES,
        "pricebooks" => Module::PRICE_LISTS,
        "salesorders" => Module::SALES_ORDERS,
        "customerpayments" => Module::CUSTOMER_PAYMENTS,
        "purchaseorders" => Module::PURCHASE_ORDERS,
        "vendorpayments" => Module::VENDOR_PAYMENTS,
        "vendorcredits" => Module::VENDOR_CREDITS,
        other => panic!("no module {other}"),
    }
}

async fn step(shop: &Shop, step: Step) {
    match step {
        Step::Note { note } => assert!(!note.is_empty()),
        Step::Put { zoho, record } => drop(shop.zoho.put(module(&zoho), record)),
        Step::Delete { zoho, delete } => assert!(shop.zoho.delete(module(&zoho), &delete).is_some()),
        Step::Push { push, body, answer } => {
            let (status, answer_body) = shop.webhook(&push, &body).await;
            assert_eq!(status.as_u16(), 200, "{answer_body}");
            let kind = if answer_body["duplicate"] == true {
                "duplicate"
            } else {
                answer_body["status"].as_str().unwrap_or("")
            };
            assert_eq!(kind, answer, "{body}");
            shop.settled().await;
        }
        Step::Sync { sync, mode } => drop(shop.sync(&sync, &mode).await),
    }
}

/// The columns with local ids of other rows.
const LOCAL_IDS: [&str; 6] =
    ["customer_id", "vendor_id", "product_id", "document_id", "payment_id", "price_list_id"];

/// Returns everything that the history left, without the local ids and the times of this replay.
async fn picture(shop: &Shop) -> String {
    let mut picture = String::new();
    for (table, order) in TABLES {
        for mut row in shop.rows(&format!("erp.{table}"), order).await {
            let columns = row.as_object_mut().expect("a row");
            columns
                .retain(|name, _| !matches!(name.as_str(), "id" | "synced_at" | "balance_seen_at" | "raw"));
            // Of times and of local ids, the histories only determine whether they are known.
            for (name, value) in columns.iter_mut() {
                if name == "deleted_at" || LOCAL_IDS.contains(&name.as_str()) {
                    *value = Value::Bool(!value.is_null());
                }
            }
            writeln!(picture, "{table} {row:#}").expect("written");
        }
    }
    for event in shop.rows("tds_inbox_events", "id").await {
        let columns = ["entity_type", "entity_id", "event_type", "status", "outcome", "error_message"];
        let columns: Vec<String> = columns.iter().map(|column| event[*column].to_string()).collect();
        writeln!(picture, "event {}", columns.join(" ")).expect("written");
    }
    for item in shop.rows("(SELECT * FROM tds_sync_queue WHERE status <> 'completed')", "id").await {
        writeln!(picture, "item {} {} {}", item["entity_type"], item["status"], item["error_message"])
            .expect("written");
    }
    picture
}

async fn replay(name: &str, history: &str) {
    let shop = Shop::open().await;
    for line in history.lines() {
        let next = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        step(&shop, next).await;
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let picture = picture(&shop).await;
    settings.bind(|| insta::assert_snapshot!(name, picture));
}

/// Generates one test for each stored history.
macro_rules! histories {
    ($($test:ident: $name:literal,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                replay($name, include_str!(concat!("golden/", $name, ".jsonl"))).await;
            }
        )+
    };
}

histories! {
    the_stored_history_of_products_gives_the_same_rows: "products",
    the_stored_history_of_contacts_gives_the_same_rows: "contacts",
    the_stored_history_of_documents_gives_the_same_rows: "documents",
    the_stored_history_of_prices_and_stock_gives_the_same_rows: "prices_and_stock",
    the_stored_history_of_orders_and_payments_gives_the_same_rows: "orders_and_payments",
    the_stored_history_of_odd_bodies_gives_the_same_rows: "odd_bodies",
}
