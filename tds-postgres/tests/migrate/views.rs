//! Tests of the views of the mirror: what they show, and that they follow the tables.

use sqlx::AssertSqlSafe;
use tds_postgres::{
    FurtherMigration, MigrationReport, MigrationSettings, OrganizationFacts, PgStore, StoreSettings,
    testkit::TestDatabase,
};

use crate::support::text;

/// A head table of a program outside of TDS, and a column that a later version adds.
const ORDERS: FurtherMigration = FurtherMigration {
    name: "orders",
    sql: "CREATE TABLE erp.web_orders (zoho_id text UNIQUE, date date, currency_code text, exchange_rate numeric,
      total numeric, deleted_at timestamptz);
      ALTER TABLE erp.products ADD COLUMN colour text",
};

/// The payments of customers, as far as the views read them.
const PAYMENTS: FurtherMigration = FurtherMigration {
    name: "payments",
    sql: "CREATE TABLE IF NOT EXISTS erp.customer_payments (zoho_id text UNIQUE, number text, customer_zoho_id text,
      customer_name text, date date, currency_code text, exchange_rate numeric, amount numeric, unused_amount numeric,
      status text, deleted_at timestamptz)",
};

/// Documents of two customers in two currencies. The first line of each is the customer's; `day` is today at the
/// organization.
const DOCUMENTS: &str = "
INSERT INTO erp.customers (zoho_id, name, currency_code) VALUES ('c1', 'Dijla', 'USD'), ('c2', 'Basra', 'IQD');
INSERT INTO erp.invoices (zoho_id, customer_zoho_id, customer_name, status, due_date, currency_code, exchange_rate,
  total, balance, deleted_at, date)
SELECT v.id, v.customer, 'old name', v.status, today.day - v.age, v.currency, v.rate, v.balance * 2, v.balance,
       v.deleted, today.day
  FROM (VALUES ('not due', 'c1', 'sent', 0, 'USD', 1.0, 10.01, NULL::timestamptz),
    ('one', 'c1', 'overdue', 1, 'USD', NULL, 1, NULL), ('thirty', 'c1', 'overdue', 30, 'USD', 1, 2, NULL),
    ('sixty', 'c1', 'partially_paid', 60, 'USD', 1, 4, NULL), ('ninety', 'c1', 'overdue', 90, 'USD', 1, 8, NULL),
    ('old', 'c1', 'overdue', 91, 'USD', 1, 16, NULL), ('dinars', 'c2', 'sent', -5, 'IQD', 0.000763358, 25000.5, NULL),
    ('no rate', 'c2', 'sent', NULL, 'IQD', NULL, 4, NULL), ('draft', 'c1', 'draft', 100, 'USD', 1, 1000, NULL),
    ('void', 'c1', 'void', 100, 'USD', 1, 1000, NULL), ('paid', 'c1', 'paid', 100, 'USD', 1, 0, NULL),
    ('gone', 'c1', 'sent', 100, 'USD', 1, 1000, now()))
    AS v(id, customer, status, age, currency, rate, balance, deleted),
    (SELECT (now() AT TIME ZONE (SELECT time_zone FROM erp.organization))::date AS day) AS today;
INSERT INTO erp.credit_notes (zoho_id, customer_zoho_id, status, currency_code, balance)
  VALUES ('n1', 'c1', 'open', 'USD', 3.5), ('n2', 'c1', 'closed', 'USD', 0), ('n3', 'c1', 'draft', 'USD', 99);
INSERT INTO erp.customer_payments (zoho_id, customer_zoho_id, currency_code, exchange_rate, amount, unused_amount, date)
  VALUES ('p1', 'c1', 'USD', 1, 7, 0.25, '2026-11-01'), ('p2', 'c1', 'USD', 1, 7, 0, '2026-11-01')";

async fn migrate(test: &TestDatabase, further: &[FurtherMigration]) -> MigrationReport {
    let settings = MigrationSettings { further, ..MigrationSettings::default() };
    test.database().migrate_with(&settings).await.expect("migrates")
}

/// Returns the columns of a view in their order.
async fn columns(test: &TestDatabase, view: &str) -> String {
    let sql = format!(
        "SELECT string_agg(attname::text, ' ' ORDER BY attnum) FROM pg_attribute
          WHERE attrelid = '{view}'::regclass AND attnum > 0"
    );
    text(test, &sql).await
}

/// Returns the rows of a selection, each as its values.
async fn rows(test: &TestDatabase, selection: &str) -> Vec<String> {
    let sql = format!("SELECT array_to_string(t.r, ' ') FROM (SELECT {selection}) AS t");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(test.database()).await.expect("rows")
}

