//! Tests of the triggers that capture local changes, and of their guard.

use sqlx::AssertSqlSafe;
use tds_postgres::{Database, DatabaseConfig, MigrationSettings, WriteGuard, testkit::TestDatabase};

use crate::support::text;

/// A few records, as TDS writes them, and the modes of their entity types.
const SHOP: &str = "
BEGIN; SET LOCAL tds.origin = 'remote';
INSERT INTO erp.products (zoho_id, name, rate, custom_fields) VALUES ('p1', 'Cable', 1.50, '{\"cf_a\": 1}'), ('p2', 'Plug', 2, NULL);
INSERT INTO erp.customers (zoho_id, name) VALUES ('c1', 'Dijla'), ('c2', 'Basra');
INSERT INTO erp.invoices (zoho_id, number, customer_zoho_id, customer_id) VALUES ('i1', 'INV-1', 'c1', 1);
INSERT INTO erp.invoice_lines (document_zoho_id, position, product_zoho_id, quantity) VALUES ('i1', 1, 'p1', 1), ('i1', 2, 'p2', 1);
INSERT INTO erp.stock_levels (product_zoho_id, location_zoho_id, stock_on_hand)
  VALUES ('p1', '', 5), ('p1', 'l1', 3), ('p1', 'l2', 2), ('p2', '', 7);
INSERT INTO erp.taxes (zoho_id, name, percentage) VALUES ('t1', 'VAT', 5);
COMMIT;
INSERT INTO tds_modes (entity_type, mode) VALUES
  ('products', 'bidirectional'), ('invoices', 'shadow'), ('stock', 'erp_primary'), ('prices', 'bidirectional')";

async fn shop() -> TestDatabase {
    let test = TestDatabase::new().await;
    test.execute(SHOP).await;
    test
}

/// Executes statements as one transaction and returns what they captured, as the relay finds it, by record. Captured
/// changes of earlier calls are forgotten.
async fn captured(test: &TestDatabase, statements: &str) -> Vec<String> {
    test.execute("DELETE FROM tds_outbox").await;
    test.execute(format!("BEGIN; {statements}; COMMIT")).await;
    test.execute("SELECT tds_collect_changes()").await;
    let sql = "SELECT concat_ws(' ', entity_type, COALESCE(zoho_id, 'id ' || local_id), operation,
      COALESCE(array_to_string(fields, '+'), 'whole')) FROM ONLY tds_outbox ORDER BY entity_type, local_id";
    sqlx::query_scalar(sql).fetch_all(test.database()).await.expect("entries")
}

/// Returns the SQLSTATE and the texts of the error that the statements end with.
async fn refused(database: &Database, statements: &str) -> (String, String) {
    let executed = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(database).await;
    let error = executed.map(drop).expect_err(statements);
    let error = error.as_database_error().expect("an error of the database");
    let more = error.downcast_ref::<sqlx::postgres::PgDatabaseError>();
    let code = error.code().map(std::borrow::Cow::into_owned).unwrap_or_default();
    (code, format!("{} {}", error.message(), more.hint().unwrap_or_default()))
}

