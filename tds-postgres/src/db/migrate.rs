//! Brings the schema up to date.

use std::{collections::BTreeMap, time::Duration};

use tds_core::error::Result;

use super::{
    database::Database,
    functions::stale,
    further::Further,
    migration_end::{close, derive, restored},
    migration_settings::MigrationSettings,
    migration_step::Step,
    migrations::{
        MIGRATOR, OLDEST_PROGRAM, SUPPORT, VERSIONS, apply, changed, expected, has_versions, is_supported,
        refuse_unknown,
    },
    owner, pairing,
    quote::statement,
    retry::repeat_while,
    session::Tx,
};

/// A migration of large tables takes long, and waits for the sessions that use them.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// How many times a migration is tried before a deadlock makes it fail.
const ATTEMPTS: u32 = 5;

// The writes of a migration are no local changes. Older triggers do not know the origin of one mirror.
const PREPARE: &str =
    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL client_min_messages = warning;
  SET LOCAL tds.origin = 'remote'";

// Each organization of the database has a lock of its own. `$1`: the name of its schema, if the configuration has it.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('tds-migrations'),
  hashtext(concat(current_database(), NULLIF(COALESCE($1, current_schema()), 'public'))))";

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
    /// `Config` if the schemas belong to another organization, if the schema is that of a newer program and does not support this one, if an applied migration or further migration differs
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
        if let Some(id) = settings.organization {
            let owner = owner::owner(&mut tx).await.map_err(doing)?;
            self.refuse_other(owner.as_deref(), id)?;
        }
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
}
