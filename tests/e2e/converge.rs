//! Webhooks are lost, duplicated, reordered and raced: afterwards one full sync makes the tables equal to Zoho.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};
use tds_zoho::testkit::{
    FakeZoho, Module,
    demo::{self, Size},
    number,
    sample::{self, ContactKind},
};

use crate::shop::Shop;

/// The head tables, each with its entity type and the module that fills it.
const HEADS: [(&str, Module); 17] = [
    ("products", Module::ITEMS),
    ("customers", Module::CONTACTS),
    ("vendors", Module::CONTACTS),
    ("invoices", Module::INVOICES),
    ("bills", Module::BILLS),
    ("credit_notes", Module::CREDIT_NOTES),
    ("price_lists", Module::PRICE_LISTS),
    ("item_groups", Module::ITEM_GROUPS),
    ("composite_items", Module::COMPOSITE_ITEMS),
    ("currencies", Module::CURRENCIES),
    ("taxes", Module::TAXES),
    ("locations", Module::LOCATIONS),
    ("sales_orders", Module::SALES_ORDERS),
    ("customer_payments", Module::CUSTOMER_PAYMENTS),
    ("purchase_orders", Module::PURCHASE_ORDERS),
    ("vendor_payments", Module::VENDOR_PAYMENTS),
    ("vendor_credits", Module::VENDOR_CREDITS),
];
/// The child tables, each with the column of its owner and the table of its owner.
const CHILDREN: [(&str, &str, &str); 12] = [
    ("invoice_lines", "document_zoho_id", "invoices"),
    ("bill_lines", "document_zoho_id", "bills"),
    ("credit_note_lines", "document_zoho_id", "credit_notes"),
    ("sales_order_lines", "document_zoho_id", "sales_orders"),
    ("customer_payment_allocations", "payment_zoho_id", "customer_payments"),
    ("purchase_order_lines", "document_zoho_id", "purchase_orders"),
    ("vendor_payment_allocations", "payment_zoho_id", "vendor_payments"),
    ("vendor_credit_lines", "document_zoho_id", "vendor_credits"),
    ("price_list_items", "price_list_zoho_id", "price_lists"),
    ("stock_levels", "product_zoho_id", "products"),
    ("composite_item_components", "composite_zoho_id", "composite_items"),
    ("exchange_rates", "currency_zoho_id", "currencies"),
];
const MODULES: [(Module, &str); 6] = [
    (Module::ITEMS, "products"),
    (Module::CONTACTS, "customers"),
    (Module::INVOICES, "invoices"),
    (Module::BILLS, "bills"),
    (Module::CREDIT_NOTES, "credit-notes"),
    (Module::PRICE_LISTS, "prices"),
];

/// A pseudo-random number generator (64-bit xorshift), whose numbers repeat with the seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound.max(1)
    }

    fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }
}

/// The webhooks that are not delivered yet: the path with its query, and the body.
type Post = Vec<(String, String)>;

struct Course {
    shop: Shop,
    dice: Dice,
    post: Post,
    next: u64,
}

impl Course {
    fn zoho(&self) -> &FakeZoho {
        &self.shop.zoho
    }

    fn pick(&mut self, module: Module) -> Option<String> {
        let ids = self.zoho().ids(module);
        let index = self.dice.below(ids.len());
        ids.get(index).cloned()
    }

    /// Changes one record and posts the webhook of the change, which may be lost or duplicated.
    fn change(&mut self) {
        let (module, path) = MODULES[self.dice.below(MODULES.len())];
        let (event, id) = match self.dice.below(100) {
            0..45 => ("updated", self.update(module)),
            45..70 => ("", self.update_silently(module)),
            70..88 => ("created", Some(self.create(module))),
            _ => ("deleted", self.delete(module)),
        };
        let Some(id) = id.filter(|_| !event.is_empty()) else { return };
        let body = self.zoho().webhook_body(module, &id);
        for _ in 0..[0, 0, 1, 1, 1, 2][self.dice.below(6)] {
            let at = self.dice.below(self.post.len() + 1);
            self.post.insert(at, (format!("{path}?event={event}"), body.clone()));
        }
    }

