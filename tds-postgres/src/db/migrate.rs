//! Brings the schema up to date.

use std::{cmp::Ordering, collections::BTreeMap, time::Duration};

use sqlx::{PgExecutor, migrate::Migrator};
use tds_core::{
    error::{Error, Result},
    hint::Hint,
};

use super::{
    capture::{self, WriteGuard},
    custom_columns::{self, CustomColumn},
    database::Database,
    error::{classify, is_retryable},
    functions::{self, stale},
    further::{Further, FurtherMigration},
    pairing,
    quote::{literal, statement},
    retry::repeat_while,
    schemas::Schemas,
    session::Tx,
    setting::Setting,
};

/// A migration of large tables takes long, and waits for the sessions that use them.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// The oldest version of the schema whose programs work on the present one. A migration that takes away what they use raises
/// the number.
const OLDEST_PROGRAM: i64 = 22;

const SUPPORT: &str = "
INSERT INTO tds_oldest_program AS o (schema_version) VALUES ($1)
ON CONFLICT (id) DO UPDATE SET schema_version = excluded.schema_version WHERE o.schema_version < excluded.schema_version
";

/// How many times a migration is tried before a deadlock makes it fail.
const ATTEMPTS: u32 = 5;

// The writes of a migration are no local changes. Older triggers do not know the origin of one mirror.
const PREPARE: &str =
    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL client_min_messages = warning;
  SET LOCAL tds.origin = 'remote'";

// Each organization of the database has a lock of its own. `$1`: the name of its schema, if the configuration has it.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('tds-migrations'),
  hashtext(concat(current_database(), NULLIF(COALESCE($1, current_schema()), 'public'))))";

const VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
  installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, checksum BYTEA NOT NULL,
  execution_time BIGINT NOT NULL)";

/// The reason why a migration did not finish.
struct Step {
    error: Error,
    /// True if the same migration may succeed at once.
    again: bool,
}

impl Step {
    fn of(error: sqlx::Error, doing: &str) -> Self {
        let again = is_retryable(&error);
        Self { error: classify(error, doing), again }
    }
}

impl From<Error> for Step {
    fn from(error: Error) -> Self {
        Self { error, again: false }
    }
}

/// What a program adds to the schema of TDS.
#[derive(Clone, Copy, Debug, Default)]
pub struct MigrationSettings<'a> {
    /// The migrations that are applied after those of TDS.
    pub further: &'a [FurtherMigration],
    /// The roles that may read schema `erp`.
    pub readers: &'a [String],
    /// The custom fields that are columns.
    pub custom_columns: &'a [CustomColumn],
    /// What happens to local changes that the mode does not provide for. `None`: it stays as it is, and in a new database
    /// they are errors.
    pub write_guard: Option<&'a WriteGuard>,
    /// True: the database was restored from a backup, even if nothing in it shows this, as after the restore of a disk.
    pub restored: bool,
    /// True: the local ids are filled in that programs of before the local ids did not write. This reads all tables that have
    /// them.
    pub fills_local_ids: bool,
}

/// The report of [`Database::migrate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    /// The target as `host:port/name`.
    pub target: String,
    /// The version of the schema before the call. 0 stands for an empty database.
    pub from: i64,
    /// The version of the schema after the call.
    pub to: i64,
    /// The versions that this call applied.
    pub applied: Vec<i64>,
    /// The families of functions that this call applied.
    pub functions: Vec<&'static str>,
    /// The further migrations that this call applied.
    pub further: Vec<&'static str>,
    /// Actions that were not possible and that TDS does not depend on, columns of custom fields that are not wanted any
    /// more, local ids that were filled in, and that the database was restored from a backup. Each entry is one sentence.
    pub notes: Vec<String>,
}

/// The status of the database's schema relative to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The version of the database's schema. 0 stands for an empty database.
    pub applied: i64,
    /// The version that this program needs.
    pub expected: i64,
    /// What the two versions and the functions of the schema mean for this program.
    pub verdict: SchemaVerdict,
}

/// The verdict on the database's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaVerdict {
    /// The schema is what this program needs.
    Current,
    /// Migrations are missing. An empty database lacks all of them.
    Older,
    /// No migration is missing, but functions are missing or come from an older program.
    OlderFunctions,
    /// A newer program migrated the database. The migrations and functions of a newer program keep this program
    /// working.
    Newer,
}

