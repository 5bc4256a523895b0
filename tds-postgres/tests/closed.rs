//! Tests that TDS is closed by default: only the owner and roles with a grant can read or change the objects of TDS.

mod support;

use sqlx::AssertSqlSafe;
use support::{claim, complete, event, text, work};
use tds_core::{
    error::ErrorKind,
    hint::Hint,
    inbox::Inbox as _,
    queue::{ItemFilter, Outcome, Queue as _, QueueOperator as _},
};
use tds_postgres::{
    Access, ClusterConfig, Database, DatabaseConfig, EmbeddedCluster, MigrationSettings, PgStore, Schemas,
    StoreSettings, WriteGuard, schema_script, testkit::TestDatabase,
};

/// Creates the roles of a web API. Roles belong to the whole server, which other tests use at the same time.
const WEB_ROLES: &str = "DO $$
  DECLARE role text;
  BEGIN
    FOREACH role IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
      END;
    END LOOP;
  END $$";

/// Default privileges like those of a new Supabase project, and wider ones: for every schema, and for all roles.
const DEFAULT_PRIVILEGES: &str = "
  ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
  ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
  ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
  ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, PUBLIC;
  ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO anon, PUBLIC";

/// Selects the tables of TDS that a role may read or change in any way.
const OPEN_TABLES: &str = "SELECT COALESCE(string_agg(c.oid::regclass::text, ' '), '') FROM pg_class c
   JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'v') AND (n.nspname = 'erp' OR c.relname LIKE 'tds\\_%' OR c.relname = '_sqlx_migrations')
    AND EXISTS (SELECT FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p
                 WHERE has_table_privilege('$role', c.oid, p))";

/// Tries to read and change everything as a role, and fails if anything was permitted.
const TRY_EVERYTHING: &str = "DO $$
  DECLARE o record; attempt text; tried integer := 0;
  BEGIN
    FOR o IN
      SELECT c.oid::regclass AS name, c.relkind AS kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'v', 'S') AND (n.nspname = 'erp' OR c.relname LIKE 'tds\\_%' OR c.relname = '_sqlx_migrations')
      UNION ALL
      SELECT NULL, 'f' FROM generate_series(1, 1)
    LOOP
      FOREACH attempt IN ARRAY CASE o.kind
        WHEN 'S' THEN ARRAY[format('SELECT nextval(%L)', o.name)]
        WHEN 'f' THEN ARRAY['SELECT tds_push(''customers'', 1, ''upsert'')', 'SELECT tds_close(''{}'')']
        ELSE ARRAY[format('SELECT FROM %s', o.name), format('DELETE FROM %s', o.name),
          format('INSERT INTO %s DEFAULT VALUES', o.name), format('LOCK TABLE %s IN SHARE MODE', o.name)] END
      LOOP
        BEGIN
          SET LOCAL ROLE $role;
          EXECUTE attempt;
          RESET ROLE;
          RAISE EXCEPTION 'permitted to $role: %', attempt;
        EXCEPTION WHEN insufficient_privilege THEN
          RESET ROLE;
          tried := tried + 1;
        END;
      END LOOP;
    END LOOP;
    ASSERT tried > 200, tried;
  END $$";