#[tokio::test]
async fn the_views_follow_the_tables_and_leave_alone_what_others_made() {
    let test = TestDatabase::new().await;
    let heads = "SELECT count(*)::text FROM information_schema.columns c JOIN information_schema.columns d
      USING (table_schema, table_name) JOIN information_schema.tables t USING (table_schema, table_name)
      WHERE table_schema = 'erp' AND c.column_name = 'deleted_at' AND d.column_name = 'zoho_id' AND table_type = 'BASE TABLE'";
    let live = "SELECT count(*)::text FROM pg_views WHERE schemaname = 'erp' AND viewname LIKE 'live\\_%'";
    assert_eq!(text(&test, live).await, text(&test, heads).await, "every head table has a view");
    test.execute("INSERT INTO erp.products (zoho_id, deleted_at) VALUES ('1', NULL), ('2', now())").await;
    assert_eq!(text(&test, "SELECT string_agg(zoho_id, ' ') FROM erp.live_products").await, "1");

    // What is up to date is not touched.
    let versions = "SELECT string_agg(xmin::text, ' ' ORDER BY oid) FROM pg_class WHERE relkind = 'v'";
    let before = text(&test, versions).await;
    assert_eq!(migrate(&test, &[]).await.notes, Vec::<String>::new());
    assert_eq!(text(&test, versions).await, before);

    // A new table, a new column, and a table that the operator gave the name of a view.
    test.execute("CREATE TABLE erp.live_web_orders (own int)").await;
    let report = migrate(&test, &[ORDERS]).await;
    assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
    assert!(report.notes[0].contains("erp.live_web_orders was not made by TDS"), "{:?}", report.notes);
    assert_eq!(columns(&test, "erp.live_web_orders").await, "own");
    assert_eq!(columns(&test, "erp.live_products").await, columns(&test, "erp.products").await);
    assert!(columns(&test, "erp.live_products").await.ends_with(" colour"));
    test.execute("DROP TABLE erp.live_web_orders").await;
    assert_eq!(migrate(&test, &[ORDERS]).await.notes, Vec::<String>::new());
    assert_eq!(columns(&test, "erp.live_web_orders").await, columns(&test, "erp.web_orders").await);

    // A view whose columns are others keeps its privileges. An object that needs it keeps it as it is.
    test.execute("DROP VIEW erp.live_web_orders; CREATE VIEW erp.live_web_orders AS SELECT 1 AS other, total FROM erp.web_orders;
      COMMENT ON VIEW erp.live_web_orders IS 'Old. Made by TDS (0).'; GRANT SELECT ON erp.live_web_orders TO pg_monitor;
      CREATE VIEW public.dependent AS SELECT other FROM erp.live_web_orders")
        .await;
    let notes = migrate(&test, &[ORDERS]).await.notes;
    assert!(notes.len() == 1 && notes[0].contains("erp.live_web_orders is not up to date"), "{notes:?}");
    test.execute("DROP VIEW public.dependent").await;
    assert_eq!(migrate(&test, &[ORDERS]).await.notes, Vec::<String>::new());
    let granted = "SELECT has_table_privilege('pg_monitor', 'erp.live_web_orders', 'SELECT')::text";
    assert_eq!(text(&test, granted).await, "true");
    assert!(columns(&test, "erp.live_web_orders").await.starts_with("zoho_id "));
}

#[tokio::test]
async fn what_customers_owe_is_shown_by_age_and_currency_and_by_the_organizations_day() {
    let test = TestDatabase::new().await;
    migrate(&test, &[PAYMENTS]).await;
    let store = PgStore::new(test.database().clone(), StoreSettings::default());
    let mut facts = OrganizationFacts {
        id: "10234695".to_owned(),
        name: "Dijla".to_owned(),
        currency: "USD".to_owned(),
        time_zone: "Middle-earth/Bree".to_owned(),
    };
    assert!(!store.remember_organization(&facts).await.expect("stored"), "no such time zone");
    assert_eq!(text(&test, "SELECT COALESCE(time_zone, 'UTC') FROM erp.organization").await, "UTC");
    // It is never the same day at these two places.
    facts.time_zone = "Pacific/Kiritimati".to_owned();
    assert!(store.remember_organization(&facts).await.expect("stored"));
    test.execute(DOCUMENTS).await;

    let open = "ARRAY[zoho_id, is_overdue::text, days_overdue::text] AS r FROM erp.open_invoices ORDER BY due_date DESC NULLS FIRST, zoho_id";
    let expected = [
        "no rate false 0",
        "dinars false 0",
        "not due false 0",
        "one true 1",
        "thirty true 30",
        "sixty true 60",
        "ninety true 90",
        "old true 91",
    ];
    assert_eq!(rows(&test, open).await, expected);
    let amounts = [
        "open_invoices",
        "unused_credits",
        "unapplied_payments",
        "net",
        "not_due",
        "due_1_30",
        "due_31_60",
        "due_61_90",
        "due_over_90",
    ]
    .map(|column| format!("trim_scale({column})::text"));
    let receivables = format!(
        "ARRAY[customer_zoho_id, customer_name, currency_code, {}] AS r FROM erp.receivables ORDER BY 1",
        amounts.join(", ")
    );
    let expected = [
        "c1 Dijla USD 41.01 3.5 0.25 37.26 10.01 3 4 8 16",
        "c2 Basra IQD 25004.5 0 0 25004.5 25004.5 0 0 0 0",
    ];
    assert_eq!(rows(&test, &receivables).await, expected);
    let base = "ARRAY[entity_type, COALESCE(trim_scale(base_total)::text, '?'),
                      COALESCE(trim_scale(base_balance)::text, '?')] AS r
      FROM erp.base_amounts WHERE zoho_id IN ('one', 'dinars', 'no rate', 'p1', 'gone') ORDER BY entity_type, zoho_id";
    let expected =
        ["customer_payments 7 0.25", "invoices 38.168663358 19.084331679", "invoices ? ?", "invoices 2 1"];
    assert_eq!(rows(&test, base).await, expected);

    // On the other side of the date line, one day less has passed.
    facts.time_zone = "Pacific/Pago_Pago".to_owned();
    assert!(store.remember_organization(&facts).await.expect("stored"));
    let days = text(&test, "SELECT days_overdue::text FROM erp.open_invoices WHERE zoho_id = 'old'").await;
    assert!(days == "90" || days == "89", "{days}");
    // A role that may read the mirror reads the views, and another role does not.
    test.execute("BEGIN; SET LOCAL ROLE tds_reader; SELECT count(*) FROM erp.receivables; SELECT count(*) FROM erp.base_amounts;
      SELECT count(*) FROM erp.open_invoices; SELECT count(*) FROM erp.live_invoices; COMMIT")
        .await;
    let open = test.database().exposures(&[]).await.expect("readable").exposures;
    assert_eq!(open, []);
    store.shutdown().await;
}
