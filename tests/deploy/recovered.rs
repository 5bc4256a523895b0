//! The way back of a dump, with a real PostgreSQL: that of the stack, and that of one organization of two.

use std::{fs, path::Path, process::Command};

use tds_postgres::{ClusterConfig, EmbeddedCluster};

use crate::{
    linted::told,
    roles::{Place, psql},
    server::program,
    stage::{Done, Stage, sources},
};

/// Stands for docker: the programs of the container of the database and the task of TDS run here, against a real PostgreSQL.
const DOCKER: &str = r#"#!/bin/sh
printf 'docker %s\n' "$*" >>"$STAGE/calls"
. "$STAGE/cluster"
case " $* " in
    *" exec -T "*"db "*) ;;
    *" run --rm "*" tds-task "*) ;;
    *) exit 0 ;;
esac
while [ "$1" != exec ] && [ "$1" != run ]; do shift; done
how=$1
shift
while :; do
    case "$1" in
        --env) export "$2"; shift 2 ;;
        -*) shift ;;
        *) break ;;
    esac
done
shift
if [ "$how" = run ]; then
    exec env -u PGPASSWORD -u PGUSER DB_HOST="$PGHOST" DB_PORT="$PGPORT" DB_USER=shop DB_PASSWORD_FILE="$SECRETS/db_password" \
        DB_NAME="${DB_NAME:-tds}" "$PROGRAM" "$@"
fi
# A container gets a pipe, in which nobody can go back.
case "$1" in
    pg_restore) cat | "$@" ;;
    # The list of what is restored does not reach the container, and nobody notices.
    sh) if [ -e "$STAGE/swallowed" ] && [ "$2" = -c ]; then cat >/dev/null; else exec "$@"; fi ;;
    *) exec "$@" ;;
esac
"#;

/// A host whose database is a real cluster, as `postgres/init.sh` prepares it.
struct Host {
    stage: Stage,
    cluster: EmbeddedCluster,
    place: Place,
}

