//! Two organizations in one database: two servers, each with its own pair of schemas. Their records have the same ids, both
//! are written from both sides at the same time, and every row is the one of its own organization.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{
    FakeZoho, Module,
    demo::{self, Size},
};
use tokio::time::Instant;

use crate::process::{PATIENCE, Process};

const SIZE: Size = Size {
    items: 12,
    customers: 8,
    vendors: 3,
    invoices: 24,
    bills: 8,
    credit_notes: 4,
    sales_orders: 6,
    purchase_orders: 4,
    vendor_credits: 2,
};

/// The changes of each kind that each organization gets.
const ROUNDS: usize = 10;

/// A table, the module of its records, and its columns that have the text of a key of the record.
type Compared = (&'static str, Module, &'static [(&'static str, &'static str)]);

const TABLES: [Compared; 8] = [
    ("products", Module::ITEMS, &[("name", "name"), ("description", "description"), ("sku", "sku")]),
    (
        "invoices",
        Module::INVOICES,
        &[("number", "invoice_number"), ("customer_name", "customer_name"), ("notes", "notes")],
    ),
    ("bills", Module::BILLS, &[("number", "bill_number"), ("vendor_name", "vendor_name")]),
    (
        "credit_notes",
        Module::CREDIT_NOTES,
        &[("number", "creditnote_number"), ("customer_name", "customer_name")],
    ),
    (
        "sales_orders",
        Module::SALES_ORDERS,
        &[("number", "salesorder_number"), ("customer_name", "customer_name")],
    ),
    (
        "purchase_orders",
        Module::PURCHASE_ORDERS,
        &[("number", "purchaseorder_number"), ("vendor_name", "vendor_name")],
    ),
    (
        "vendor_credits",
        Module::VENDOR_CREDITS,
        &[("number", "vendor_credit_number"), ("vendor_name", "vendor_name")],
    ),
    ("customers", Module::CONTACTS, &[("name", "contact_name"), ("notes", "notes"), ("mobile", "mobile")]),
];

struct Organization<'a> {
    /// Texts that are written in this organization begin with it.
    mark: &'static str,
    zoho: FakeZoho,
    database: &'a TestDatabase,
    server: Process,
    /// The quoted schemas.
    engine: &'static str,
    mirror: &'static str,
}

impl<'a> Organization<'a> {
    /// Opens an organization with records of its own, and waits until its server is ready. The server migrates its schemas.
    async fn open(database: &'a TestDatabase, mark: &'static str, seed: u64, more: &[(&str, &str)]) -> Self {
        let zoho = FakeZoho::start().await;
        demo::organization(&zoho, SIZE, seed);
        let schedules = ["INCREMENTAL", "FULL", "STOCK", "PRICES", "VERIFY"];
        let schedules = schedules.map(|name| format!("TDS_{name}_EVERY"));
        let mut settings: Vec<(&str, &str)> = schedules.iter().map(|name| (name.as_str(), "off")).collect();
        settings.push(("TDS_WRITE_GUARD", "on"));
        settings.extend(more);
        let server = Process::start(&zoho, database, &settings).await;
        let (engine, mirror) = if more.is_empty() { ("public", "erp") } else { ("\"Tds_B\"", "\"erp_B\"") };
        Self { mark, zoho, database, server, engine, mirror }
    }

    /// Returns the statement with the names of the schemas in place of `$e` and `$m`.
    fn sql(&self, text: &str) -> String {
        text.replace("$e", self.engine).replace("$m", self.mirror)
    }