impl SchemaStatus {
    /// Returns true if the schema is what this program needs.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.verdict == SchemaVerdict::Current
    }
}

impl Database {
    /// Calls [`Database::migrate_with`] with the default settings: the program adds nothing to the schema of TDS.
    ///
    /// # Errors
    /// The errors of [`Database::migrate_with`].
    pub async fn migrate(&self) -> Result<MigrationReport> {
        self.migrate_with(&MigrationSettings::default()).await
    }

    /// Applies the missing migrations and the stale functions, makes the columns of custom fields, the views and the
    /// triggers that capture local changes, and closes the new objects, all in one transaction. Only the owner and roles with grants of their own can read or
    /// change closed objects. Several processes may call the method at the same time: each call waits for the one
    /// before it.
    ///
    /// # Errors
    /// `Config` if the schema is that of a newer program and does not support this one, if an applied migration or further migration differs
    /// from the one this program contains, if a reader does not exist, or if a column of a custom field cannot
    /// be made. `Unauthorized`, with the missing GRANT, if the role lacks privileges. `Unavailable` if a column
    /// of a custom field is to be made and another session uses the table. Otherwise the database's own errors. After
    /// an error nothing is changed.
    pub async fn migrate_with(&self, settings: &MigrationSettings<'_>) -> Result<MigrationReport> {
        self.refuse_without_privileges().await?;
        let mut attempts = 1;
        // Changing a table waits for the sessions that use the table. These sessions may themselves wait for another
        // table that the migration has changed, which is a deadlock.
        let at_once = |step: &Step| {
            let again = step.again && attempts < ATTEMPTS;
            attempts += 1;
            again.then_some(Duration::ZERO)
        };
        let migrated = repeat_while(|| self.try_migrate(settings), at_once).await;
        migrated.map_err(|step| step.error)
    }

    /// Creates the schema of the engine, if the configuration names one that does not exist.
    async fn create_engine_schema(&self, tx: &mut Tx) -> Result<(), Step> {
        let doing = |error| Step::of(error, "creating the schema of the organization");
        let Some(engine) = &self.schemas().engine else { return Ok(()) };
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
            .bind(engine.as_str())
            .fetch_one(&mut *tx)
            .await
            .map_err(doing)?;
        if exists {
            return Ok(());
        }
        pairing::refuse_name_of_role(tx, engine).await?;
        let create = statement(format!("CREATE SCHEMA {}", engine.quoted()));
        sqlx::raw_sql(create).execute(tx).await.map(drop).map_err(doing)
    }

