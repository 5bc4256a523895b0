//! Verification from outside: a real server, PostgreSQL, and a simulated Zoho with every entity type. One shop serves all
//! checks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, Module, stamp};
use tokio::time::{Duration, Instant};

use crate::{
    process::{PATIENCE, Process, calls_of_the_dead_are_over, until, until_count},
    records::{self, Kind},
    whole_shop,
};

/// The tables that a comparison covers, with the entity type of each head table.
const TABLES: [&str; 29] = [
    "products",
    "customers",
    "vendors",
    "invoices",
    "invoice_lines",
    "bills",
    "bill_lines",
    "credit_notes",
    "credit_note_lines",
    "stock_levels",
    "price_lists",
    "price_list_items",
    "sales_orders",
    "sales_order_lines",
    "customer_payments",
    "customer_payment_allocations",
    "purchase_orders",
    "purchase_order_lines",
    "vendor_payments",
    "vendor_payment_allocations",
    "vendor_credits",
    "vendor_credit_lines",
    "item_groups",
    "composite_items",
    "composite_item_components",
    "currencies",
    "exchange_rates",
    "taxes",
    "locations",
];

/// A change of the tables behind the back of TDS, and how it must be reported.
struct Plant {
    sql: &'static str,
    entity: &'static str,
    id: &'static str,
    class: &'static str,
    /// The beginning of the name of the field; empty if one side lacks the record.
    field: &'static str,
}

const fn plant(
    entity: &'static str,
    id: &'static str,
    class: &'static str,
    field: &'static str,
    sql: &'static str,
) -> Plant {
    Plant { sql, entity, id, class, field }
}

const PLANTS: [Plant; 22] = [
    // Columns that the list shows.
    plant(
        "products",
        "1001",
        "field_diff",
        "rate",
        "UPDATE erp.products SET rate = rate + 0.01 WHERE zoho_id = '1001'",
    ),
    plant(
        "customers",
        "2001",
        "field_diff",
        "email",
        "UPDATE erp.customers SET email = NULL WHERE zoho_id = '2001'",
    ),
    plant(
        "bills",
        "5001",
        "field_diff",
        "balance",
        "UPDATE erp.bills SET balance = 0 WHERE zoho_id = '5001'",
    ),
    plant("taxes", "460000000076117", "field_diff", "percentage", "UPDATE erp.taxes SET percentage = 1"),
    plant("locations", "460000000038080", "field_diff", "phone", "UPDATE erp.locations SET phone = '1'"),
    // A column that only a whole record shows.
    plant(
        "vendors",
        "3001",
        "field_diff",
        "notes",
        "UPDATE erp.vendors SET notes = 'by hand' WHERE zoho_id = '3001'",
    ),
    // A column that the list spells in its own way.
    plant(
        "invoices",
        "4003",
        "field_diff",
        "billing_address",
        "UPDATE erp.invoices SET billing_address = '{}' WHERE zoho_id = '4003'",
    ),
    // Whole records.
    plant("customers", "2002", "missing_local", "", "DELETE FROM erp.customers WHERE zoho_id = '2002'"),
    plant(
        "products",
        "1002",
        "missing_local",
        "",
        "UPDATE erp.products SET deleted_at = now() WHERE zoho_id = '1002'",
    ),
    plant(
        "bills",
        "777",
        "missing_remote",
        "",
        "INSERT INTO erp.bills (zoho_id, number) VALUES ('777', 'by hand')",
    ),
    plant("credit_notes", "6001", "stale", "", "SELECT 1"),
    // Child rows.
    plant(
        "invoices",
        "4001",
        "field_diff",
        "invoice_lines[460000000567021].quantity",
        "UPDATE erp.invoice_lines SET quantity = 3 WHERE document_zoho_id = '4001' AND line_zoho_id = '460000000567021'",
    ),
    plant(
        "invoices",
        "4002",
        "field_diff",
        "invoice_lines[460000000567022]",
        "DELETE FROM erp.invoice_lines WHERE document_zoho_id = '4002' AND line_zoho_id = '460000000567022'",
    ),
    plant(
        "prices",
        "460000000870002",
        "field_diff",
        "price_list_items[",
        "UPDATE erp.price_list_items SET rate = rate * 1500 WHERE start_quantity = 10",
    ),
    plant(
        "customer_payments",
        "460000000610001",
        "field_diff",
        "customer_payment_allocations[460000000567115].amount_applied",
        "UPDATE erp.customer_payment_allocations SET amount_applied = 1 WHERE position = 2",
    ),
    plant(
        "vendor_payments",
        "460000000610001",
        "field_diff",
        "vendor_payment_allocations[460000000098766]",
        "DELETE FROM erp.vendor_payment_allocations WHERE position = 2",
    ),
    plant(
        "stock",
        "1003",
        "field_diff",
        "stock_levels[460000000038081].stock_on_hand",
        "UPDATE erp.stock_levels SET stock_on_hand = stock_on_hand + 1 WHERE product_zoho_id = '1003' AND location_zoho_id = '460000000038081'",
    ),
    plant(
        "sales_orders",
        "460000000610001",
        "field_diff",
        "sales_order_lines[460000000567021].quantity_invoiced",
        "UPDATE erp.sales_order_lines SET quantity_invoiced = 0 WHERE line_zoho_id = '460000000567021'",
    ),
    plant(
        "purchase_orders",
        "460000000610001",
        "field_diff",
        "purchase_order_lines[1]",
        "INSERT INTO erp.purchase_order_lines (document_zoho_id, line_zoho_id, position) VALUES ('460000000610001', '1', 3)",
    ),
    plant(
        "composite_items",
        "460000000053250",
        "field_diff",
        "composite_item_components[460000000027009].quantity",
        "UPDATE erp.composite_item_components SET quantity = 2.51 WHERE position = 1",
    ),
    plant(
        "item_groups",
        "460000000055001",
        "field_diff",
        "attributes",
        "UPDATE erp.item_groups SET attributes = attributes - 1",
    ),
    plant(
        "currencies",
        "460000000000097",
        "field_diff",
        "exchange_rates[2026-09-01].rate",
        "UPDATE erp.exchange_rates SET rate = rate * 1500 WHERE effective_date = '2026-09-01'",
    ),
];