#[tokio::test]
async fn what_changed_is_captured_once_for_each_record_and_transaction() {
    let test = shop().await;
    let cases: [(&str, &[&str]); 20] = [
        ("UPDATE erp.products SET rate = 3, name = 'Wire' WHERE zoho_id = 'p1'", &["products p1 upsert name+rate"]),
        // What is equal has not changed, and what TDS fills is not captured.
        ("UPDATE erp.products SET rate = 3.00, custom_fields = '{\"cf_a\": 1.0}', sku = NULL WHERE zoho_id = 'p1'", &[]),
        ("UPDATE erp.products SET raw = '{}', synced_at = now(), zoho_modified_at = now()", &[]),
        ("UPDATE erp.products SET sku = zoho_id", &["products p1 upsert sku", "products p2 upsert sku"]),
        (
            "UPDATE erp.products SET rate = 4 WHERE id = 1; UPDATE erp.products SET unit = 'm', rate = 5 WHERE id = 1;
             UPDATE erp.products SET rate = 6 WHERE id = 2",
            &["products p1 upsert rate+unit", "products p2 upsert rate"],
        ),
        // What is undone was never done.
        (
            "UPDATE erp.products SET rate = 7 WHERE id = 1; SAVEPOINT s; UPDATE erp.products SET rate = 7 WHERE id = 2;
             UPDATE erp.invoice_lines SET quantity = 9; ROLLBACK TO s; UPDATE erp.products SET unit = 'kg' WHERE id = 2",
            &["products p1 upsert rate", "products p2 upsert unit"],
        ),
        (
            "SAVEPOINT s; UPDATE erp.invoice_lines SET quantity = 9 WHERE position = 1; ROLLBACK TO s;
             UPDATE erp.invoice_lines SET quantity = 8 WHERE position = 1",
            &["invoices i1 upsert invoice_lines"],
        ),
        ("UPDATE erp.products SET rate = 8; ROLLBACK; BEGIN", &[]),
        ("SET LOCAL tds.origin = 'remote'; UPDATE erp.products SET rate = 9; DELETE FROM erp.invoice_lines WHERE false", &[]),
        // Child rows belong to their record.
        (
            "UPDATE erp.invoices SET notes = 'n'; UPDATE erp.invoice_lines SET quantity = 5;
             INSERT INTO erp.invoice_lines (document_zoho_id, position) VALUES ('i1', 3), ('i1', 4);
             INSERT INTO erp.invoice_lines (document_id, position) VALUES (1, 5)",
            &["invoices i1 upsert invoice_lines+notes"],
        ),
        ("UPDATE erp.invoice_lines SET quantity = quantity", &[]),
        ("DELETE FROM erp.invoice_lines WHERE position > 2", &["invoices i1 upsert invoice_lines"]),
        // A record of the ERP, which nothing but its local id names.
        (
            "WITH d AS (INSERT INTO erp.invoices (number, customer_id) VALUES ('INV-2', 2) RETURNING id)
             INSERT INTO erp.invoice_lines (document_id, position, product_id)
               SELECT d.id, k, 2 FROM d, generate_series(1, 5) AS k",
            &["invoices id 2 upsert whole"],
        ),
        ("INSERT INTO erp.invoice_lines (document_id, position) VALUES (2, 6)", &["invoices id 2 upsert invoice_lines"]),
        // A line that moves changes both documents.
        (
            "UPDATE erp.invoice_lines SET document_id = 1 WHERE document_id = 2 AND position = 6",
            &["invoices i1 upsert invoice_lines", "invoices id 2 upsert invoice_lines"],
        ),
        // Lines without a document are captured with the document.
        ("INSERT INTO erp.invoice_lines (position) VALUES (7)", &[]),
        ("UPDATE erp.products SET deleted_at = now(), rate = 1 WHERE id = 2", &["products p2 delete whole"]),
        ("UPDATE erp.products SET deleted_at = NULL WHERE id = 2", &["products p2 upsert whole"]),
        (
            "UPDATE erp.products SET rate = 11 WHERE id = 2; DELETE FROM erp.products WHERE id = 2",
            &["products p2 delete whole"],
        ),
        ("INSERT INTO erp.price_lists (name) VALUES ('A'); INSERT INTO erp.price_list_items (price_list_id, product_id) VALUES (1, 1)",
            &["prices id 1 upsert whole"]),
    ];
    for (statements, expected) in cases {
        assert_eq!(captured(&test, statements).await, expected, "{statements}");
    }
    // Both ids of a reference follow the one that was changed.
    let ids = "SELECT concat_ws(' ', customer_id, customer_zoho_id) FROM erp.invoices WHERE zoho_id = 'i1'";
    for (set, expected) in
        [("customer_id = 2", "2 c2"), ("customer_zoho_id = 'c1'", "1 c1"), ("customer_id = 77", "77")]
    {
        let statement = format!("UPDATE erp.invoices SET {set} WHERE zoho_id = 'i1'");
        assert_eq!(captured(&test, &statement).await, ["invoices i1 upsert customer_zoho_id"], "{set}");
        assert_eq!(text(&test, ids).await, expected, "{set}");
    }
    // A column that is added later is captured after the next migration.
    test.execute("ALTER TABLE erp.products ADD COLUMN shelf point, ADD COLUMN \"Own \"\"name\" json").await;
    assert_eq!(test.database().migrate().await.expect("migrates").notes, Vec::<String>::new());
    let own = "UPDATE erp.products SET \"Own \"\"name\" = '[1]', shelf = '(1, 2)' WHERE id = 1";
    assert_eq!(captured(&test, own).await, ["products p1 upsert Own \"name+shelf"]);
    assert_eq!(captured(&test, own).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_level_of_stock_becomes_an_adjustment_and_a_program_may_push_by_hand() {
    let test = shop().await;
    let lines =
        "SELECT COALESCE(string_agg(concat_ws(' ', a.location_zoho_id, l.product_zoho_id, l.product_id,
        l.quantity_adjusted::text), ', ' ORDER BY l.id), '')
      FROM erp.stock_adjustments a JOIN erp.stock_adjustment_lines l ON l.document_id = a.id
     WHERE a.date IS NOT NULL AND a.reason <> '' AND a.zoho_id IS NULL";
    let change = "UPDATE erp.stock_levels SET stock_on_hand = stock_on_hand + 2 WHERE location_zoho_id <> '';
      UPDATE erp.stock_levels SET stock_on_hand = 10 WHERE product_zoho_id = 'p1' AND location_zoho_id = 'l1';
      UPDATE erp.stock_levels SET stock_on_hand = 14 WHERE product_zoho_id = 'p1' AND location_zoho_id = '';
      UPDATE erp.stock_levels SET stock_on_hand = 6.5 WHERE product_zoho_id = 'p2'";
    let expected = ["stock id 1 upsert whole", "stock id 2 upsert whole", "stock id 3 upsert whole"];
    assert_eq!(captured(&test, change).await, expected);
    assert_eq!(text(&test, lines).await, "l1 p1 1 7, l2 p1 1 2, p2 2 -0.5");
    // What follows from documents is not captured, and neither is what was changed back.
    let nothing = "UPDATE erp.stock_levels SET committed_stock = 1;
      UPDATE erp.stock_levels SET stock_on_hand = 9 WHERE location_zoho_id = 'l2'; DELETE FROM erp.stock_levels WHERE product_zoho_id = 'p2';
      UPDATE erp.stock_levels SET stock_on_hand = 4 WHERE location_zoho_id = 'l2'";
    assert_eq!(captured(&test, nothing).await, ["stock id 4 delete whole"]);
    assert_eq!(text(&test, lines).await, "l1 p1 1 7, l2 p1 1 2, p2 2 -0.5");
    let moved = "UPDATE erp.stock_levels SET location_zoho_id = 'l3' WHERE location_zoho_id = 'l2'";
    assert_eq!(refused(test.database(), moved).await.0, "TDS01");

    let pushes = "SELECT tds_push('invoices', 1, 'upsert'); SELECT tds_push('products', 2, 'delete')";
    assert_eq!(captured(&test, pushes).await, ["invoices i1 upsert whole", "products p2 delete whole"]);
    let known = "DELETE FROM erp.products WHERE id = 2;
      INSERT INTO tds_links (entity_type, local_id, zoho_id) VALUES ('products', 2, 'p2'); SELECT tds_push('products', 2, 'delete')";
    assert_eq!(captured(&test, known).await, ["products p2 delete whole"]);
    assert_eq!(captured(&test, "SELECT tds_push('customers', 1, 'upsert')").await, Vec::<String>::new());
    for (arguments, code, words) in [
        ("'persons', 1, 'upsert'", "22023", "found the entity type 'persons'; accepted: products, customers"),
        ("NULL, 1, 'upsert'", "22023", "found the entity type NULL"),
        ("'products', 1, 'update'", "22023", "found the operation 'update'; accepted: upsert, delete"),
        ("'products', NULL, 'upsert'", "22004", "accepted: the id of a row of erp.products"),
        ("'products', 99, 'upsert'", "P0002", "erp.products has no row with the id 99"),
        ("'products', 99, 'delete'", "P0002", "call tds_push before the row is deleted"),
    ] {
        let (found, error) = refused(test.database(), &format!("SELECT tds_push({arguments})")).await;
        assert!(found == code && error.contains(words), "{arguments}: {found} {error}");
    }
}