    async fn try_migrate(&self, settings: &MigrationSettings<'_>) -> Result<MigrationReport, Step> {
        let doing = |error| Step::of(error, "migrating the database");
        let mut tx = self.begin().await.map_err(doing)?;
        tx.set_silence(PATIENCE);
        // The lock belongs to the transaction and not to the session, because a pooler does not preserve sessions.
        sqlx::raw_sql(PREPARE).execute(&mut tx).await.map_err(doing)?;
        let engine = self.schemas().engine.as_ref().map(|name| name.as_str());
        sqlx::query(LOCK).bind(engine).execute(&mut tx).await.map_err(doing)?;
        self.create_engine_schema(&mut tx).await?;
        // `CREATE TABLE IF NOT EXISTS` fails for a role that may not create tables, even if the table exists. So ask
        // first.
        if !has_versions(&mut tx).await.map_err(doing)? {
            sqlx::raw_sql(VERSIONS).execute(&mut tx).await.map_err(doing)?;
        }
        let known = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";
        let known: Vec<(i64, Vec<u8>)> = sqlx::query_as(known).fetch_all(&mut tx).await.map_err(doing)?;
        let known: BTreeMap<i64, Vec<u8>> = known.into_iter().collect();
        let from = known.keys().next_back().copied().unwrap_or(0);
        if is_supported(&mut tx, &known).await? {
            return Ok(self.newer(from));
        }
        refuse_unknown(&known)?;
        let mut applied = Vec::new();
        for migration in MIGRATOR.iter() {
            match known.get(&migration.version) {
                Some(checksum) if *checksum == *migration.checksum => {}
                Some(_) => return Err(changed(migration.version).into()),
                None => {
                    apply(&mut tx, migration).await?;
                    applied.push(migration.version);
                }
            }
        }
        let mut functions = Vec::new();
        for family in stale(&mut tx, self.schemas()).await.map_err(doing)? {
            let doing = |error| Step::of(error, &format!("applying the functions of {}", family.name));
            family.apply(&mut tx, self.schemas()).await.map_err(doing)?;
            functions.push(family.name);
        }
        let mut also = Vec::new();
        for migration in settings.further {
            let doing =
                |error| Step::of(error, &format!("applying the further migration {}", migration.name));
            match migration.apply(&mut tx).await.map_err(doing)? {
                Further::Applied => also.push(migration.name),
                Further::Known => {}
                Further::Changed => return Err(changed(migration.name).into()),
            }
        }
        sqlx::query(SUPPORT).bind(OLDEST_PROGRAM).execute(&mut tx).await.map_err(doing)?;
        let mut notes = derive(&mut tx, settings).await?;
        if settings.fills_local_ids {
            let filled = sqlx::query_scalar("SELECT tds_fill_local_ids('erp')").fetch_one(&mut tx).await;
            let filled: i64 = filled.map_err(doing)?;
            if filled > 0 {
                notes.push(format!("{filled} local ids of rows that an older program wrote were filled in"));
            }
        }
        notes.extend(restored(&mut tx, settings.restored).await?);
        notes.extend(close(&mut tx, settings.readers).await?);
        tx.commit().await.map_err(doing)?;
        Ok(MigrationReport {
            target: self.target().to_owned(),
            from,
            to: expected(),
            applied,
            functions,
            further: also,
            notes,
        })
    }

    /// Returns the report of a program on the schema of a newer one, on which it works.
    fn newer(&self, version: i64) -> MigrationReport {
        let note = format!(
            "the schema has version {version}, that of a newer program; this program (version {}) works on it, and \
             changes nothing",
            expected()
        );
        MigrationReport {
            target: self.target().to_owned(),
            from: version,
            to: version,
            applied: Vec::new(),
            functions: Vec::new(),
            further: Vec::new(),
            notes: vec![note],
        }
    }

    /// Returns the status of the schema relative to this program. The call changes nothing.
    ///
    /// # Errors
    /// Fails if the database does not answer.
    pub async fn schema(&self) -> Result<SchemaStatus> {
        let doing = |error| classify(error, "reading the version of the schema");
        let mut applied = 0;
        if has_versions(self).await.map_err(doing)? {
            let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";
            applied = sqlx::query_scalar(newest).fetch_one(self).await.map_err(doing)?;
        }
        let expected = expected();
        let verdict = match applied.cmp(&expected) {
            Ordering::Less => SchemaVerdict::Older,
            Ordering::Greater => SchemaVerdict::Newer,
            Ordering::Equal => match stale(self, self.schemas()).await.map_err(doing)?.len() {
                0 => SchemaVerdict::Current,
                _ => SchemaVerdict::OlderFunctions,
            },
        };
        Ok(SchemaStatus { applied, expected, verdict })
    }
}

/// Returns a text that changes with every change of a migration or a function.
#[cfg(feature = "testkit")]
pub(crate) fn fingerprint() -> String {
    let script = schema_script(&MigrationSettings::default(), &Schemas::default());
    let hash = tds_core::record::ContentHash::of_bytes(script.as_bytes());
    hash.as_str().chars().take(16).collect()
}

/// Returns true if a missing migration creates a schema.
pub(crate) fn creates_schema(after: i64) -> bool {
    MIGRATOR
        .iter()
        .any(|migration| migration.version > after && migration.sql.as_str().contains("CREATE SCHEMA"))
}

fn expected() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Returns true if the table of the schema versions exists.
async fn has_versions<'c>(database: impl PgExecutor<'c>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(database).await
}