    fn update(&mut self, module: Module) -> Option<String> {
        let id = self.pick(module)?;
        let n = self.dice.below(10_000);
        let changes = match module {
            Module::ITEMS => json!({"rate": number(&format!("{n}.50")), "description": format!("وصف {n}")}),
            Module::CONTACTS => json!({"notes": format!("note {n}"), "mobile": n.to_string()}),
            Module::PRICE_LISTS => json!({"name": format!("List {n}"), "pricebook_items": self.prices(&id)}),
            _ => {
                let mut lines = self.zoho().get(module, &id)?.get("line_items")?.clone();
                lines[0]["quantity"] = json!(n);
                json!({"line_items": lines, "notes": format!("note {n}"), "total": number(&format!("{n}.25"))})
            }
        };
        self.zoho().update(module, &id, changes).then_some(id)
    }

    /// Changes what Zoho changes without a new `last_modified_time`: stock, balances, states, and prices of lists.
    fn update_silently(&mut self, module: Module) -> Option<String> {
        let id = self.pick(module)?;
        let n = self.dice.below(500);
        let changes = match module {
            Module::ITEMS => {
                let mut item = Value::Object(self.zoho().get(module, &id)?);
                item.get("locations")?;
                sample::set_stock(&mut item, &[n.into(), 3.into(), (-2).into()], 1.into());
                item
            }
            Module::CONTACTS => {
                let record = self.zoho().get(module, &id)?;
                let side = if record["contact_type"] == "vendor" { "payable" } else { "receivable" };
                json!({format!("outstanding_{side}_amount"): n})
            }
            Module::PRICE_LISTS => json!({"pricebook_items": self.prices(&id)}),
            _ => json!({"status": "overdue", "balance": n}),
        };
        self.zoho().update_silently(module, &id, changes).then_some(id)
    }

    /// Returns the rows of a price list, some of them at a lower price and some removed.
    fn prices(&mut self, id: &str) -> Value {
        let record = self.zoho().get(Module::PRICE_LISTS, id).unwrap_or_default();
        let mut rows = record.get("pricebook_items").and_then(Value::as_array).cloned().unwrap_or_default();
        rows.retain(|_| !self.dice.percent(5));
        for row in &mut rows {
            if row.get("pricebook_rate").is_some() && self.dice.percent(20) {
                row["pricebook_rate"] = json!(self.dice.below(9_000));
            }
        }
        Value::Array(rows)
    }

    fn create(&mut self, module: Module) -> String {
        self.next += 1;
        let n = self.next;
        let kind = if self.dice.percent(30) { ContactKind::Vendor } else { ContactKind::Customer };
        let items = [sample::item(1), sample::item(n)];
        let record = match module {
            Module::CONTACTS => sample::contact(n, kind),
            Module::INVOICES => sample::invoice(n, &sample::contact(n, ContactKind::Customer), &items),
            Module::BILLS => sample::bill(n, &sample::contact(n, ContactKind::Vendor), &items),
            Module::CREDIT_NOTES => {
                sample::credit_note(n, &sample::contact(n, ContactKind::Customer), &items)
            }
            Module::PRICE_LISTS => sample::price_list_volume(n, &items),
            _ if self.dice.percent(20) => sample::service(n),
            _ => sample::item(n),
        };
        self.zoho().put(module, record)
    }

    fn delete(&mut self, module: Module) -> Option<String> {
        let id = self.pick(module)?;
        self.zoho().delete(module, &id).map(|_| id)
    }

    /// Delivers each posted webhook with a chance of `share` percent, and keeps the others for later.
    async fn deliver(&mut self, share: usize) {
        for (path, body) in std::mem::take(&mut self.post) {
            if self.dice.percent(share) {
                let (status, answer) = self.shop.webhook(&path, &body).await;
                assert_eq!(status.as_u16(), 200, "{answer}");
            } else {
                self.post.push((path, body));
            }
        }
    }

    /// Starts runs that race with everything else. The request answers 409 if a run of the entity type is active
    /// already.
    async fn start_incremental(&mut self) {
        let kinds =
            ["products", "customers", "vendors", "invoices", "bills", "credit_notes", "stock", "prices"];
        for kind in kinds {
            let request = json!({"entity_type": kind, "mode": "incremental"});
            let (status, answer) = self.shop.post("/api/zoho/bulk-sync", request).await;
            assert!(matches!(status.as_u16(), 202 | 409), "{answer}");
        }
    }
}

