//! What a program adds to the schema.

use super::{capture::WriteGuard, custom_columns::CustomColumn, further::FurtherMigration};

/// What a program adds to the schema of TDS.
#[derive(Clone, Copy, Debug, Default)]
pub struct MigrationSettings<'a> {
    /// The organization whose schemas are migrated. Those of another one are refused before anything is changed. `None`: any
    /// schemas are migrated.
    pub organization: Option<&'a str>,
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