impl Host {
    async fn new(stage: Stage, home: &Path) -> Self {
        // Nothing here has to survive a power cut.
        let settings = ["fsync", "full_page_writes"].map(|name| (name.to_owned(), "off".to_owned()));
        let config = ClusterConfig { settings: settings.to_vec(), ..ClusterConfig::new(home) };
        let cluster = EmbeddedCluster::start(&config).await.expect("a cluster");
        let place = Place::of(cluster.url());
        let superuser = format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postgres') THEN
               CREATE ROLE postgres SUPERUSER LOGIN PASSWORD '{0}'; ELSE ALTER ROLE postgres PASSWORD '{0}'; END IF; END $$",
            place.password
        );
        assert!(psql(cluster.url(), &superuser).0);
        for name in ["db", "erp", "monitor"] {
            stage.write(&format!("{name}_password"), &format!("of-{name}"));
        }
        let variables = [
            ("PGHOST", place.host.clone()),
            ("PGPORT", place.port.clone()),
            ("PGUSER", "postgres".to_owned()),
            ("PGPASSWORD", place.password.clone()),
            ("SECRETS", stage.path("").display().to_string()),
            ("PROGRAM", program().display().to_string()),
            ("DB_USER", "shop".to_owned()),
        ];
        let lines: String =
            variables.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
        stage.write("cluster", &lines);
        stage.replace_stub("docker", DOCKER);
        stage.write("deploy/.env", "DB_USER=shop\n");
        stage.unstub("df");
        let mut init = Command::new("sh");
        let output = init.arg(sources().join("postgres/init.sh")).envs(variables).output().expect("sh");
        assert!(output.status.success(), "{}", told(&output));
        Self { stage, cluster, place }
    }

    fn url(&self, role: &str, password: &str, database: &str) -> String {
        let Place { host, port, .. } = &self.place;
        format!("postgres://{role}:{password}@{host}:{port}/{database}?sslmode=disable")
    }

    /// Returns what a statement of the superuser answers.
    fn asked(&self, database: &str, sql: &str) -> String {
        let (is_done, said) = psql(&self.url("postgres", &self.place.password, database), sql);
        assert!(is_done, "{sql}: {said}");
        said.trim().to_owned()
    }

    /// Runs the program as the role of the stack.
    fn tds(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(program());
        command.args(arguments).env_clear().env("DATABASE_URL", self.url("shop", "of-db", "tds"));
        let output = command.current_dir(self.stage.path("")).output().expect("the program");
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        told(&output)
    }

    /// Writes the name of the only product, in both mirrors, as TDS itself would.
    fn name_products(&self, name: &str) {
        for (engine, mirror) in [("public", "erp"), ("tds_de", "erp_de")] {
            let sql = format!(
                "BEGIN; SET LOCAL search_path = {engine}; SET LOCAL tds.origin = 'remote'; DELETE FROM {mirror}.products;
                 INSERT INTO {mirror}.products (name, sku, unit, rate, item_type, product_type)
                 VALUES ('{name}', '1', 'pcs', 1, 'inventory', 'goods'); COMMIT"
            );
            let (is_done, said) = psql(&self.url("shop", "of-db", "tds"), &sql);
            assert!(is_done, "{said}");
        }
    }

    fn products(&self, database: &str) -> String {
        let both = "SELECT p.name || ', ' || d.name FROM erp.products AS p, erp_de.products AS d";
        self.asked(database, both)
    }

    /// Runs a command of `deploy/bin` without the stack, for the organization with schemas of its own.
    fn by_url(&self, command: &str, database: &str, arguments: &[&str]) -> String {
        let mut run = Command::new(self.stage.path(&format!("deploy/bin/{command}")));
        run.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").current_dir(self.stage.path(""));
        run.env("DATABASE_URL", self.url("shop", "of-db", database)).env("TDS_SERVER", program());
        run.envs([("TDS_SCHEMA", "tds_de"), ("TDS_ERP_SCHEMA", "erp_de")]);
        let output = run.output().expect("the command");
        assert!(output.status.success(), "{command} {arguments:?}: {}", told(&output));
        told(&output)
    }

    /// Describes a database to the programs of PostgreSQL, as its only service.
    fn serve_as(&self, service: &str, database: &str) {
        let Place { host, port, .. } = &self.place;
        let lines = [
            ("host", &**host),
            ("port", port),
            ("user", "shop"),
            ("password", "of-db"),
            ("dbname", database),
        ];
        let lines: String = lines.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        self.stage.write("services", &format!("[{service}]\n{lines}"));
    }

    fn restore(&self, arguments: &[&str]) -> Done {
        self.stage.run("restore", arguments)
    }
}

const OTHER: [&str; 5] = ["migrate", "--schema", "tds_de", "--erp-schema", "erp_de"];
/// Who owns the database and everything in it.
const OWNERS: &str = "SELECT string_agg(DISTINCT o, ',') FROM (
    SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname IN ('public', 'erp', 'tds_de', 'erp_de')
    UNION ALL SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace::regnamespace::text IN ('public', 'erp', 'tds_de', 'erp_de')
    UNION ALL SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace::regnamespace::text IN ('public', 'erp', 'tds_de', 'erp_de')
  ) AS owners (o)";
/// The policies, and the privileges of tables.
const RIGHTS: &str = "SELECT md5(string_agg(r, ';' ORDER BY r)) || ' ' || count(*) FROM (
    SELECT concat_ws(' ', schemaname, tablename, policyname, roles::text, cmd, qual, with_check) FROM pg_policies
    UNION ALL SELECT concat_ws(' ', table_schema, table_name, grantee, privilege_type) FROM information_schema.table_privileges
      WHERE table_schema IN ('public', 'erp', 'tds_de', 'erp_de')
  ) AS rights (r)";