/// Keeps a credit note as it is now, row for row. [`OLD`] puts it back.
const KEEP: [&str; 3] = [
    "CREATE TABLE public.old_note AS SELECT * FROM erp.credit_notes WHERE zoho_id = '6001'",
    "CREATE TABLE public.old_lines AS SELECT * FROM erp.credit_note_lines WHERE document_zoho_id = '6001'",
    "CREATE TABLE public.old_state AS SELECT * FROM tds_sync_records WHERE entity_type = 'credit_notes' AND zoho_id = '6001'",
];
const OLD: [&str; 6] = [
    "DELETE FROM erp.credit_notes WHERE zoho_id = '6001'",
    "DELETE FROM erp.credit_note_lines WHERE document_zoho_id = '6001'",
    "DELETE FROM tds_sync_records WHERE entity_type = 'credit_notes' AND zoho_id = '6001'",
    "INSERT INTO erp.credit_notes OVERRIDING SYSTEM VALUE SELECT * FROM public.old_note",
    "INSERT INTO erp.credit_note_lines OVERRIDING SYSTEM VALUE SELECT * FROM public.old_lines",
    "INSERT INTO tds_sync_records SELECT * FROM public.old_state",
];

/// Acts as if everything had been read an hour ago: records that were seen within the last minute are looked at again
/// only later.
const AGE: &str = "UPDATE tds_sync_records SET observed_began = observed_began - interval '1 hour',
    observed_ended = observed_ended - interval '1 hour', first_seen_at = first_seen_at - interval '1 hour',
    detail_seen = detail_seen - interval '1 hour', volatile_seen = volatile_seen - interval '1 hour'";

struct Verified {
    zoho: FakeZoho,
    database: TestDatabase,
    server: Process,
}

