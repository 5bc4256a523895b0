//! The triggers that capture local changes, and their guard. The functions in `sql/capture_tables.sql` and `sql/guard.sql`
//! make the triggers.

use tds_core::error::Result;

use super::{error::Doing as _, quote::literal, session::Tx};

/// What the triggers do with a local change while the source is the only place where records are changed (mode
/// `zoho_primary`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteGuard {
    /// True: the change is an error. False: it is allowed, and TDS neither brings it to the source nor keeps it.
    pub refuses: bool,
    /// What a person can do about the error: one sentence, which the database shows as part of the hint.
    pub advice: String,
}

const STORE: &str = "
UPDATE tds_capture_settings SET write_guard = $1, advice = $2 WHERE (write_guard, advice) IS DISTINCT FROM ($1, $2)
";

/// Makes the triggers that are missing or not up to date. Returns one sentence for each table for which this was not
/// possible.
pub(crate) async fn put(tx: &mut Tx) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT tds_refresh_capture('erp') UNION ALL SELECT tds_refresh_guard('erp')")
        .fetch_all(tx)
        .await
        .doing("making the triggers that capture local changes")
}

/// Stores the guard.
pub(crate) async fn guard(tx: &mut Tx, guard: &WriteGuard) -> Result<()> {
    let stored = sqlx::query(STORE).bind(guard.refuses).bind(&guard.advice).execute(tx).await;
    stored.map(drop).doing("storing the write guard")
}

/// Returns the statements that do the same on an empty database.
pub(crate) fn script(guard: Option<&WriteGuard>) -> String {
    let mut script = "SELECT tds_refresh_capture('erp');\nSELECT tds_refresh_guard('erp');\n".to_owned();
    if let Some(guard) = guard {
        script.push_str(&format!(
            "UPDATE tds_capture_settings SET write_guard = {}, advice = {};\n",
            guard.refuses,
            literal(&guard.advice)
        ));
    }
    script
}