#[tokio::test]
async fn the_dump_of_the_stack_comes_back_with_its_owner_its_policies_and_all_its_mirrors() {
    let home = tempfile::tempdir().expect("a directory");
    let host = Host::new(Stage::new(), &home.path().join("first")).await;
    // TDS may not create roles here.
    for role in ["tds_reader_erp_de", "tds_writer_erp_de"] {
        host.asked("tds", &format!("CREATE ROLE {role} NOLOGIN; GRANT {role} TO shop WITH ADMIN OPTION"));
    }
    host.tds(&["migrate"]);
    host.tds(&OTHER);
    host.name_products("before");
    let rights = host.asked("tds", RIGHTS);
    let done = host.stage.run("backup", &[]);
    assert_eq!(done.status, 0, "{}", done.said);
    let dump = done.said.lines().next().expect("the name").to_owned();
    host.name_products("after");

    // A program of the ERP is connected. It would write to a database that is replaced.
    let connected =
        sqlx::postgres::PgPool::connect(&host.url("erp", "of-erp", "tds")).await.expect("a connection");
    let done = host.restore(&[&dump]);
    assert_eq!(done.status, 1, "{}", done.said);
    assert!(done.said.contains("something else is connected to tds, and may write: erp"), "{}", done.said);
    connected.close().await;
    let names = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname LIKE 'tds%'";
    assert_eq!(host.asked("postgres", names), "tds");

    host.stage.write("swallowed", "");
    let done = host.restore(&[&dump]);
    assert_eq!(done.status, 1, "{}", done.said);
    assert!(done.said.contains("did not come out of"), "{}", done.said);
    assert_eq!(
        (host.asked("postgres", names).as_str(), host.products("tds")),
        ("tds", "after, after".to_owned())
    );
    fs::remove_file(host.stage.path("swallowed")).expect("a file");

    let done = host.restore(&[&dump]);
    assert_eq!(done.status, 0, "{}", done.said);
    assert!(done.said.contains("note: this database was restored from a backup"), "{}", done.said);
    assert!(done.said.contains("the mirror erp_de belongs to another organization"), "{}", done.said);
    let found = host.asked("postgres", names);
    let old = found
        .split(' ')
        .find(|name| name.starts_with("tds_before_restore_2"))
        .expect("the old database")
        .to_owned();
    assert_eq!(found, format!("tds {old}"), "nothing is left over");
    assert_eq!(
        (host.products("tds"), host.products(&old)),
        ("before, before".to_owned(), "after, after".to_owned())
    );
    // The servers of the other organization migrate when they start.
    host.tds(&OTHER);
    for database in ["tds", &old] {
        assert_eq!(host.asked(database, OWNERS), "shop", "{database}");
        assert_eq!(host.asked(database, RIGHTS), rights, "{database}");
    }
    for arguments in [
        &["schema", "exposures"][..],
        &["schema", "exposures", "--schema", "tds_de", "--erp-schema", "erp_de"],
    ] {
        host.tds(arguments);
    }
    host.name_products("later");
    assert_eq!(
        psql(&host.url("erp", "of-erp", "tds"), "SELECT name FROM erp.products"),
        (true, "later\n".to_owned())
    );
    host.asked("postgres", "CREATE ROLE stranger LOGIN PASSWORD 'of-stranger'");
    let (is_let_in, said) = psql(&host.url("stranger", "of-stranger", "tds"), "SELECT 1");
    assert!(!is_let_in && said.contains("permission denied for database"), "{said}");

    // As after a connection that was lost.
    host.asked("postgres", &format!("ALTER DATABASE {old} ALLOW_CONNECTIONS false"));
    let done = host.restore(&["--back", &old]);
    assert_eq!(done.status, 0, "{}", done.said);
    assert_eq!(host.products("tds"), "after, after");
    assert!(done.said.contains("syncs of everything are due now"), "{}", done.said);
    for (wrong, why) in
        [(&*old, "it has another name now"), ("tds", "it is in service"), ("postgres", "it has no tables")]
    {
        let done = host.restore(&["--back", wrong]);
        assert!(done.status == 1 && done.call(&["tds-task"]).is_none(), "{wrong}: {why}: {}", done.said);
    }

    one_organization_moves(&host);
    comes_to_an_empty_host(home.path(), &dump, &rights).await;
    host.cluster.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_database_that_is_elsewhere_is_dumped_by_its_service_and_comes_back_under_another_name() {
    let home = tempfile::tempdir().expect("a directory");
    let host = Host::new(Stage::new(), home.path()).await;
    host.tds(&["migrate"]);
    host.asked("tds", "CREATE TABLE public.of_others AS SELECT 1 AS n");
    host.serve_as("shop", "tds");
    host.stage.configure(&format!(
        "export PGSERVICEFILE={}\nEXTERNAL_DATABASE=\"service=shop\"\nDUMP_ARGUMENTS=\"--exclude-table=public.of_others\"",
        host.stage.path("services").display()
    ));
    let done = host.stage.run("backup", &[]);
    assert_eq!((done.status, &*done.calls), (0, &[][..]), "no container is asked: {}", done.said);
    let dump = done.said.lines().next().expect("the name").to_owned();

    // The steps of docs/operations/backup.md.
    let done = host.restore(&[&dump]);
    assert!(done.status == 2 && done.said.contains("restore into a new database"), "{}", done.said);
    host.asked("postgres", "CREATE DATABASE tds_restored OWNER shop");
    let said = host.by_url("restore", "tds_restored", &["--no-migrate", &dump]);
    assert!(!said.contains("was restored from a backup"), "the next start of a server notices it: {said}");
    host.serve_as("shop", "tds_restored");
    let moved = host.stage.run("backup", &[]);
    assert_eq!(moved.status, 0, "{}", moved.said);
    let tables = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class
                   WHERE relnamespace::regnamespace::text IN ('public', 'erp') AND relkind = 'r'";
    assert_eq!(host.asked("tds", tables).replace("of_others,", ""), host.asked("tds_restored", tables));
    // The schema public belongs to whom the database belongs to.
    assert_eq!(host.asked("tds_restored", &OWNERS.replacen("'public', ", "", 1)), "shop");
    host.cluster.stop().await.expect("it stops");
}

/// The dump of one organization, restored into a database that has the other one already.
fn one_organization_moves(host: &Host) {
    let schemas = ["--", "--schema=tds_de", "--schema=erp_de"];
    let said = host.by_url("backup", "tds", &schemas);
    let dump = said.lines().next().expect("the name");
    host.asked("postgres", "CREATE DATABASE elsewhere OWNER shop");
    let mut first = Command::new(program());
    first.arg("migrate").env_clear().env("DATABASE_URL", host.url("shop", "of-db", "elsewhere"));
    assert!(first.current_dir(host.stage.path("")).output().expect("the program").status.success());
    let said = host.by_url("restore", "elsewhere", &[dump]);
    assert!(!said.contains("WARNING") && !said.contains("TDS_SERVER"), "{said}");
    let analyzed = "SELECT count(*) > 0 FROM pg_stats WHERE schemaname = 'erp_de'";
    assert_eq!(host.asked("elsewhere", analyzed), "t");
    assert!(said.contains("note: this database was restored from a backup"), "{said}");
    let names = "SELECT (SELECT string_agg(name, ',') FROM erp_de.products) || ' ' || (SELECT count(*) FROM erp.products)";
    assert_eq!(host.asked("elsewhere", names), "after 0", "the other organization is as it was");
    let others =
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'tds_de'::regnamespace AND relkind = 'r'";
    assert_eq!(host.asked("elsewhere", others), host.asked("tds", others));
    assert_eq!(host.asked("elsewhere", &OWNERS.replace("'public', ", "")), "shop");
    for role in ["tds_reader_erp_de", "tds_writer_erp_de"] {
        let may = format!("SELECT has_table_privilege('{role}', 'erp_de.products', 'SELECT')");
        assert_eq!(host.asked("elsewhere", &may), "t", "{role}");
    }
}

/// A new host after a loss: the roles of the other organization do not exist, and nothing was deployed yet.
async fn comes_to_an_empty_host(home: &Path, dump: &str, rights: &str) {
    let host = Host::new(Stage::fresh(), &home.join("second")).await;
    let there = host.stage.path("copied.dump");
    fs::copy(dump, &there).expect("a copy");
    let done = host.restore(&[&there.display().to_string()]);
    assert_eq!(done.status, 0, "{}", done.said);
    assert!(done.said.contains("nothing was started: deploy/bin/deploy"), "{}", done.said);
    assert_eq!(done.call(&["up --detach --no-deps"]).or(done.call(&["compose", " stop "])), None);
    host.tds(&OTHER);
    assert_eq!(host.products("tds"), "before, before");
    assert_eq!((host.asked("tds", OWNERS).as_str(), host.asked("tds", RIGHTS).as_str()), ("shop", rights));
    host.cluster.stop().await.expect("it stops");
}