impl Verified {
    async fn open() -> Self {
        let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
        enter(&zoho);
        let server = Process::start(&zoho, &database, &[]).await;
        let (status, answer) =
            server.post("/api/zoho/bulk-sync", json!({"entity_type": "all", "mode": "full"})).await;
        assert_eq!(status, 202, "{answer}");
        for run in answer["runs"].as_array().expect("runs") {
            let run = server.run_ended(run["id"].as_i64().expect("an id")).await;
            assert_eq!(run["status"], "completed", "{run:#}");
        }
        Self { zoho, database, server }
    }

    async fn execute(&self, sql: &'static str) {
        let done = sqlx::query(sql).execute(self.database.database().pool()).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Returns every row of the mirror without what depends on the time of its writing.
    async fn mirror(&self) -> BTreeMap<&'static str, BTreeSet<String>> {
        let mut tables = BTreeMap::new();
        for table in TABLES {
            let sql = format!(
                "SELECT (to_jsonb(t) - ARRAY['id', 'raw', 'synced_at', 'balance_seen_at'])::text FROM erp.{table} t"
            );
            let rows =
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(self.database.database().pool()).await;
            let rows: Vec<String> = rows.unwrap_or_else(|error| panic!("{table}: {error}"));
            tables.insert(table, rows.into_iter().collect());
        }
        tables
    }

    /// Starts a verification over the API and returns its id.
    async fn start(&self, entity: &str) -> i64 {
        let (status, answer) = self.server.post("/api/zoho/verify", json!({"entity_type": entity})).await;
        assert_eq!((status.as_u16(), &answer["run_type"]), (202, &json!("verify")), "{answer}");
        assert_eq!(answer["id"], answer["runs"][0]["id"], "{answer}");
        assert!(["pending", "running"].contains(&answer["status"].as_str().expect("a status")), "{answer}");
        answer["id"].as_i64().expect("an id")
    }