/// Returns true if a newer program migrated the database, and its schema keeps this program working: then everything of
/// this program is there, and nothing is to be done.
async fn is_supported(tx: &mut Tx, known: &BTreeMap<i64, Vec<u8>>) -> Result<bool, Step> {
    let doing = |error| Step::of(error, "looking for the programs that the schema supports");
    let is_known = |version: i64, checksum: &[u8]| known.get(&version).is_some_and(|known| known == checksum);
    let has_all = MIGRATOR.iter().all(|migration| is_known(migration.version, &migration.checksum));
    let others = || known.keys().filter(|version| !MIGRATOR.version_exists(**version));
    if !has_all || others().next().is_none() || others().any(|version| *version <= expected()) {
        return Ok(false);
    }
    // A program with this schema has the table.
    let oldest = sqlx::query_scalar("SELECT schema_version FROM tds_oldest_program").fetch_optional(tx).await;
    let oldest: Option<i64> = oldest.map_err(doing)?;
    Ok(oldest.is_some_and(|oldest| oldest <= expected()))
}

fn refuse_unknown(known: &BTreeMap<i64, Vec<u8>>) -> Result<()> {
    let expected = expected();
    match known.keys().rev().find(|version| !MIGRATOR.version_exists(**version)) {
        None => Ok(()),
        Some(version) if *version > expected => Err(Error::config(format!(
            "the database has schema version {version}, but this program knows {expected}: start the newer TDS \
             instead"
        ))),
        Some(version) => Err(Error::config(format!(
            "the database has schema version {version}, which this program (version {expected}) does not contain: \
             it was migrated by another program"
        ))),
    }
}

async fn apply(tx: &mut Tx, migration: &sqlx::migrate::Migration) -> Result<(), Step> {
    let doing = |error| Step::of(error, &format!("applying migration {}", migration.version));
    let began = tokio::time::Instant::now();
    sqlx::raw_sql(migration.sql.clone()).execute(&mut *tx).await.map_err(doing)?;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES ($1, $2, true, $3, $4)",
    )
    .bind(migration.version)
    .bind(&*migration.description)
    .bind(&*migration.checksum)
    .bind(i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX))
    .execute(tx)
    .await
    .map_err(doing)?;
    Ok(())
}

/// Makes the columns of custom fields, the views and the triggers that capture local changes. Returns what was not possible
/// and is not needed.
async fn derive(tx: &mut Tx, settings: &MigrationSettings<'_>) -> Result<Vec<String>, Step> {
    let doing = |error| Step::of(error, "making the views of the mirror");
    // A role that owns no object of TDS has no table to make a view of.
    let allowed: bool =
        sqlx::query_scalar("SELECT has_function_privilege('tds_refresh_views(text)', 'EXECUTE')")
            .fetch_one(&mut *tx)
            .await
            .map_err(doing)?;
    if !allowed {
        return Ok(Vec::new());
    }
    sqlx::raw_sql("SELECT tds_keep_paths()").execute(&mut *tx).await.map_err(doing)?;
    let mut notes = custom_columns::put(tx, settings.custom_columns).await?;
    let views: Vec<String> =
        sqlx::query_scalar("SELECT tds_refresh_views('erp')").fetch_all(&mut *tx).await.map_err(doing)?;
    notes.extend(views);
    notes.extend(capture::put(tx).await?);
    if let Some(guard) = settings.write_guard {
        capture::guard(tx, guard).await?;
    }
    Ok(notes)
}