#[tokio::test]
async fn the_guard_refuses_local_changes_and_never_those_of_a_migration() {
    let test = shop().await;
    let database = test.database();
    let advice = "Ask the operator.".to_owned();
    // Without the guard, changes are silent.
    assert_eq!(
        captured(&test, "UPDATE erp.taxes SET name = 'a'; UPDATE erp.customers SET name = 'a'").await,
        [""; 0]
    );
    let guard = WriteGuard { refuses: true, advice };
    let settings = MigrationSettings { write_guard: Some(&guard), ..MigrationSettings::default() };
    database.migrate_with(&settings).await.expect("migrates");
    database.migrate().await.expect("the guard stays as it is");
    let changes = [
        "UPDATE erp.taxes SET percentage = 1",
        "UPDATE erp.taxes SET raw = '{}'",
        "UPDATE erp.taxes SET deleted_at = now()",
        "DELETE FROM erp.taxes",
        "INSERT INTO erp.taxes (name) VALUES ('x')",
        "UPDATE erp.live_taxes SET name = 'x'",
        "INSERT INTO erp.bill_lines (position) VALUES (1)",
        "INSERT INTO erp.exchange_rates (currency_zoho_id) VALUES ('1')",
        "SELECT tds_push('taxes', 1, 'upsert')",
    ];
    // No mode permits changes of what TDS alone fills.
    test.execute(
        "SET tds.origin = 'remote erp'; INSERT INTO erp.organization (zoho_id) VALUES ('1');
        INSERT INTO erp.product_images (product_zoho_id) VALUES ('p1'); RESET tds.origin",
    )
    .await;
    for change in [
        "UPDATE erp.organization SET time_zone = 'UTC'",
        "DELETE FROM erp.organization",
        "INSERT INTO erp.product_images (product_zoho_id, location) VALUES ('p2', 'file:///etc/passwd')",
        "SET ROLE tds_writer; UPDATE erp.product_images SET location = 'x'",
    ] {
        let (code, error) = refused(database, change).await;
        let expected = error.contains("only TDS fills this table") && error.ends_with("Ask the operator.");
        assert!(code == "TDS01" && expected, "{change}: {code} {error}");
    }
    test.execute("UPDATE erp.organization SET zoho_id = zoho_id").await;
    for change in changes {
        let (code, error) = refused(database, change).await;
        let expected =
            error.contains("cannot be changed here: the mode of ") && error.ends_with("Ask the operator.");
        assert!(code == "TDS01" && expected, "{change}: {code} {error}");
    }
    test.execute("UPDATE erp.taxes SET name = name; DELETE FROM erp.bill_lines WHERE false").await;
    test.execute("BEGIN; SET LOCAL tds.origin = 'remote'; UPDATE erp.taxes SET name = 'y'; COMMIT").await;
    assert_eq!(text(&test, "SELECT name FROM erp.taxes").await, "y");
    // TRUNCATE names no record, so it is refused in every mode.
    for table in ["taxes", "products", "invoice_lines", "stock_levels", "organization", "product_images"] {
        assert_eq!(refused(database, &format!("TRUNCATE erp.{table}")).await.0, "TDS02");
    }
    test.execute("BEGIN; SET LOCAL tds.origin = 'remote'; TRUNCATE erp.taxes; COMMIT").await;

    // Every table of the mirror has the guard, and a trigger that was dropped comes back.
    test.execute("DROP TRIGGER tds_capture ON erp.taxes; DROP TRIGGER tds_guard ON erp.organization").await;
    database.migrate().await.expect("migrates");
    let open = "SELECT COALESCE(string_agg(c.relname, ' ' ORDER BY c.relname), '') FROM pg_class c
      WHERE c.relnamespace = 'erp'::regnamespace AND c.relkind = 'r'
        AND 2 > (SELECT count(*) FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname IN ('tds_capture', 'tds_guard', 'tds_keep'))";
    assert_eq!(text(&test, open).await, "");
}

