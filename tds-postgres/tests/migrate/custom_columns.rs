//! Tests of custom fields as generated columns, and of the list of unknown fields.

use serde_json::json;
use sqlx::Connection as _;
use tds_core::{
    error::{ErrorKind, Result},
    hint::Hint,
    record::EntityType,
    source::UnknownField,
};
use tds_postgres::{
    CustomColumn, MigrationReport, MigrationSettings, PgStore, Schemas, StoreSettings, schema_script,
    testkit::TestDatabase,
};

use crate::support::text;

fn columns(texts: &[&str]) -> Vec<CustomColumn> {
    texts.iter().map(|text| text.parse().expect("a column")).collect()
}

async fn migrate(test: &TestDatabase, texts: &[&str]) -> Result<MigrationReport> {
    let custom_columns = columns(texts);
    let settings = MigrationSettings { custom_columns: &custom_columns, ..MigrationSettings::default() };
    test.database().migrate_with(&settings).await
}

/// The value that a column of a type shows for a custom field. A value in another form is NULL.
#[tokio::test]
async fn a_value_of_a_custom_field_has_the_type_of_its_column_or_is_null() {
    let test = TestDatabase::new().await;
    let types = ["text", "numeric", "integer", "boolean", "date", "timestamptz"];
    let wanted: Vec<String> = types.iter().map(|of| format!("products.cf_{of}:{of}")).collect();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let report = migrate(&test, &wanted).await.expect("migrates");
    assert_eq!(report.notes, Vec::<String>::new());
    let cases = [
        ("text", json!(" A-12 "), Some(" A-12 ")),
        ("text", json!(["a", "b"]), Some("[\"a\", \"b\"]")),
        ("text", json!(null), None),
        ("numeric", json!(12.50), Some("12.5")),
        ("numeric", json!(" -0.000000000000000000001 "), Some("-0.000000000000000000001")),
        ("numeric", json!("1e3"), Some("1000")),
        ("numeric", json!("1,234.50"), None),
        ("numeric", json!("1e9999"), None),
        ("numeric", json!("NaN"), None),
        ("numeric", json!("."), None),
        ("integer", json!("5.00"), Some("5")),
        ("integer", json!(-2_147_483_648_i64), Some("-2147483648")),
        ("integer", json!(2_147_483_648_i64), None),
        ("integer", json!("5.5"), None),
        ("boolean", json!(true), Some("true")),
        ("boolean", json!("No"), Some("false")),
        ("boolean", json!("maybe"), None),
        ("date", json!("2024-02-29"), Some("2024-02-29")),
        ("date", json!("2024-02-29T23:30:00+0300"), Some("2024-02-29")),
        ("date", json!("2023-02-29"), None),
        ("date", json!("0000-01-01"), None),
        ("date", json!("29/02/2024"), None),
        ("timestamptz", json!("2024-02-29T01:30:00+0300"), Some("2024-02-28T22:30:00")),
        ("timestamptz", json!("2024-02-29 01:30Z"), Some("2024-02-29T01:30:00")),
        ("timestamptz", json!("2024-12-31T23:59:59.5-01:30"), Some("2025-01-01T01:29:59.5")),
        ("timestamptz", json!("2024-02-29T01:30:00"), None),
        ("timestamptz", json!("2024-02-30T01:30:00Z"), None),
        ("timestamptz", json!("tomorrow"), None),
    ];
    for (index, (of, value, expected)) in cases.iter().enumerate() {
        let fields = json!({ format!("cf_{of}"): value });
        sqlx::query("INSERT INTO erp.products (zoho_id, custom_fields) VALUES ($1, $2)")
            .bind(index.to_string())
            .bind(&fields)
            .execute(test.database())
            .await
            .unwrap_or_else(|error| panic!("{fields}: {error}"));
        let shown = match *of {
            "timestamptz" => "to_jsonb(cf_timestamptz AT TIME ZONE 'UTC') #>> '{}'".to_owned(),
            of => format!("cf_{of}::text"),
        };
        let sql =
            format!("SELECT COALESCE({shown}, 'NULL') FROM erp.live_products WHERE zoho_id = '{index}'");
        assert_eq!(text(&test, &sql).await, expected.unwrap_or("NULL"), "{fields}");
    }
    // The functions of the columns are open to the roles that write the mirror, and to nobody else.
    test.execute(
        "BEGIN; SET LOCAL ROLE tds_writer; INSERT INTO erp.products (zoho_id, custom_fields)
      VALUES ('by hand', '{\"cf_numeric\": \"7\"}'); COMMIT",
    )
    .await;
    assert_eq!(test.database().exposures(&[]).await.expect("readable").exposures, []);
}