async fn run(database: &Database, sql: impl Into<String>) {
    let sql = sql.into();
    sqlx::raw_sql(AssertSqlSafe(sql.clone()))
        .execute(database)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn open_tables(test: &TestDatabase, role: &str) -> String {
    text(test, &OPEN_TABLES.replace("$role", role)).await
}

/// A role that may log in, and the URL of the database for this role. [`Role::forget`] drops the role.
struct Role {
    name: String,
    url: String,
}

impl Role {
    async fn create(test: &TestDatabase, kind: &str) -> Self {
        let name = format!("tds_test_{kind}_{}", uuid::Uuid::new_v4().simple());
        run(test.database(), format!("CREATE ROLE {name} LOGIN PASSWORD 'secret'")).await;
        let (_, rest) = test.url().split_once('@').expect("a user");
        let url = format!("postgres://{name}:secret@{rest}");
        Self { name, url }
    }

    async fn connect(&self) -> Database {
        Database::connect(&DatabaseConfig { max_connections: 3, ..DatabaseConfig::new(&self.url) })
            .await
            .expect("connects")
    }

    async fn forget(self, test: &TestDatabase) {
        run(test.database(), format!("DROP OWNED BY {0} CASCADE; DROP ROLE {0}", self.name)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_of_a_web_api_can_do_nothing_whatever_the_default_privileges_are() {
    let test = TestDatabase::empty().await;
    run(test.database(), WEB_ROLES).await;
    run(test.database(), DEFAULT_PRIVILEGES).await;
    test.database().migrate().await.expect("migrates");
    for role in ["anon", "authenticated"] {
        assert_eq!(open_tables(&test, role).await, "", "{role}");
    }
    let found = test.database().exposures(&[]).await.expect("readable");
    assert_eq!(found.exposures, []);
    assert!(found.granted.iter().any(|access| access.role == "service_role"), "{:?}", found.granted);
    let functions = "SELECT COALESCE(string_agg(p.oid::regprocedure::text, ' '), '') FROM pg_proc p
      WHERE p.proname LIKE 'tds\\_%' AND has_function_privilege('anon', p.oid, 'EXECUTE')";
    assert_eq!(text(&test, functions).await, "");
    let unguarded = "SELECT COALESCE(string_agg(c.oid::regclass::text, ' '), '') FROM pg_class c
      WHERE c.relkind = 'r' AND NOT c.relrowsecurity
        AND (c.relnamespace = 'erp'::regnamespace OR c.relname LIKE 'tds\\_%' OR c.relname = '_sqlx_migrations')";
    assert_eq!(text(&test, unguarded).await, "");
    let policies = "SELECT count(*)::text FROM pg_policies WHERE schemaname = 'public'";
    assert_eq!(text(&test, policies).await, "0");
    assert_eq!(text(&test, "SELECT has_schema_privilege('anon', 'erp', 'USAGE')::text").await, "false");
    // The roles really try, on every table, view, sequence and function there is, the newest included.
    assert_eq!(text(&test, "SELECT to_regclass('tds_erasures')::text").await, "tds_erasures");
    for role in ["anon", "authenticated"] {
        run(test.database(), TRY_EVERYTHING.replace("$role", role)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn privileges_that_were_open_are_closed_by_the_next_start() {
    let test = TestDatabase::new().await;
    run(test.database(), WEB_ROLES).await;
    run(test.database(), "GRANT ALL ON ALL TABLES IN SCHEMA public TO anon; GRANT ALL ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC;
        GRANT USAGE ON SCHEMA erp TO authenticated; GRANT SELECT (name) ON erp.customers TO authenticated").await;
    let store = PgStore::new(test.database().clone(), StoreSettings::default());
    store.accept(event("1", work(1, "{}"))).await.expect("accepted");
    // Until the next start, row level security hides the rows. Nothing else keeps another role from a TRUNCATE.
    let seen = "SET ROLE anon; SELECT count(*)::text FROM tds_inbox_events";
    let mut connection = test.database().pool().acquire().await.expect("a connection");
    let row = sqlx::raw_sql(seen).fetch_one(&mut *connection).await.expect("answers");
    assert_eq!(sqlx::Row::get::<String, _>(&row, 0), "0");
    let view = sqlx::raw_sql("SELECT count(*) FROM tds_sync_queue")
        .fetch_one(&mut *connection)
        .await
        .expect("answers");
    assert_eq!(sqlx::Row::get::<i64, _>(&view, 0), 0, "the view must not show what its tables hide");
    sqlx::raw_sql("RESET ROLE").execute(&mut *connection).await.expect("reset");
    let found = test.database().exposures(&[]).await.expect("readable").exposures;
    for (role, object, privilege) in [
        ("anon", "public.tds_inbox_events", "TRUNCATE"),
        ("PUBLIC", "tds_better_outcome(text,text)", "EXECUTE"),
        ("authenticated", "erp", "USAGE"),
        ("authenticated", "erp.customers", "SELECT"),
    ] {
        let named = found.iter().any(|access| {
            access.role == role && access.object == object && access.privileges.iter().any(|p| p == privilege)
        });
        assert!(named, "{role} {object} {privilege} is not in {found:?}");
    }
    test.database().migrate().await.expect("migrates");
    assert_eq!(test.database().exposures(&[]).await.expect("readable").exposures, []);
    assert_eq!(open_tables(&test, "anon").await, "");
}

/// Returns what is open, as `role object privileges: remedy`.
async fn open(test: &TestDatabase, readers: &[String]) -> Vec<String> {
    let found = test.database().exposures(readers).await.expect("readable").exposures;
    let line = |access: &Access| {
        let remedy = access.remedy.as_deref().unwrap_or("migrate");
        format!("{} {} {}: {remedy}", access.role, access.object, access.privileges.join(","))
    };
    found.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reads_the_tables_for_others_is_named_and_never_changed() {
    let test = TestDatabase::new().await;
    run(test.database(), WEB_ROLES).await;
    let owner = Role::create(&test, "views").await;
    run(
        test.database(),
        format!(
            "CREATE SCHEMA others; GRANT USAGE ON SCHEMA others TO PUBLIC;
        CREATE VIEW public.my_cust AS SELECT name, phone FROM erp.customers; GRANT SELECT ON public.my_cust TO anon;
        CREATE VIEW others.again AS SELECT name FROM public.my_cust; GRANT SELECT (name) ON others.again TO PUBLIC;
        CREATE MATERIALIZED VIEW others.kept AS SELECT name FROM erp.live_customers; GRANT SELECT ON others.kept TO authenticated;
        CREATE VIEW others.over_kept AS SELECT * FROM others.kept; GRANT SELECT ON others.over_kept TO anon;
        CREATE VIEW others.bodies AS SELECT raw_payload FROM tds_inbox_events; GRANT SELECT ON others.bodies TO anon;
        CREATE FUNCTION others.names() RETURNS SETOF text SECURITY DEFINER BEGIN ATOMIC SELECT name FROM others.again; END;
        CREATE VIEW others.closed AS SELECT name FROM erp.customers;
        CREATE VIEW others.named AS SELECT name FROM erp.customers; GRANT SELECT ON others.named TO {0};
        CREATE VIEW others.without AS SELECT 1 AS one FROM erp.customers; GRANT SELECT ON others.without TO anon;
        ALTER VIEW others.without OWNER TO {0};
        CREATE FUNCTION others.own() RETURNS SETOF text BEGIN ATOMIC SELECT name FROM erp.customers; END",
            owner.name
        ),
    )
    .await;
    let is_new =
        text(&test, "SELECT (current_setting('server_version_num')::int >= 150000)::text").await == "true";
    let invoker = |view: &str| {
        if is_new { format!(" or ALTER VIEW {view} SET (security_invoker = true)") } else { String::new() }
    };
    let expected = [
        "PUBLIC others.again SELECT: REVOKE ALL ON others.again FROM PUBLIC".to_owned()
            + &invoker("others.again"),
        "PUBLIC others.names() EXECUTE: REVOKE ALL ON FUNCTION others.names() FROM PUBLIC".to_owned(),
        "anon others.bodies SELECT: REVOKE ALL ON others.bodies FROM anon".to_owned()
            + &invoker("others.bodies"),
        "anon others.over_kept SELECT: REVOKE ALL ON others.over_kept FROM anon".to_owned()
            + &invoker("others.over_kept"),
        "anon public.my_cust SELECT: REVOKE ALL ON public.my_cust FROM anon".to_owned()
            + &invoker("public.my_cust"),
        "authenticated others.kept SELECT: REVOKE ALL ON others.kept FROM authenticated".to_owned(),
    ];
    assert_eq!(open(&test, &[]).await, expected);
    let granted = test.database().exposures(&[]).await.expect("readable").granted;
    assert!(
        granted.iter().any(|access| access.object == "others.named" && access.role == owner.name),
        "{granted:?}"
    );
    // A migration changes nothing here. A reader of the mirror may read it through views too, and nothing of the engine.
    test.database().migrate().await.expect("migrates");
    let for_readers = open(&test, &["anon".to_owned()]).await;
    assert_eq!(for_readers, [&expected[..3], &expected[5..]].concat());
    // What the report says ends it.
    if is_new {
        run(
            test.database(),
            "ALTER VIEW public.my_cust SET (security_invoker = on);
            ALTER VIEW others.again SET (security_invoker = true)",
        )
        .await;
        let left = open(&test, &[]).await;
        // The function still reads as its owner.
        assert_eq!(left, [&expected[1..4], &expected[5..]].concat());
    }
    run(test.database(), "REVOKE ALL ON others.again FROM PUBLIC; REVOKE ALL ON FUNCTION others.names() FROM PUBLIC;
        REVOKE ALL ON others.bodies, others.over_kept, public.my_cust FROM anon; REVOKE ALL ON others.kept FROM authenticated").await;
    assert_eq!(open(&test, &[]).await, [""; 0]);
    // Nobody else creates objects where the engine looks for its own.
    run(test.database(), "GRANT CREATE ON SCHEMA public TO PUBLIC").await;
    test.database().migrate().await.expect("migrates");
    let remedy = "PUBLIC public CREATE: REVOKE CREATE ON SCHEMA public FROM PUBLIC";
    assert_eq!(open(&test, &[]).await, [remedy]);
    owner.forget(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn privileges_that_a_role_gave_on_are_closed_and_those_of_other_roles_stay() {
    let test = TestDatabase::new().await;
    run(test.database(), WEB_ROLES).await;
    let (graf, other) = (Role::create(&test, "graf").await, Role::create(&test, "other").await);
    run(
        test.database(),
        format!(
            "GRANT USAGE ON SCHEMA erp TO {0} WITH GRANT OPTION;
        GRANT SELECT, INSERT ON erp.customers TO {0} WITH GRANT OPTION; GRANT SELECT ON erp.invoices TO {0} WITH GRANT OPTION;
        GRANT EXECUTE ON FUNCTION tds_better_outcome(text, text) TO {0} WITH GRANT OPTION; GRANT SELECT ON erp.bills TO anon WITH GRANT OPTION;
        SET ROLE {0}; GRANT USAGE ON SCHEMA erp TO anon, {1}; GRANT SELECT ON erp.customers TO {1} WITH GRANT OPTION;
        GRANT SELECT (number) ON erp.invoices TO {1}, authenticated; GRANT INSERT ON erp.customers TO anon, PUBLIC;
        GRANT EXECUTE ON FUNCTION tds_better_outcome(text, text) TO PUBLIC;
        SET ROLE {1}; GRANT SELECT ON erp.customers TO anon;
        SET ROLE anon; GRANT SELECT ON erp.bills TO {1}; RESET ROLE",
            graf.name, other.name
        ),
    )
    .await;
    assert!(open(&test, &[]).await.len() > 5);
    let report = test.database().migrate().await.expect("migrates");
    assert_eq!(report.notes.len(), 4, "{:?}", report.notes);
    let told = format!(
        "a privilege on erp.customers that {}, {} had given to others was revoked",
        graf.name, other.name
    );
    assert!(report.notes.iter().any(|note| note.starts_with(&told)), "{:?}", report.notes);
    assert_eq!(open(&test, &[]).await, [""; 0]);
    for role in ["anon", "authenticated"] {
        assert_eq!(open_tables(&test, role).await, "", "{role}");
    }
    let kept = format!(
        "SELECT concat_ws(' ', has_table_privilege('{0}', 'erp.customers', 'SELECT'), has_table_privilege('{0}', 'erp.customers', 'INSERT'),
        has_table_privilege('{0}', 'erp.invoices', 'SELECT'), has_function_privilege('{0}', 'tds_better_outcome(text, text)', 'EXECUTE'),
        has_schema_privilege('{0}', 'erp', 'USAGE'), has_table_privilege('{1}', 'erp.customers', 'SELECT'),
        has_column_privilege('{1}', 'erp.invoices', 'number', 'SELECT'), has_table_privilege('{1}', 'erp.bills', 'SELECT'), has_schema_privilege('{1}', 'erp', 'USAGE'),
        has_table_privilege('{0}', 'erp.customers', 'SELECT WITH GRANT OPTION'), has_table_privilege('{1}', 'erp.invoices', 'SELECT'))",
        graf.name, other.name
    );
    assert_eq!(text(&test, &kept).await, "t t t t t t t t t f f");
    let report = test.database().migrate().await.expect("migrates");
    assert_eq!(report.notes, Vec::<String>::new());
    for role in [graf, other] {
        role.forget(&test).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_grants_of_its_own_goes_on_working() {
    let test = TestDatabase::new().await;
    let app = Role::create(&test, "app").await;
    run(
        test.database(),
        format!(
            "GRANT USAGE ON SCHEMA erp TO {0};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, erp TO {0};
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public, erp TO {0}",
            app.name
        ),
    )
    .await;
    let report = test.database().migrate().await.expect("migrates");
    assert_eq!(report.notes, Vec::<String>::new());
    let database = app.connect().await;
    database.migrate().await.expect("nothing is to be done");
    let store = PgStore::new(database.clone(), StoreSettings::default());
    store.accept(event("1", work(1, "{}"))).await.expect("accepted");
    let claimed = claim(&store, 5).await;
    assert_eq!(claimed.len(), 1);
    store.settle(complete(&claimed, Outcome::Applied)).await.expect("settled");
    assert_eq!(store.list(&ItemFilter::default(), 10, None).await.expect("listed").items.len(), 1);
    let deleted =
        sqlx::query("DELETE FROM tds_sync_queue WHERE status = 'completed'").execute(&database).await;
    assert_eq!(deleted.expect("the handbook's statement").rows_affected(), 1);
    database.close().await;
    // A role that was granted only the view still reads through it.
    let support = Role::create(&test, "support").await;
    run(test.database(), format!("GRANT SELECT ON tds_sync_queue TO {}", support.name)).await;
    store.shutdown().await;
    test.database().migrate().await.expect("migrates");
    let database = support.connect().await;
    let seen = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM tds_sync_queue").fetch_one(&database).await;
    assert_eq!(seen.expect("readable"), 0);
    database.close().await;
    support.forget(&test).await;
    app.forget(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_the_mirror_and_nothing_of_the_engine() {
    let test = TestDatabase::empty().await;
    let (reader, analyst, writer) = (
        Role::create(&test, "reader").await,
        Role::create(&test, "analyst").await,
        Role::create(&test, "writer").await,
    );
    let readers = [reader.name.clone()];
    let unguarded = WriteGuard { refuses: false, advice: String::new() };
    let settings = MigrationSettings {
        readers: &readers,
        write_guard: Some(&unguarded),
        ..MigrationSettings::default()
    };
    test.database().migrate_with(&settings).await.expect("migrates");
    run(
        test.database(),
        format!("GRANT tds_reader TO {}; GRANT tds_writer TO {}", analyst.name, writer.name),
    )
    .await;
    run(test.database(), "INSERT INTO erp.products (zoho_id, name) VALUES ('1', 'chair')").await;
    // These objects are created by hand between two starts.
    run(
        test.database(),
        "CREATE TABLE erp.later (id int); CREATE VIEW erp.chairs AS SELECT name FROM erp.products",
    )
    .await;
    for role in [&reader, &analyst] {
        let database = role.connect().await;
        let count = "SELECT count(*) FROM erp.chairs, (SELECT count(*) FROM erp.later) AS nothing";
        let seen: i64 = sqlx::query_scalar(count).fetch_one(&database).await.expect("readable");
        assert_eq!(seen, 1);
        let change = sqlx::query("UPDATE erp.products SET name = 'x'").execute(&database).await;
        let refused = change.expect_err("a reader changes nothing").to_string();
        assert!(refused.contains("permission denied"), "{refused}");
        assert!(sqlx::query("SELECT FROM tds_inbox_events").execute(&database).await.is_err());
        database.close().await;
    }
    let database = writer.connect().await;
    let count =
        "SELECT count(*) FROM erp.live_products, erp.chairs, (SELECT count(*) FROM erp.later) AS nothing,
        (SELECT count(*) FROM erp.receivables) AS owed, (SELECT count(*) FROM erp.base_amounts) AS amounts";
    let seen: i64 = sqlx::query_scalar(count).fetch_one(&database).await.expect("a writer reads too");
    assert_eq!(seen, 1);
    let changed =
        sqlx::query("UPDATE erp.products SET name = 'stool'").execute(&database).await.expect("changed");
    assert_eq!(changed.rows_affected(), 1);
    database.close().await;
    let nobody = ["tds_test_nobody".to_owned()];
    let settings = MigrationSettings { readers: &nobody, ..MigrationSettings::default() };
    let unknown = test.database().migrate_with(&settings).await.expect_err("refused");
    assert_eq!(unknown.kind(), ErrorKind::Config);
    assert!(unknown.to_string().contains("found \"tds_test_nobody\""), "{unknown}");
    assert_eq!(unknown.hint(), Some(&Hint::Settings(&["readers"])));
    for role in [reader, analyst, writer] {
        role.forget(&test).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_create_tables_gets_the_grant_named_and_works_with_it() {
    let test = TestDatabase::empty().await;
    run(test.database(), "REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let owner = Role::create(&test, "owner").await;
    let database = owner.connect().await;
    let error = database.migrate().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let missing = database.missing_grants().await.expect("readable");
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert_eq!(missing[0], format!("GRANT CREATE, USAGE ON SCHEMA public TO {}", owner.name));
    assert!(missing[1].starts_with("GRANT CREATE ON DATABASE "), "{missing:?}");
    for statement in missing {
        assert!(error.to_string().contains(&statement), "{error}");
        run(test.database(), statement).await;
    }
    database.migrate().await.expect("migrates");
    assert_eq!(database.missing_grants().await.expect("readable"), Vec::<String>::new());
    assert_eq!(database.exposures(&[]).await.expect("readable").exposures, []);
    // The owner of the tables is not subject to their row level security.
    let store = PgStore::new(database.clone(), StoreSettings::default());
    store.accept(event("1", work(1, "{}"))).await.expect("accepted");
    let claimed = claim(&store, 5).await;
    assert_eq!(store.settle(complete(&claimed, Outcome::Applied)).await.expect("settled").accepted, 1);
    store.shutdown().await;
    database.close().await;
    // Another role has no access to these tables. The report names the missing grant.
    let stranger = Role::create(&test, "stranger").await;
    let database = stranger.connect().await;
    let missing = database.missing_grants().await.expect("readable");
    assert_eq!(missing, [format!("GRANT {} TO {}", owner.name, stranger.name)]);
    let refused = sqlx::query("SELECT FROM tds_inbox_events").execute(&database).await;
    assert!(refused.expect_err("refused").to_string().contains("permission denied"));
    run(test.database(), missing[0].clone()).await;
    assert_eq!(database.missing_grants().await.expect("readable"), Vec::<String>::new());
    database.close().await;
    stranger.forget(&test).await;
    owner.forget(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_may_not_create_roles_migrates_and_says_what_was_left_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = ClusterConfig::new(directory.path());
    config.settings = vec![("fsync".into(), "off".into()), ("shared_buffers".into(), "16MB".into())];
    let cluster = EmbeddedCluster::start(&config).await.expect("the cluster starts");
    let admin = Database::connect(&DatabaseConfig::new(cluster.url())).await.expect("connects");
    run(&admin, "CREATE ROLE shop LOGIN PASSWORD 'secret'").await;
    run(&admin, "CREATE DATABASE shop OWNER shop").await;
    let (_, rest) = cluster.url().split_once('@').expect("a user");
    let url = format!("postgres://shop:secret@{}", rest.replace("/postgres?", "/shop?"));
    let database = Database::connect(&DatabaseConfig::new(url)).await.expect("connects");
    let report = database.migrate().await.expect("migrates");
    assert_eq!(report.notes.len(), 2, "{:?}", report.notes);
    assert!(report.notes[0].contains("CREATE ROLE tds_reader NOLOGIN"), "{:?}", report.notes);
    run(&admin, "CREATE ROLE tds_reader NOLOGIN; CREATE ROLE tds_writer NOLOGIN").await;
    let report = database.migrate().await.expect("migrates");
    assert_eq!(report.notes, Vec::<String>::new());
    let readable = "SELECT has_table_privilege('tds_reader', 'erp.invoices', 'SELECT')::text";
    let readable: String = sqlx::query_scalar(readable).fetch_one(&database).await.expect("answers");
    assert_eq!(readable, "true");
    // Only its owner can close an object of another role in the schema of the mirror.
    let inside = DatabaseConfig::new(cluster.url().replace("/postgres?", "/shop?"));
    let inside = Database::connect(&inside).await.expect("connects");
    let open = "CREATE ROLE anon NOLOGIN; CREATE MATERIALIZED VIEW erp.kept AS SELECT 1 AS one;
      GRANT SELECT ON erp.kept TO anon; GRANT SELECT ON erp.invoices TO anon";
    run(&inside, open).await;
    inside.close().await;
    let remedies = async || {
        let found = database.exposures(&[]).await.expect("readable").exposures;
        found.into_iter().map(|it| (it.object, it.remedy)).collect::<Vec<_>>()
    };
    let foreign = ("erp.kept".to_owned(), Some("REVOKE ALL ON erp.kept FROM anon".to_owned()));
    assert_eq!(remedies().await, [("erp.invoices".to_owned(), None), foreign.clone()]);
    database.migrate().await.expect("migrates");
    assert_eq!(remedies().await, [foreign]);
    database.close().await;
    admin.close().await;
    cluster.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_schema_is_what_migrate_would_make() {
    let test = TestDatabase::empty().await;
    let mut connection = test.database().pool().acquire().await.expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(schema_script(&MigrationSettings::default(), &Schemas::default())))
        .execute(&mut *connection)
        .await
        .expect("a script");
    drop(connection);
    assert!(test.database().schema().await.expect("readable").is_current());
    let report = test.database().migrate().await.expect("migrates");
    assert_eq!(report.applied, Vec::<i64>::new());
    assert_eq!(test.database().exposures(&[]).await.expect("readable").exposures, []);
}