/// The engine is in a schema of its own, a role may write the mirror and nothing else, and its search path has functions
/// and operators that look like those of PostgreSQL.
#[tokio::test]
async fn a_role_without_any_right_to_the_engine_is_captured_and_gains_nothing() {
    let test = TestDatabase::empty().await;
    let role = format!("tds_test_pos_{}", uuid::Uuid::new_v4().simple());
    test.execute(format!(
        "CREATE SCHEMA engine; REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE ROLE {role} LOGIN PASSWORD 'secret';
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = engine', current_database()); END $$"
    ))
    .await;
    let owner = Database::connect(&DatabaseConfig::new(test.url())).await.expect("connects");
    owner.migrate().await.expect("migrates");
    let run = async |database: &Database, sql: &str| {
        let executed = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(database).await;
        executed.map(drop).unwrap_or_else(|error| panic!("{sql}: {error}"));
    };
    // The grants came after the migration, and row level security lets only known roles see rows.
    run(&owner, &format!("GRANT tds_writer TO {role}; INSERT INTO tds_modes (entity_type, mode) VALUES ('products', 'bidirectional'),
        ('invoices', 'bidirectional'), ('stock', 'bidirectional');
        SET tds.origin = 'remote'; INSERT INTO erp.stock_levels (product_zoho_id, stock_on_hand) VALUES ('p1', 1); RESET tds.origin;
        CREATE SCHEMA trap AUTHORIZATION {role}")).await;
    let (_, place) = test.url().split_once('@').expect("a user");
    let theirs = Database::connect(&DatabaseConfig::new(format!("postgres://{role}:secret@{place}")))
        .await
        .expect("connects");
    let trap = "SET search_path = trap, pg_catalog;
        CREATE FUNCTION trap.sprung(text, text) RETURNS boolean LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'sprung as %', current_user; END $$;
        CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.sprung);
        CREATE OPERATOR trap.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.sprung);
        CREATE FUNCTION trap.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT (1/0)::text';
        CREATE TEMP TABLE tds_outbox (id int); CREATE TEMP TABLE tds_captured (id int);
        CREATE FUNCTION trap.tripped(bigint) RETURNS boolean LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'tripped as %', current_user; END $$;
        CREATE DOMAIN pg_temp.number AS bigint CHECK (trap.tripped(VALUE));
        CREATE TYPE pg_temp.record AS (id pg_temp.number, zoho_id text);
        INSERT INTO erp.products (name) VALUES ('Cable'); UPDATE erp.products SET name = 'Wire', unit = 'm';
        INSERT INTO erp.invoices (number) VALUES ('1'); INSERT INTO erp.invoice_lines (document_id) VALUES (1), (1);
        UPDATE erp.invoice_lines SET product_id = 1; DELETE FROM erp.invoice_lines;
        UPDATE erp.stock_levels SET stock_on_hand = 3; DELETE FROM erp.products;
        SELECT engine.tds_push('invoices', 1, 'upsert')";
    run(&theirs, trap).await;
    let seen: i64 = sqlx::query_scalar("SELECT count(DISTINCT (entity_type, local_id)) FROM tds_outbox")
        .fetch_one(&owner)
        .await
        .expect("a number");
    assert_eq!(seen, 3);
    for closed in [
        "SELECT FROM engine.tds_outbox",
        "SELECT engine.tds_collect_changes()",
        "DELETE FROM engine.tds_captured",
    ] {
        assert_eq!(refused(&theirs, closed).await.0, "42501", "{closed}");
    }
    theirs.close().await;
    run(&owner, &format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
    owner.close().await;
}
