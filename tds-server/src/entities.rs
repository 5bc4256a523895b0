//! The entity types of a program.

use tds_postgres::FurtherMigration;
use tds_zoho::entities::Catalogue;

/// The entity types that a program syncs, and the migrations of those mirror tables that TDS does not have itself. The
/// default is what `tds-server` syncs.
#[derive(Clone, Debug, Default)]
pub struct Entities {
    /// Every entity type.
    pub catalogue: Catalogue,
    /// Migrations that are applied after those of TDS.
    pub migrations: Vec<FurtherMigration>,
}
