//! Tests of several organizations in one database: each has a pair of schemas, and nothing of one reaches the other.

use std::sync::Arc;

use sqlx::AssertSqlSafe;
use tds_core::{
    error::ErrorKind,
    hint::Hint,
    inbox::Inbox as _,
    mirror::MirrorSchema,
    privacy::Eraser as _,
    queue::QueueOperator as _,
    record::{EntityType, RecordId},
    testkit::ColumnRedaction,
};
use tds_postgres::{
    Database, DatabaseConfig, MigrationSettings, PgEraser, PgStore, Schemas, StoreSettings, schema_script,
    testkit::TestDatabase,
};

use crate::support::{event, text, work};

/// Names that are wrong wherever they are not quoted: a word of SQL, and capital letters.
const ENGINE: &str = "Tds_DE";
const MIRROR: &str = "select";

fn schemas(engine: &str, mirror: &str) -> Schemas {
    Schemas { engine: Some(engine.parse().expect("a name")), mirror: mirror.parse().expect("a name") }
}

async fn connect(test: &TestDatabase, schemas: Schemas) -> tds_core::error::Result<Database> {
    Database::connect(&DatabaseConfig { max_connections: 4, schemas, ..DatabaseConfig::new(test.url()) })
        .await
}

/// A second organization beside the first one, whose schemas have the default names.
async fn beside(test: &TestDatabase) -> Database {
    let second = connect(test, schemas(ENGINE, MIRROR)).await.expect("connects");
    let report = second.migrate().await.expect("migrates");
    assert_eq!(report.notes, Vec::<String>::new());
    second
}

async fn refused(test: &TestDatabase, engine: Option<&str>, mirror: &str) -> String {
    let engine = engine.map(|name| name.parse().expect("a name"));
    let schemas = Schemas { engine, mirror: mirror.parse().expect("a name") };
    let result = match connect(test, schemas).await {
        Ok(database) => database.migrate().await.map(drop),
        Err(error) => Err(error),
    };
    let error = result.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert_eq!(error.hint(), Some(&Hint::Settings(&["engine_schema", "mirror_schema"])), "{error}");
    error.to_string()
}

