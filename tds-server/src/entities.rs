//! The entity types of a program.

use tds_postgres::FurtherMigration;
use tds_zoho::entities::Catalogue;

/// The entity types that a program syncs, and the migrations of the mirror tables that TDS does not have itself. The
/// default is the set that `tds-server` syncs.
#[derive(Clone, Debug, Default)]
pub struct Entities {
    /// All entity types.
    pub catalogue: Catalogue,
    /// The migrations that are applied after those of TDS.
    pub migrations: Vec<FurtherMigration>,
}