    /// Waits for the report of a verification.
    async fn report(&self, id: i64) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let report = self.server.get(&format!("/api/zoho/verify/{id}")).await;
            if report["completed_at"].is_string() {
                return report;
            }
            assert!(Instant::now() < deadline, "the verification does not end: {report:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Runs `verify` as a command, and returns its exit status and its report.
    async fn command(&self, more: &[&str]) -> (i32, Value) {
        let (status, output) = self.server.command(&[&["verify", "--json"], more].concat()).await;
        (status, serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}")))
    }
}

/// Enters records of every entity type.
fn enter(zoho: &FakeZoho) {
    let put = |module: Module, mut record: Value, id: String| {
        record[module.id_key] = json!(id);
        zoho.put(module, record);
    };
    for n in 1..=3 {
        put(Module::ITEMS, records::item(), format!("100{n}"));
        put(Module::CONTACTS, records::contact("customer"), format!("200{n}"));
        put(Module::CONTACTS, records::contact("vendor"), format!("300{n}"));
        put(Module::INVOICES, records::document(Kind::Invoice), format!("400{n}"));
        put(Module::BILLS, records::document(Kind::Bill), format!("500{n}"));
        put(Module::CREDIT_NOTES, records::document(Kind::CreditNote), format!("600{n}"));
    }
    zoho.put(Module::PRICE_LISTS, records::price_list());
    whole_shop::enter_all(zoho);
}

fn total(report: &Value, key: &str) -> u64 {
    let entities = report["entities"].as_array().expect("entities");
    entities.iter().map(|entity| entity[key].as_u64().expect("a number")).sum()
}

/// Returns a report without the numbers of calls, which are counted a moment after the calls.
fn without_calls(mut report: Value) -> Value {
    let entities = report["entities"].as_array_mut().expect("entities").iter_mut().map(Value::as_object_mut);
    entities.flatten().for_each(|entity| assert!(entity.remove("api_calls").is_some()));
    report["api_calls"] = Value::Null;
    report
}

/// Returns the examples of a report as `entity id class`, with the names of the fields.
fn found(report: &Value) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for entity in report["entities"].as_array().expect("entities") {
        for example in entity["examples"].as_array().expect("examples") {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let key = [&entity["entity_type"], &example["zoho_id"], &example["class"]].map(text).join(" ");
            let fields = example["fields"].as_array().expect("fields");
            let fields = fields.iter().map(|field| text(&field["field"])).collect();
            assert_eq!(found.insert(key, fields), None, "found twice: {report:#}");
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_finds_each_planted_drift_once_repairs_it_and_invents_none() {
    let shop = Verified::open().await;
    let server = &shop.server;
    let none = server.get("/api/zoho/verify/latest").await;
    assert_eq!((&none["status"], &none["type"]), (&json!(404), &json!("/problems/unknown-id")), "{none}");

    // An older version of a credit note is kept, and then the note changes.
    shop.execute(AGE).await;
    for sql in KEEP {
        shop.execute(sql).await;
    }
    let changed = json!({"reference_number": "newer", "last_modified_time": stamp(shop.zoho.now() - time::Duration::hours(1))});
    assert!(shop.zoho.update(Module::CREDIT_NOTES, "6001", changed));
    let run = server.run_ended(server.bulk_sync("credit_notes", "full").await).await;
    assert_eq!(run["status"], "completed", "{run:#}");
    shop.execute(AGE).await;
    let settled = shop.mirror().await;

    // After settling, nothing differs, and the calls are those of the cost formula. Calls are counted a moment later.
    let before = shop.zoho.calls();
    let id = shop.start("all").await;
    shop.report(id).await;
    let made = shop.zoho.calls() - before;
    until("all calls are counted", async || shop.report(id).await["api_calls"] == json!(made)).await;
    let report = shop.report(id).await;
    assert_eq!((&report["status"], &report["drift_total"]), (&json!("completed"), &json!(0)), "{report:#}");
    assert_eq!(report["entities"].as_array().map(Vec::len), Some(18));
    assert_eq!((total(&report, "in_flight"), found(&report)), (0, BTreeMap::new()), "{report:#}");
    let plan = server.get("/api/zoho/plan").await;
    let costs: BTreeMap<&str, u64> = plan["costs"]
        .as_array()
        .expect("costs")
        .iter()
        .filter(|cost| cost["cause"] == "verification")
        .map(|cost| {
            (cost["entity_type"].as_str().expect("a name"), cost["calls_a_day"].as_u64().expect("calls"))
        })
        .collect();
    for entity in report["entities"].as_array().expect("entities") {
        let name = entity["entity_type"].as_str().expect("a name");
        // Whole records of these types are read from their list, which is one more call.
        // The sums of the one month with invoices cost one more call, too.
        let list_again = u64::from(["currencies", "locations", "invoices"].contains(&name));
        let calls = entity["api_calls"].as_u64().expect("calls");
        assert_eq!(Some(calls), costs.get(name).map(|cost| cost + list_again), "{name}: {entity:#}");
        assert_eq!(
            (&entity["compared"], &entity["erp_records"]),
            (&entity["zoho_records"], &entity["zoho_records"]),
            "{entity:#}"
        );
    }
    assert_eq!(shop.mirror().await, settled, "a comparison writes nothing");

    // Each planted drift is found once, with its class and its field.
    for sql in OLD {
        shop.execute(sql).await;
    }
    for plant in PLANTS {
        shop.execute(plant.sql).await;
    }
    let (status, report) = shop.command(&[]).await;
    let mut found_now = found(&report);
    for plant in PLANTS {
        let key = format!("{} {} {}", plant.entity, plant.id, plant.class);
        let fields = found_now.remove(&key).unwrap_or_else(|| panic!("{key} was not found: {report:#}"));
        let is_named = |field: &String| field.starts_with(plant.field);
        assert!(
            plant.field.is_empty() || fields.len() == 1 && fields.iter().all(is_named),
            "{key}: {fields:?}"
        );
    }
    assert_eq!(found_now, BTreeMap::new(), "invented: {report:#}");
    assert_eq!((status, report["drift_total"].as_u64()), (1, Some(22)), "{report:#}");
    assert!(report["money"].as_array().is_some_and(|rows| !rows.is_empty()), "{report:#}");
    assert_eq!(without_calls(report), without_calls(server.get("/api/zoho/verify/latest").await));
    let stats = server.get("/api/zoho/sync/stats").await;
    assert_eq!(stats["needs_attention"]["drift"], json!(22), "{stats:#}");
    let health = server.get("/health").await;
    assert_eq!(health["components"]["verification"]["state"], "degraded", "{health:#}");
    let metrics = server.get("/metrics").await.to_string();
    for line in [
        r#"tds_drift_rows{entity=\"products\",kind=\"field_diff\"} 1"#,
        r#"tds_drift_rows{entity=\"stock\",kind=\"stale\"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }

    // Repair makes all of it equal again.
    let (_, report) = shop.command(&["--repair"]).await;
    assert_eq!((total(&report, "repaired"), &report["drift_total"]), (22, &json!(0)), "{report:#}");
    for (table, rows) in shop.mirror().await {
        if table == "bills" {
            // The row that Zoho does not have is a tombstone now.
            let gone = rows.difference(&settled[table]).collect::<Vec<_>>();
            assert!(
                gone.len() == 1 && gone[0].contains("by hand") && !gone[0].contains(r#""deleted_at": null"#),
                "{gone:?}"
            );
            assert_eq!(settled[table].difference(&rows).count(), 0);
        } else {
            assert_eq!(rows, settled[table], "{table}");
        }
    }
    let (_, report) = shop.command(&[]).await;
    assert_eq!((&report["drift_total"], total(&report, "in_flight")), (&json!(0), 0), "{report:#}");
    // The documents of this shop do not belong together, so sums of money differ. Of these types nothing does.
    let (status, report) = shop.command(&["--entity", "products,stock,taxes"]).await;
    assert_eq!((status, report["entities"].as_array().map(Vec::len)), (0, Some(3)), "{report:#}");

    // A process that is killed in the middle leaves a verification that another one continues.
    shop.execute(AGE).await;
    shop.execute("UPDATE erp.invoices SET total = 1 WHERE zoho_id = '4003'").await;
    shop.zoho.set_latency(Duration::from_millis(100));
    let id = shop.start("all").await;
    let statuses = async || {
        let report = server.get(&format!("/api/zoho/verify/{id}")).await;
        let entities = report["entities"].as_array().cloned().unwrap_or_default();
        entities.into_iter().map(|entity| entity["status"].to_string()).collect::<Vec<_>>()
    };
    until("some runs have ended and others run", async || {
        let statuses = statuses().await;
        statuses.iter().any(|status| status.contains("completed"))
            && statuses.iter().any(|status| status.contains("running"))
    })
    .await;
    server.kill().await;
    calls_of_the_dead_are_over(&shop.zoho, &shop.database).await;
    shop.zoho.set_latency(Duration::ZERO);
    server.start_again().await;
    let report = shop.report(id).await;
    assert_eq!((&report["status"], &report["drift_total"]), (&json!("completed"), &json!(1)), "{report:#}");
    assert_eq!(
        found(&report),
        BTreeMap::from([("invoices 4003 field_diff".to_owned(), vec!["total".to_owned()])])
    );

    // A comparison runs beside a sync of the same entity type. A change that arrives meanwhile is no drift. Whether the
    // record counts as just seen at its second look, which then comes a minute later, depends on when it is aged.
    shop.zoho.set_latency(Duration::from_millis(500));
    let verification = shop.start("products").await;
    let sync = server.bulk_sync("products", "incremental").await;
    let edit =
        json!({"rate": 77, "last_modified_time": stamp(shop.zoho.now() - time::Duration::minutes(10))});
    assert!(shop.zoho.update(Module::ITEMS, "1001", edit));
    let item = shop.zoho.webhook_body(Module::ITEMS, "1001");
    server.webhook_accepted("products", &item).await;
    until_count(&shop.database, "erp.products WHERE zoho_id = '1001' AND rate = 77", 1).await;
    shop.execute(AGE).await;
    assert_eq!(server.run_ended(sync).await["status"], "completed");
    let report = shop.report(verification).await;
    assert_eq!((&report["status"], &report["drift_total"]), (&json!("completed"), &json!(0)), "{report:#}");
    let busy = server.post("/api/zoho/verify", json!({"entity_type": "nothing"})).await;
    assert_eq!(busy.0, 422, "{}", busy.1);
    server.kill().await;
}