/// Runs one full sync of every entity type. Every run must be completed.
async fn full_sync(shop: &Shop) {
    let (status, answer) =
        shop.post("/api/zoho/bulk-sync", json!({"entity_type": "all", "mode": "full"})).await;
    assert_eq!(status.as_u16(), 202, "{answer}");
    for run in answer["runs"].as_array().expect("runs") {
        let ended = shop.run_ended(run["id"].as_i64().expect("an id")).await;
        assert_eq!(ended["status"], "completed", "{ended:#}");
    }
    shop.settled().await;
}

/// Returns all live rows of the mirror without the columns that depend on how a record arrived.
async fn mirror(shop: &Shop) -> HashMap<&'static str, Vec<Value>> {
    let mut tables = HashMap::new();
    for (table, _) in HEADS {
        let rows = format!("(SELECT * FROM erp.{table} WHERE deleted_at IS NULL)");
        tables.insert(table, bare(shop.rows(&rows, "zoho_id").await));
    }
    for (table, owner, head) in CHILDREN {
        let live = format!("{owner} IN (SELECT zoho_id FROM erp.{head} WHERE deleted_at IS NULL)");
        let rows = format!("(SELECT * FROM erp.{table} WHERE {live})");
        tables.insert(table, bare(shop.rows(&rows, &format!("to_jsonb(t) - {LOCAL}")).await));
    }
    tables
}

/// The columns with local ids, which depend on the order in which records arrived.
const LOCAL: &str =
    "ARRAY['id', 'customer_id', 'vendor_id', 'product_id', 'document_id', 'payment_id', 'price_list_id']";

fn bare(mut rows: Vec<Value>) -> Vec<Value> {
    for row in rows.iter_mut().filter_map(Value::as_object_mut) {
        row.retain(|column, _| {
            !matches!(column.as_str(), "synced_at" | "balance_seen_at" | "raw")
                && !LOCAL.contains(&format!("'{column}'"))
        });
    }
    rows
}

async fn converges(seed: u64) {
    let zoho = FakeZoho::start().await;
    let size = Size {
        items: 30,
        customers: 12,
        vendors: 4,
        invoices: 25,
        bills: 10,
        credit_notes: 8,
        sales_orders: 5,
        purchase_orders: 3,
        vendor_credits: 3,
    };
    demo::organization(&zoho, size, seed);
    let shop = Shop::open_over(zoho, &[]).await;
    let mut course = Course { shop, dice: Dice(seed | 1), post: Vec::new(), next: 1_000 };
    full_sync(&course.shop).await;
    for step in 0..150 {
        course.change();
        if step % 7 == 0 {
            course.deliver(50).await;
        }
        if step % 40 == 20 {
            course.start_incremental().await;
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    course.deliver(100).await;
    let active = "SELECT count(*)::text FROM tds_sync_runs WHERE status IN ('pending', 'running')";
    course.shop.until(active, "0").await;
    full_sync(&course.shop).await;

    let fresh = Shop::open_over(course.shop.zoho.clone(), &[]).await;
    full_sync(&fresh).await;
    let (found, wanted) = (mirror(&course.shop).await, mirror(&fresh).await);
    let mut differences = Vec::new();
    for (table, wanted) in &wanted {
        let found = &found[table];
        let missing =
            wanted.iter().filter(|row| !found.contains(row)).map(|row| format!("{table} lacks {row}"));
        let wrong = found.iter().filter(|row| !wanted.contains(row)).map(|row| format!("{table} has {row}"));
        differences.extend(missing.chain(wrong));
    }
    assert!(differences.is_empty(), "seed {seed}: {differences:#?}");
    for (table, module) in HEADS {
        let ids = course.shop.zoho.ids(module);
        for row in
            course.shop.rows(&format!("(SELECT * FROM erp.{table} WHERE deleted_at IS NOT NULL)"), "id").await
        {
            assert!(
                !ids.iter().any(|id| row["zoho_id"] == id.as_str()),
                "{table} {} is no tombstone",
                row["zoho_id"]
            );
        }
    }
    assert_eq!(course.shop.count("tds_sync_queue WHERE status = 'dead_letter'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_lost_duplicated_and_reordered_webhooks_a_full_sync_makes_the_tables_zohos() {
    converges(20_261_124).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_course_of_events_ends_the_same_way() {
    converges(7).await;
}