/// Notices that the database was restored from a backup, and prepares for what happened after the backup. Returns one
/// sentence about it.
async fn restored(tx: &mut Tx, certainly: bool) -> Result<Option<String>, Step> {
    let doing = |error| Step::of(error, "looking for a restored backup");
    // A role that owns no object of TDS leaves this to the owner.
    let allowed: bool = sqlx::query_scalar(
        "SELECT has_function_privilege('tds_notice_restore()', 'EXECUTE')
           AND has_table_privilege('tds_database_identity', 'INSERT, UPDATE')",
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(doing)?;
    if !allowed {
        return Ok(None);
    }
    let noticed: Option<String> =
        sqlx::query_scalar("SELECT tds_notice_restore()").fetch_one(&mut *tx).await.map_err(doing)?;
    if noticed.is_some() || !certainly {
        return Ok(noticed);
    }
    let waiting: i64 =
        sqlx::query_scalar("SELECT tds_after_restore()").fetch_one(&mut *tx).await.map_err(doing)?;
    Ok(Some(format!(
        "{waiting} records that wait to be created are searched for before they are created, and syncs of everything \
         are due now"
    )))
}

/// Closes the objects that the migrations created. Returns the actions that the role was not allowed to take.
async fn close(tx: &mut Tx, readers: &[String]) -> Result<Vec<String>, Step> {
    let doing = |error| Step::of(error, "closing the tables to other roles");
    let unknown: Option<String> = sqlx::query_scalar(
        "SELECT r FROM unnest($1::text[]) AS r WHERE r NOT IN (SELECT rolname FROM pg_roles) LIMIT 1",
    )
    .bind(readers)
    .fetch_optional(&mut *tx)
    .await
    .map_err(doing)?;
    if let Some(unknown) = unknown {
        let message = format!(
            "the readers of the mirror: found \"{unknown}\", which is no role of this database; accepted: roles that \
             exist, comma separated"
        );
        let hint = Hint::Settings(const { &[Setting::Readers.as_str()] });
        return Err(Error::config(message).with_hint(hint).into());
    }
    // A role that owns no object of TDS and may not call the function has nothing to close.
    let allowed: bool = sqlx::query_scalar("SELECT has_function_privilege('tds_close(text[])', 'EXECUTE')")
        .fetch_one(&mut *tx)
        .await
        .map_err(doing)?;
    if !allowed {
        return Ok(vec![
            "the tables of TDS belong to another role, and only that role can close them".to_owned(),
        ]);
    }
    sqlx::query_scalar("SELECT tds_close($1)").bind(readers).fetch_all(tx).await.map_err(doing)
}

/// Returns the migrations by name.
#[cfg(test)]
pub(crate) fn texts() -> Vec<(String, String)> {
    let text = |migration: &sqlx::migrate::Migration| {
        (migration.version.to_string(), migration.sql.as_str().to_owned())
    };
    MIGRATOR.iter().map(text).collect()
}

/// Returns what [`Database::migrate_with`] executes for an organization with these schemas on an empty database, as a
/// script. The further migrations are not part of it.
#[must_use]
pub fn schema_script(settings: &MigrationSettings<'_>, schemas: &Schemas) -> String {
    let mut script = "BEGIN;\n\n".to_owned();
    if let Some(path) = schemas.search_path() {
        script.push_str(&format!("CREATE SCHEMA IF NOT EXISTS {path};\nSET LOCAL search_path = {path};\n\n"));
    }
    script.push_str(&format!("{VERSIONS};\n"));
    for migration in MIGRATOR.iter() {
        let (version, description) = (migration.version, &*migration.description);
        let checksum: String = migration.checksum.iter().map(|byte| format!("{byte:02x}")).collect();
        script.push_str(&format!(
            "\n-- Migration {version}: {description}\n\n{}\n\n",
            migration.sql.as_str().trim()
        ));
        script.push_str(&format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)\n  \
             VALUES ({version}, {}, true, '\\x{checksum}', 0);\n",
            literal(description)
        ));
    }
    script.push_str(&format!("INSERT INTO tds_oldest_program (schema_version) VALUES ({OLDEST_PROGRAM});\n"));
    script.push_str(&functions::script(schemas));
    if !settings.custom_columns.is_empty() {
        script.push_str("\n-- The columns of custom fields.\n\n");
        script.push_str(&custom_columns::script(settings.custom_columns));
    }
    script
        .push_str("\n-- The search path of the functions that operators call.\n\nSELECT tds_keep_paths();\n");
    script.push_str("\n-- The views.\n\nSELECT tds_refresh_views('erp');\n");
    script.push_str("\n-- The triggers that capture local changes.\n\n");
    script.push_str(&capture::script(settings.write_guard));
    let readers: Vec<String> = settings.readers.iter().map(|reader| literal(reader)).collect();
    script.push_str(&format!(
        "\n-- This call is the last step; the function says what it does.\n\n\
         SELECT tds_close(ARRAY[{}]::text[]);\n\nCOMMIT;\n",
        readers.join(", ")
    ));
    schemas.render(&script).into_owned()
}

fn changed(version: impl std::fmt::Display) -> Error {
    Error::config(format!(
        "migration {version} was applied in another form than the one this program contains: the database \
         was migrated by another build"
    ))
}