/// Everything in a pair of schemas, with the names of the schemas and of their roles in place of `$e` and `$m`.
const OBJECTS: &str = r#"
WITH ours AS (SELECT n.oid FROM pg_namespace n WHERE n.nspname IN ($e, $m)), o(line) AS (
  SELECT concat_ws(' ', 'column', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                   pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
   WHERE c.relnamespace IN (SELECT oid FROM ours) AND a.attnum > 0 AND c.relkind IN ('r', 'p', 'v')
  UNION ALL SELECT concat('index ', pg_get_indexdef(i.indexrelid)) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
   WHERE c.relnamespace IN (SELECT oid FROM ours)
  UNION ALL SELECT concat('trigger ', pg_get_triggerdef(g.oid)) FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
   WHERE c.relnamespace IN (SELECT oid FROM ours)
  UNION ALL SELECT concat('function ', pg_get_functiondef(p.oid)) FROM pg_proc p WHERE p.pronamespace IN (SELECT oid FROM ours)
  UNION ALL SELECT concat_ws(' ', 'view', c.oid::regclass, pg_get_viewdef(c.oid)) FROM pg_class c
   WHERE c.relnamespace IN (SELECT oid FROM ours) AND c.relkind = 'v'
  UNION ALL SELECT concat_ws(' ', 'grant', c.oid::regclass, a.grantee::regrole, a.privilege_type)
    FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace IN (SELECT oid FROM ours) AND c.relkind IN ('r', 'p', 'v')
  UNION ALL SELECT concat_ws(' ', 'policy', p.tablename, p.policyname, p.roles) FROM pg_policies p WHERE p.schemaname IN ($e, $m))
SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C") FROM o"#;

/// Returns the objects of a pair of schemas, with the default names.
async fn objects(test: &TestDatabase, engine: &str, mirror: &str) -> Vec<String> {
    let sql = OBJECTS.replace("$e", &format!("'{engine}'")).replace("$m", &format!("'{mirror}'"));
    // Without any search path, the catalogue writes every name with its schema.
    let mut connection = test.database().pool().acquire().await.expect("a connection");
    sqlx::raw_sql("SET search_path = ''").execute(&mut *connection).await.expect("set");
    let text: String =
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await.expect("objects");
    let mark: String = sqlx::query_scalar("SELECT '_' || left(md5($1), 8)")
        .bind(engine)
        .fetch_one(&mut *connection)
        .await
        .expect("the mark of the settings");
    sqlx::raw_sql("RESET search_path").execute(&mut *connection).await.expect("reset");
    let text = text.replace(&mark, "");
    let text = if engine == "public" {
        text
    } else {
        let quoted = |name: &str| format!("\"{name}\"");
        text.replace(&format!("_{mirror}\""), "\"")
            .replace("\"tds_reader\"", "tds_reader")
            .replace("\"tds_writer\"", "tds_writer")
            .replace(&format!("tds_reader_{mirror}"), "tds_reader")
            .replace(&format!("tds_writer_{mirror}"), "tds_writer")
            .replace(&format!("'remote {mirror}'"), "'remote erp'")
            .replace(&format!("\"remote {mirror}\""), "\"remote erp\"")
            .replace(&format!("'{mirror}.",), "'erp.")
            .replace(&format!("' {engine}."), "' public.")
            .replace(&format!("'{engine}."), "'public.")
            .replace(&quoted(engine), "public")
            .replace(&quoted(mirror), "erp")
            .replace(&format!("'{mirror}'"), "'erp'")
            .replace(&format!("'{engine}'"), "'public'")
    };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Nothing goes by the columns of another organization's tables: they may differ, and that organization may have gone.
#[tokio::test(flavor = "multi_thread")]
async fn values_are_removed_by_the_columns_of_their_own_mirror() {
    const CUSTOMERS: EntityType = EntityType::from_static("customers");
    let test = TestDatabase::empty().await;
    let only = beside(&test).await;
    let customers = format!("\"{MIRROR}\".customers");
    test.execute(format!(
        "BEGIN; SET LOCAL tds.origin = 'remote'; ALTER TABLE {customers} ADD COLUMN of_the_shop text;
         INSERT INTO \"{ENGINE}\".tds_sync_records (entity_type, zoho_id, pushed, observed_began, observed_ended)
           SELECT 'customers', i::text, false, now(), now() FROM generate_series(1, 2) AS i;
         INSERT INTO {customers} (zoho_id, name, phone, of_the_shop) VALUES ('1', 'Graz', '7', 'x'), ('2', 'Linz', '8', 'y');
         INSERT INTO \"{MIRROR}\".invoices (zoho_id, number, customer_zoho_id, customer_name) VALUES ('3', 'INV-1', '1', 'Graz'); COMMIT"
    ))
    .await;
    let phone = ColumnRedaction::default().head(CUSTOMERS, "customers", "phone");
    assert_eq!(only.redact(&phone).await.expect("redacted"), 2);
    let invoices = EntityType::from_static("invoices");
    let names = Arc::new(ColumnRedaction::default().head(invoices, "invoices", "customer_name"));
    let schema = MirrorSchema { entity: CUSTOMERS, head: Some("customers"), children: &[] };
    let erased = PgEraser::new(only.clone(), names).erase(&[&schema], &RecordId::new("1"), "a test").await;
    let erased = erased.expect("an answer").expect("a known record");
    assert_eq!((erased.counts.rows, erased.counts.documents), (1, 1));
    let rows = format!(
        "SELECT string_agg(concat_ws(' ', zoho_id, name, phone, of_the_shop), ',' ORDER BY zoho_id) FROM {customers}"
    );
    assert_eq!(text(&test, &rows).await, "1,2 Linz y");
    only.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_organization_has_the_same_objects_under_its_own_names_and_the_first_stays_as_it_is() {
    let test = TestDatabase::new().await;
    let before = objects(&test, "public", "erp").await;
    assert!(before.len() > 3_000, "{}", before.len());
    let second = beside(&test).await;
    assert_eq!(objects(&test, "public", "erp").await, before);
    let theirs = objects(&test, ENGINE, MIRROR).await;
    let only = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter().filter(|line| other.binary_search(line).is_err()).cloned().collect()
    };
    assert_eq!(only(&theirs, &before), Vec::<String>::new(), "objects that only the second one has");
    assert_eq!(only(&before, &theirs), Vec::<String>::new(), "objects that only the first one has");

    let again = second.migrate().await.expect("migrates");
    assert_eq!((again.applied.len(), again.functions.len(), again.notes.len()), (0, 0, 0));
    let first = test.database().migrate().await.expect("migrates");
    assert_eq!((first.applied.len(), first.functions.len(), first.notes.len()), (0, 0, 0));
    assert_eq!(second.exposures(&[]).await.expect("readable").exposures, []);
    // The checksums of migrations are those of the texts, whatever the names are.
    let sums = "SELECT (a.sums = b.sums)::text FROM (SELECT array_agg(checksum ORDER BY version) AS sums FROM public._sqlx_migrations) a,
      (SELECT array_agg(checksum ORDER BY version) AS sums FROM \"Tds_DE\"._sqlx_migrations) b";
    assert_eq!(text(&test, sums).await, "true");

    // The members of one group role see nothing of the other organization.
    let may = |role: &str, table: &str| {
        format!(
            "SELECT has_schema_privilege('{role}', split_part('{table}', '.', 1), 'USAGE')::text
      || has_table_privilege('{role}', '{}', 'SELECT')",
            table.replace("select", "\"select\"")
        )
    };
    for (role, table, expected) in [
        ("tds_reader", "erp.invoices", "truetrue"),
        ("tds_writer", "erp.invoices", "truetrue"),
        ("tds_reader_select", "select.invoices", "truetrue"),
        ("tds_writer_select", "select.invoices", "truetrue"),
        ("tds_reader", "select.invoices", "falsefalse"),
        ("tds_writer", "select.invoices", "falsefalse"),
        ("tds_reader_select", "erp.invoices", "falsefalse"),
        ("tds_writer_select", "erp.invoices", "falsefalse"),
    ] {
        assert_eq!(text(&test, &may(role, table)).await, expected, "{role} {table}");
    }
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_that_do_not_belong_together_are_refused_before_anything_is_written() {
    let test = TestDatabase::new().await;
    assert!(refused(&test, Some("tds_de"), "erp").await.contains("belongs to the engine in \"public\""));
    assert!(
        refused(&test, None, "erp_de").await.contains("the mirror of the engine in \"public\" is in \"erp\"")
    );
    assert!(refused(&test, Some("erp"), "erp_de").await.contains("\"erp\" is the mirror of another"));
    assert!(refused(&test, Some("tds_de"), "public").await.contains("\"public\" has the engine of another"));
    assert!(refused(&test, None, "public").await.contains("both are \"public\""));
    let role = text(&test, "SELECT current_user::text").await;
    assert!(refused(&test, Some(&role), "erp_de").await.contains("the name of a role"));
    let found = "SELECT count(*)::text FROM pg_namespace WHERE nspname IN ('tds_de', 'erp_de')";
    assert_eq!(text(&test, found).await, "0");
    // The name of the default schema may be written out.
    let named = connect(&test, schemas("public", "erp")).await.expect("connects");
    assert_eq!(named.migrate().await.expect("migrates").functions, Vec::<&str>::new());

    // The engine remembers its organization, as soon as it has anything of it.
    let store = PgStore::new(named, StoreSettings::default());
    store.claim_organization("111").await.expect("free");
    store.check_organization("222").await.expect("nothing was stored for the first id");
    store.claim_organization("222").await.expect("free");
    store.accept(event("1", work(1, "{}"))).await.expect("accepted");
    store.claim_organization("222").await.expect("its own");
    for refusal in [store.claim_organization("333").await, store.check_organization("333").await] {
        let error = refusal.expect_err("refused");
        assert!(error.to_string().contains("belong to the organization 222, not to 333"), "{error}");
        assert_eq!(error.hint(), Some(&Hint::Settings(&["engine_schema", "mirror_schema"])));
    }
    // A database of an older version knows its organization from the source.
    test.execute("DELETE FROM tds_shared_states; INSERT INTO erp.organization (zoho_id) VALUES ('444')")
        .await;
    assert!(store.claim_organization("222").await.expect_err("refused").to_string().contains("444"));
    store.claim_organization("444").await.expect("its own");
    store.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schemas_of_another_organization_are_refused_before_anything_is_changed() {
    let test = TestDatabase::new().await;
    let store = PgStore::new(test.database().clone(), StoreSettings::default());
    store.claim_organization("60001").await.expect("free");
    let reader = text(&test, "SELECT current_database() || '_other'").await;
    test.execute(&format!("CREATE ROLE \"{reader}\"")).await;
    let readers = [reader.clone()];
    let of =
        |id| MigrationSettings { organization: Some(id), readers: &readers, ..MigrationSettings::default() };
    let may = format!("SELECT has_table_privilege('{reader}', 'erp.customers', 'SELECT')::text");
    let migrate = async |id| test.database().migrate_with(&of(id)).await;

    // Schemas without a record are free, so the right id can follow a wrong one.
    let free = MigrationSettings { organization: Some("60002"), ..MigrationSettings::default() };
    test.database().migrate_with(&free).await.expect("free");
    store.accept(event("1", work(1, "{}"))).await.expect("accepted");
    // What a migration would do at once: functions of another program are made again.
    test.execute("UPDATE tds_sync_functions SET hash = 'other'").await;
    let versions = "SELECT string_agg(xmin::text, ' ' ORDER BY xmin::text) FROM tds_sync_functions";
    let before = text(&test, versions).await;
    let error = migrate("60002").await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    let expected = "the schema of the connection and schema erp at ";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert!(error.to_string().contains("belong to the organization 60001, not to 60002"), "{error}");
    assert_eq!(text(&test, &may).await, "false", "the reader of the other organization got nothing");
    assert_eq!(text(&test, versions).await, before);
    assert!(!migrate("60001").await.expect("its own").functions.is_empty());
    assert_eq!(text(&test, &may).await, "true");

    // A program that does not know its organization hides nothing new in the records of one.
    let rules = "customers.email";
    let error = store.check_rules(rules).await.expect_err("refused");
    assert!(error.to_string().contains("belong to the organization 60001"), "{error}");
    assert_eq!(error.hint(), Some(&Hint::Settings(&["organization"])));
    store.check_rules("").await.expect("nothing is hidden, so nothing is removed");
    test.execute(&format!("UPDATE tds_redaction SET rules = '{rules}'")).await;
    store.check_rules(rules).await.expect("what is hidden already");

    // The tables that say it are those of another version.
    test.execute(
        "ALTER TABLE tds_shared_states RENAME TO later; ALTER TABLE erp.organization RENAME TO later",
    )
    .await;
    store.check_organization("60002").await.expect("nothing says whose schemas these are");
    test.execute("ALTER TABLE erp.later RENAME TO organization; INSERT INTO erp.organization (zoho_id) VALUES ('60003')")
        .await;
    assert!(store.check_organization("60002").await.expect_err("refused").to_string().contains("60003"));
    test.execute(&format!("DROP OWNED BY \"{reader}\"; DROP ROLE \"{reader}\"")).await;
    store.shutdown().await;
}

/// Changes of both mirrors, in turn: `$m` stands for each of them.
const CHANGES: &str = "
UPDATE $m.products SET rate = 3;
UPDATE $m.invoice_lines SET quantity = 9;
UPDATE $m.stock_levels SET stock_on_hand = 8;
";

const SHOP: &str = "
INSERT INTO $m.products (zoho_id, name) VALUES ('p1', 'Cable');
INSERT INTO $m.invoices (zoho_id, number) VALUES ('i1', 'INV-1');
INSERT INTO $m.invoice_lines (document_zoho_id, document_id, position, quantity) VALUES ('i1', 1, 1, 1);
INSERT INTO $m.stock_levels (product_zoho_id, location_zoho_id, stock_on_hand) VALUES ('p1', '', 5);
INSERT INTO $e.tds_modes (entity_type, mode) VALUES ('products', 'bidirectional'), ('invoices', 'bidirectional'),
  ('stock', 'bidirectional')";

/// Returns statements for both organizations.
fn both(statements: &str) -> String {
    let of = |engine: &str, mirror: &str| statements.replace("$e", engine).replace("$m", mirror);
    format!("{};{}", of("public", "erp"), of("\"Tds_DE\"", "\"select\""))
}

/// Returns what was captured in one of the organizations, and the lines of adjustments.
async fn captured(database: &Database) -> String {
    let sql = "SELECT concat((SELECT string_agg(DISTINCT concat_ws(' ', c.entity_type, c.operation), ',') FROM tds_captured AS c),
        '; ', (SELECT string_agg(trim_scale(quantity_adjusted)::text, ',') FROM erp.stock_adjustment_lines))";
    let found: String = sqlx::query_scalar(sql).fetch_one(database).await.expect("captured");
    sqlx::raw_sql("DELETE FROM tds_captured").execute(database).await.expect("deleted");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn one_transaction_that_changes_both_mirrors_is_captured_in_both() {
    let test = TestDatabase::new().await;
    let second = beside(&test).await;
    let first = test.database();
    let shop = both(SHOP);
    test.execute(format!("BEGIN; SET LOCAL tds.origin = 'remote'; {shop}; COMMIT")).await;
    test.execute(format!("BEGIN; {}; COMMIT", both(CHANGES))).await;
    let all = "invoices upsert,products upsert,stock upsert; 3";
    assert_eq!([captured(first).await, captured(&second).await], [all, all]);

    // The engine of one organization is an ordinary program in the mirror of the other.
    let changes = CHANGES.replace("= 3", "= 4").replace("= 9", "= 10").replace("= 8", "= 9");
    test.execute(format!("BEGIN; SET LOCAL tds.origin = 'remote erp'; {}; COMMIT", both(&changes))).await;
    assert_eq!(captured(first).await, "; 3");
    assert_eq!(captured(&second).await, "invoices upsert,products upsert,stock upsert; 3,1");
    test.execute(format!("BEGIN; SET LOCAL tds.origin = 'remote select'; {}; COMMIT", both(CHANGES))).await;
    assert_eq!(captured(first).await, "invoices upsert,products upsert,stock upsert; 3,-1");
    assert_eq!(captured(&second).await, "; 3,1");

    // What one engine writes is its own change.
    let mut connection = second.pool().acquire().await.expect("a connection");
    sqlx::raw_sql("UPDATE \"Tds_DE\".tds_modes SET mode = 'zoho_primary' WHERE entity_type = 'products'")
        .execute(&mut *connection)
        .await
        .expect("updated");
    test.execute("UPDATE \"Tds_DE\".tds_capture_settings SET write_guard = true").await;
    let guarded = sqlx::raw_sql("UPDATE \"select\".products SET rate = 1").execute(first).await;
    assert!(guarded.expect_err("guarded").to_string().contains("select.products cannot be changed here"));
    test.execute("UPDATE erp.products SET rate = 1").await;
    assert_eq!(captured(first).await, "products upsert; 3,-1");

    // Functions that ERPs call know their own tables. The search path of the session names neither organization.
    let push = "SET search_path = pg_catalog; SELECT \"Tds_DE\".tds_push('invoices', 1, 'upsert')";
    let mut other = first.pool().acquire().await.expect("a connection");
    sqlx::raw_sql(push).execute(&mut *other).await.expect("pushed");
    assert_eq!(captured(first).await, "; 3,-1");
    assert_eq!(captured(&second).await, "invoices upsert; 3,1");
    sqlx::raw_sql("RESET search_path").execute(&mut *other).await.expect("reset");
    drop((connection, other));
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_channels_and_statements_of_operators_stay_in_their_organization() {
    let test = TestDatabase::new().await;
    let second = beside(&test).await;
    let [one, two] = [test.database().clone(), second.clone()]
        .map(|database| PgStore::new(database, StoreSettings::default()));
    for n in ["1", "2"] {
        one.accept(event(n, work(1, "{}"))).await.expect("accepted");
        two.accept(event(n, work(1, "{}"))).await.expect("accepted");
    }
    // A session of the first organization deletes items of the second one, which have the same ids.
    test.execute("DELETE FROM \"Tds_DE\".tds_sync_queue WHERE status = 'pending'").await;
    let counts = async || {
        [one.stats().await.expect("stats").queue.pending, two.stats().await.expect("stats").queue.pending]
    };
    assert_eq!(counts().await, [2, 0]);
    two.accept(event("3", work(1, "{}"))).await.expect("accepted");
    test.execute("BEGIN; SET LOCAL search_path = \"Tds_DE\"; DELETE FROM public.tds_sync_queue; COMMIT")
        .await;
    assert_eq!(counts().await, [0, 1]);

    // A transaction of a program in the first mirror keeps the modes of the first organization only.
    test.execute("INSERT INTO tds_modes (entity_type, mode) VALUES ('products', 'bidirectional')").await;
    let mut program = test.database().pool().begin().await.expect("begins");
    sqlx::raw_sql("INSERT INTO erp.products (name) VALUES ('New')")
        .execute(&mut *program)
        .await
        .expect("inserted");
    let locked = "SELECT pg_try_advisory_xact_lock(hashtext(tds_own('tds_modes')), hashtext('products'))";
    let free = async |database: &Database| -> bool {
        sqlx::query_scalar(locked).fetch_one(database).await.expect("answers")
    };
    assert!(!free(test.database()).await && free(&second).await);
    program.rollback().await.expect("rolled back");

    let channel = "SELECT tds_own('tds_work')";
    let of = async |database: &Database| -> String {
        sqlx::query_scalar(channel).fetch_one(database).await.expect("answers")
    };
    assert_eq!(of(test.database()).await, "tds_work");
    assert!(of(&second).await.starts_with("tds_work_"));
    one.shutdown().await;
    two.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_is_printed_renamed_and_removed_without_the_other() {
    let test = TestDatabase::new().await;
    let before = objects(&test, "public", "erp").await;
    test.execute(schema_script(&MigrationSettings::default(), &schemas(ENGINE, MIRROR))).await;
    let second = connect(&test, schemas(ENGINE, MIRROR)).await.expect("connects");
    let report = second.migrate().await.expect("migrates");
    assert_eq!((report.applied.len(), report.functions.len(), report.notes.len()), (0, 0, 0));

    test.execute("ALTER SCHEMA \"select\" RENAME TO erp_de").await;
    assert!(refused(&test, Some(ENGINE), MIRROR).await.contains("is in \"erp_de\", not in \"select\""));
    let renamed = connect(&test, schemas(ENGINE, "erp_de")).await.expect("connects");
    assert!(!renamed.schema().await.expect("readable").is_current());
    renamed.migrate().await.expect("migrates");
    let left = "SELECT count(*)::text FROM pg_proc p WHERE p.pronamespace = '\"Tds_DE\"'::regnamespace
      AND (prosrc ~ '\"select\"' OR prosrc ~ 'remote select')";
    assert_eq!(text(&test, left).await, "0");
    sqlx::raw_sql("INSERT INTO erp_de.organization (zoho_id) VALUES ('7')")
        .execute(&renamed)
        .await
        .expect("a row");
    renamed.close().await;
    second.close().await;

    test.execute("DROP SCHEMA \"Tds_DE\", erp_de CASCADE").await;
    assert_eq!(objects(&test, "public", "erp").await, before);
    assert_eq!(test.database().migrate().await.expect("migrates").functions, Vec::<&str>::new());
    let store = PgStore::new(test.database().clone(), StoreSettings::default());
    store.accept(event("1", work(1, "{}"))).await.expect("accepted");
    store.shutdown().await;
}