#[tokio::test]
async fn columns_of_custom_fields_are_made_once_kept_and_changed_on_demand() {
    let test = TestDatabase::new().await;
    test.execute("INSERT INTO erp.customers (zoho_id, custom_fields) VALUES ('1', '{\"cf_tier\": \"3\"}')")
        .await;
    migrate(&test, &["customers.cf_tier:text"]).await.expect("migrates");
    assert_eq!(text(&test, "SELECT cf_tier FROM erp.live_customers").await, "3");
    let file = "SELECT pg_relation_filenode('erp.customers')::text";
    let before = text(&test, file).await;
    assert_eq!(
        migrate(&test, &["customers.cf_tier:text"]).await.expect("migrates").notes,
        Vec::<String>::new()
    );
    assert_eq!(text(&test, file).await, before, "the table is not rewritten");

    // A column that is not configured any more stays and is reported with the statements that drop it.
    let notes = migrate(&test, &[]).await.expect("migrates").notes;
    let drop = "DROP VIEW erp.live_customers; ALTER TABLE erp.customers DROP COLUMN cf_tier";
    assert!(notes.len() == 1 && notes[0].contains(drop), "{notes:?}");
    assert_eq!(text(&test, "SELECT cf_tier FROM erp.live_customers").await, "3");

    // Another type replaces the column and keeps who may read the view, unless the operator's view needs the column.
    test.execute(
        "CREATE VIEW public.tiers AS SELECT cf_tier FROM erp.customers;
      GRANT SELECT ON erp.live_customers TO pg_monitor",
    )
    .await;
    let refused = migrate(&test, &["customers.cf_tier:integer"]).await.expect_err("refused");
    assert!(
        refused.to_string().contains("the columns cf_tier of erp.customers cannot get another type"),
        "{refused}"
    );
    test.execute("DROP VIEW public.tiers").await;
    migrate(&test, &["customers.cf_tier:integer"]).await.expect("migrates");
    let shown = "SELECT pg_typeof(cf_tier)::text || ' ' || cf_tier || ' ' ||
      has_table_privilege('pg_monitor', 'erp.live_customers', 'SELECT') FROM erp.live_customers";
    assert_eq!(text(&test, shown).await, "integer 3 true");
    test.execute(drop).await;
    assert_eq!(migrate(&test, &[]).await.expect("migrates").notes, Vec::<String>::new());
    assert!(!text(&test, "SELECT pg_get_viewdef('erp.live_customers'::regclass)").await.contains("cf_tier"));

    for (wrong, found) in [
        ("customers.name:text", "found customers.name, a column that the table has already"),
        ("invoice_lines.cf_x:text", "found invoice_lines.cf_x, whose table is none of bills, "),
    ] {
        let refused = migrate(&test, &[wrong]).await.expect_err("refused");
        assert_eq!(
            (refused.kind(), refused.hint()),
            (ErrorKind::Config, Some(&Hint::Settings(&["custom_columns"])))
        );
        assert!(
            refused.to_string().contains(found) && refused.to_string().contains("; accepted: "),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_table_in_use_delays_its_new_columns_only_for_a_while() {
    let test = TestDatabase::new().await;
    let mut reader = sqlx::PgConnection::connect(test.url()).await.expect("connects");
    sqlx::raw_sql("BEGIN; SELECT FROM erp.products").execute(&mut reader).await.expect("a transaction");
    let refused = migrate(&test, &["products.cf_shelf:text"]).await.expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let message =
        "the columns cf_shelf of erp.products were not made: another session has used the table for 5s";
    assert!(refused.to_string().contains(message), "{refused}");
    sqlx::raw_sql("COMMIT").execute(&mut reader).await.expect("an end");
    migrate(&test, &["products.cf_shelf:text"]).await.expect("migrates");
}

#[tokio::test]
async fn the_printed_schema_has_the_columns_and_the_views() {
    let test = TestDatabase::empty().await;
    let custom_columns = columns(&["products.cf_shelf:text", "invoices.cf_paid:boolean"]);
    let settings = MigrationSettings { custom_columns: &custom_columns, ..MigrationSettings::default() };
    test.execute(schema_script(&settings, &Schemas::default())).await;
    test.execute("SELECT cf_shelf FROM erp.live_products; SELECT cf_paid FROM erp.live_invoices").await;
    let report = test.database().migrate_with(&settings).await.expect("migrates");
    assert_eq!((report.applied, report.notes), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn an_unknown_field_is_one_row_and_is_new_once() {
    let test = TestDatabase::new().await;
    let store = PgStore::new(test.database().clone(), StoreSettings::default());
    let field = |path: &str, records| UnknownField {
        entity: EntityType::from_static("invoices"),
        path: path.to_owned(),
        records,
    };
    let new = store.note_unknown_fields(&[field("colour", 2), field("a\0b", 1)]).await.expect("stored");
    assert_eq!(new.len(), 2, "{new:?}");
    let new = store.note_unknown_fields(&[field("colour", 3), field("size", 1)]).await.expect("stored");
    assert_eq!(new, [field("size", 1)]);
    let listed =
        "SELECT entity_type || ' ' || path || ' ' || occurrences || ' ' || (last_seen_at > first_seen_at)
      FROM tds_unknown_fields WHERE path = 'colour'";
    assert_eq!(text(&test, listed).await, "invoices colour 5 true");
    store.shutdown().await;
}