    async fn text(&self, sql: &str) -> Option<String> {
        let sql = self.sql(sql);
        let found = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(sql.clone()))
            .fetch_optional(self.database.database().pool())
            .await;
        found.unwrap_or_else(|error| panic!("{sql}: {error}")).flatten()
    }

    async fn number(&self, of: &str) -> i64 {
        let number = self.text(&format!("SELECT ({of})::text")).await.expect("a number");
        number.parse().expect("a number")
    }

    async fn sync(&self) {
        let body = json!({"entity_type": "all", "mode": "full"});
        let (status, answer) = self.server.post("/api/zoho/bulk-sync", body).await;
        assert_eq!(status, 202, "{answer}");
        for run in answer["runs"].as_array().expect("runs") {
            let run = self.server.run_ended(run["id"].as_i64().expect("an id")).await;
            assert_eq!(run["status"], "completed", "{run:#}");
        }
    }

    async fn set_modes(&self) {
        for entity in ["products", "customers", "invoices"] {
            let change = json!({"entity_type": entity, "mode": "bidirectional"});
            let (status, answer) = self.server.put("/api/zoho/sync/modes", change).await;
            assert_eq!(status, 200, "{answer}");
        }
    }

    async fn deliver(&self, path: &str, event: &str, body: &str) {
        self.server.webhook_accepted(&format!("{path}?event={event}"), body).await;
    }

    /// Changes records in Zoho and delivers their webhooks.
    async fn zoho_changes(&self) {
        let items = self.zoho.ids(Module::ITEMS);
        let customers = self.text("SELECT string_agg(zoho_id, ' ' ORDER BY zoho_id) FROM $m.customers").await;
        let customers = customers.expect("customers");
        let customers: Vec<&str> = customers.split(' ').collect();
        for n in 0..ROUNDS {
            let text = format!("{} Zoho {n}", self.mark);
            let (item, customer) = (&items[n % items.len()], customers[n % customers.len()]);
            assert!(self.zoho.update(Module::ITEMS, item, json!({"description": text})));
            assert!(self.zoho.update(Module::CONTACTS, customer, json!({"notes": text})));
            self.deliver("products", "updated", &self.zoho.webhook_body(Module::ITEMS, item)).await;
            self.deliver("customers", "updated", &self.zoho.webhook_body(Module::CONTACTS, customer)).await;
        }
    }

    /// Returns one change of each kind that an ERP makes in the mirror.
    fn local_changes(&self, n: usize) -> String {
        let at = |table: &str, and: &str| {
            format!(
                "(SELECT id FROM $m.{table} WHERE zoho_id IS NOT NULL AND deleted_at IS NULL {and}
                   ORDER BY id OFFSET {} LIMIT 1)",
                n % 8
            )
        };
        self.sql(&format!(
            "UPDATE $m.products SET name = '{mark} item {n}' WHERE id = {};
             UPDATE $m.customers SET mobile = '{mark} {n}' WHERE id = {};
             UPDATE $m.invoices SET notes = '{mark} invoice {n}' WHERE id = {};
             INSERT INTO $m.customers (name, currency_code) VALUES ('{mark} new {n}', 'IQD');",
            at("products", ""),
            at("customers", ""),
            at("invoices", "AND status <> 'void'"),
            mark = self.mark
        ))
    }

    /// Waits until nothing is on its way, and asserts that nothing failed.
    async fn quiet(&self) {
        const WAITING: &str =
            "(SELECT count(*) FROM $e.tds_outbox WHERE status = 'pending') + (SELECT count(*)
          FROM $e.tds_sync_queue WHERE status IN ('pending', 'processing', 'failed') AND queued_at <= now())";
        const FAILED: &str =
            "SELECT string_agg(concat_ws(' ', entity_type, entity_id, error_message), E'\\n')
          FROM $e.tds_sync_queue WHERE status IN ('failed', 'dead_letter')";
        let deadline = Instant::now() + PATIENCE;
        while self.number(WAITING).await > 0 {
            assert!(Instant::now() < deadline, "{}: {:?}", self.mark, self.text(FAILED).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.text(FAILED).await, None, "{}", self.mark);
    }

    /// Delivers the webhooks of what was pushed.
    async fn echo(&self) {
        for echo in self.zoho.take_webhooks() {
            self.deliver(&echo.entity_path, &echo.event, &echo.body).await;
        }
    }

    /// Compares every row of the tables with this organization in Zoho. Returns the number of rows.
    async fn assert_own(&self, other: &str) -> usize {
        let mut compared = 0;
        for (table, module, columns) in TABLES {
            let rows = format!(
                "SELECT coalesce(json_agg(to_jsonb(t) - 'raw'), '[]')::text FROM $m.{table} AS t WHERE deleted_at IS NULL"
            );
            let rows: Vec<Value> =
                serde_json::from_str(&self.text(&rows).await.expect("rows")).expect("JSON");
            assert!(!rows.is_empty(), "{table}");
            if module != Module::CONTACTS {
                assert_eq!(rows.len(), self.zoho.ids(module).len(), "{} {table}", self.mark);
            }
            for row in &rows {
                let id = row["zoho_id"].as_str().unwrap_or_else(|| panic!("{} {table}: {row:#}", self.mark));
                let record = self.zoho.get(module, id).unwrap_or_else(|| panic!("{} has no {id}", self.mark));
                for (column, key) in columns {
                    let text =
                        |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
                    assert_eq!(
                        text(row.get(column)),
                        text(record.get(*key)),
                        "{} {table} {id} {column}",
                        self.mark
                    );
                }
            }
            compared += rows.len();
        }
        // Neither side has a text of the other organization, in any column of any table.
        for (table, ..) in TABLES {
            let foreign =
                format!("SELECT count(*) FROM $m.{table} AS t WHERE to_jsonb(t)::text LIKE '%\"{other} %'");
            assert_eq!(self.number(&foreign).await, 0, "{} {table}", self.mark);
        }
        let foreign = format!("\"{other} ");
        let modules = [Module::ITEMS, Module::CONTACTS, Module::INVOICES];
        let in_zoho = modules.into_iter().flat_map(|module| {
            let ids = self.zoho.ids(module);
            ids.into_iter().filter_map(move |id| self.zoho.get(module, &id))
        });
        assert_eq!(
            in_zoho.filter(|record| json!(record).to_string().contains(&foreign)).count(),
            0,
            "{}",
            self.mark
        );
        let new = format!(
            "SELECT count(*) FROM $m.customers WHERE name LIKE '{} new %' AND zoho_id IS NOT NULL",
            self.mark
        );
        assert_eq!(self.number(&new).await, i64::try_from(ROUNDS).expect("small"), "{}", self.mark);
        compared
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_organizations_in_one_database_never_mix() {
    let database = TestDatabase::empty().await;
    // The second server migrates its schemas while the first one works.
    let one = Organization::open(&database, "Alpha", 5, &[]).await;
    let (_, two) = tokio::join!(
        one.sync(),
        Organization::open(&database, "Beta", 6, &[("TDS_SCHEMA", "Tds_B"), ("TDS_ERP_SCHEMA", "erp_B")])
    );
    two.sync().await;
    tokio::join!(one.set_modes(), two.set_modes());

    let program = async {
        for n in 0..ROUNDS {
            // A program writes both mirrors in one transaction.
            let changes = format!("BEGIN; {} {} COMMIT", two.local_changes(n), one.local_changes(n));
            let written = sqlx::raw_sql(AssertSqlSafe(changes)).execute(database.database().pool()).await;
            written.expect("written");
        }
    };
    tokio::join!(program, one.zoho_changes(), two.zoho_changes(), one.sync(), two.sync());
    for organization in [&one, &two] {
        organization.quiet().await;
    }
    for organization in [&one, &two] {
        organization.echo().await;
        organization.quiet().await;
    }
    let compared = [one.assert_own("Beta").await, two.assert_own("Alpha").await];
    println_rows(compared);

    // A command with the schemas or the id of the wrong organization says so, and does nothing.
    for (arguments, expected) in [
        (
            &["queue", "list", "--erp-schema", "erp_B"][..],
            "the mirror of the engine in \"public\" is in \"erp\"",
        ),
        (&["queue", "list", "--schema", "Tds_B"], "the mirror of the engine in \"Tds_B\" is in \"erp_B\""),
        (&["inbox", "replay", "1", "--zoho-organization-id", "7"], "belong to the organization"),
        (&["verify", "--zoho-organization-id", "7"], "see TDS_SCHEMA, TDS_ERP_SCHEMA"),
        (&["plan", "--zoho-organization-id", "7"], "belong to the organization"),
        (&["migrate", "--schema", "pg_mine"], "TDS_SCHEMA"),
    ] {
        let (status, _, told) = one.server.told(arguments).await;
        assert!(status != 0 && told.contains(expected), "{arguments:?}: {status} {told}");
    }

    // An organization that is removed leaves the other one as it is.
    two.server.kill().await;
    sqlx::raw_sql("DROP SCHEMA \"Tds_B\", \"erp_B\" CASCADE")
        .execute(database.database().pool())
        .await
        .expect("dropped");
    let item = one.zoho.ids(Module::ITEMS).remove(0);
    assert!(one.zoho.update(Module::ITEMS, &item, json!({"description": "Alpha last"})));
    one.deliver("products", "updated", &one.zoho.webhook_body(Module::ITEMS, &item)).await;
    one.quiet().await;
    one.assert_own("Beta").await;
    one.server.kill().await;
}

#[expect(clippy::print_stdout, reason = "the number of compared rows")]
fn println_rows([one, two]: [usize; 2]) {
    println!("compared {one} and {two} rows, 0 of the other organization");
}
