//! Creates databases as copies of a template that is migrated once.

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tds_core::error::Result;

use crate::{
    Database, DatabaseConfig,
    db::{error::classify, quote, quote::identifier, schema_script::fingerprint},
};

/// Creates a database: a copy of the migrated template, or an empty one.
pub(super) async fn create_database(admin_url: &str, name: &str, migrated: bool) -> Result<()> {
    let doing = |error| classify(error, "creating a test database");
    let mut admin = connect(admin_url).await.map_err(doing)?;
    let template = if migrated { template(admin_url, &mut admin).await? } else { "template0".to_owned() };
    let statement = format!("CREATE DATABASE {} TEMPLATE {}", identifier(name), identifier(&template));
    run(&mut admin, statement).await.map_err(doing)?;
    admin.close().await.map_err(doing)
}

/// Returns the URL of another database on the same server.
pub(super) fn url_of(admin_url: &str, name: &str) -> String {
    let (base, query) = admin_url.split_once('?').map_or((admin_url, ""), |(base, query)| (base, query));
    let server = base.rfind('/').map_or(base, |slash| &base[..slash]);
    if query.is_empty() { format!("{server}/{name}") } else { format!("{server}/{name}?{query}") }
}

/// Returns the name of the template. The first caller creates the template under a lock. Other callers see it only
/// when it is complete.
async fn template(admin_url: &str, admin: &mut PgConnection) -> Result<String> {
    let doing = |error| classify(error, "preparing the template of the test databases");
    let name = format!("tds_template_{}", fingerprint());
    if exists(admin, &name).await.map_err(doing)? {
        return Ok(name);
    }
    run(admin, "SELECT pg_advisory_lock(hashtext('tds-test-template'))".to_owned()).await.map_err(doing)?;
    if !exists(admin, &name).await.map_err(doing)? {
        let part = format!("{name}_part");
        run(admin, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(&part)))
            .await
            .map_err(doing)?;
        run(admin, format!("CREATE DATABASE {} TEMPLATE template0", identifier(&part)))
            .await
            .map_err(doing)?;
        let database = Database::connect(&DatabaseConfig::new(url_of(admin_url, &part))).await?;
        database.migrate().await?;
        // A copy of the template is no restored backup.
        let unguarded =
            "UPDATE tds_capture_settings SET write_guard = false; DELETE FROM tds_database_identity";
        sqlx::raw_sql(unguarded).execute(&database).await.map_err(doing)?;
        database.close().await;
        let rename = format!("ALTER DATABASE {} RENAME TO {}", identifier(&part), identifier(&name));
        run(admin, rename).await.map_err(doing)?;
    }
    // The lock ends with the connection, but other callers need it sooner.
    run(admin, "SELECT pg_advisory_unlock_all()".to_owned()).await.map_err(doing)?;
    Ok(name)
}

async fn exists(admin: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(admin)
        .await
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(quote::statement(statement)).execute(connection).await.map(drop)
}

/// Opens one connection.
pub(super) async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    url.parse::<PgConnectOptions>()?.connect().await
}
