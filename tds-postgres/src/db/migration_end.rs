//! The end of each migration: what follows from the tables is made again, a restored backup is noticed, and the new
//! objects are closed.

use tds_core::{
    error::{Error, Result},
    hint::Hint,
};

use super::{
    capture, custom_columns, migration_settings::MigrationSettings, migration_step::Step, session::Tx,
    setting::Setting,
};

/// Makes the columns of custom fields, the views and the triggers that capture local changes. Returns what was not possible
/// and is not needed.
pub(super) async fn derive(tx: &mut Tx, settings: &MigrationSettings<'_>) -> Result<Vec<String>, Step> {
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
pub(super) async fn restored(tx: &mut Tx, certainly: bool) -> Result<Option<String>, Step> {
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
pub(super) async fn close(tx: &mut Tx, readers: &[String]) -> Result<Vec<String>, Step> {
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
