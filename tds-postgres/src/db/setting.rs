//! The settings that errors of this crate name.

tds_core::closed_set! {
    /// A part of the configuration of this crate that a [`Hint::Settings`](tds_core::hint::Hint::Settings) of this crate
    /// can name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Setting {
        /// [`DatabaseConfig::url`](crate::DatabaseConfig::url).
        Url = "url",
        /// [`DatabaseConfig::max_connections`](crate::DatabaseConfig::max_connections).
        MaxConnections = "max_connections",
        /// The roles that may read the mirror, which are passed to
        /// [`Database::migrate_with`](crate::Database::migrate_with).
        Readers = "readers",
        /// [`MigrationSettings::organization`](crate::MigrationSettings::organization).
        Organization = "organization",
        /// The custom fields that are columns of the mirror, which are passed to
        /// [`Database::migrate_with`](crate::Database::migrate_with).
        CustomColumns = "custom_columns",
        /// [`Schemas::engine`](crate::Schemas::engine).
        EngineSchema = "engine_schema",
        /// [`Schemas::mirror`](crate::Schemas::mirror).
        MirrorSchema = "mirror_schema",
        /// The directory with the programs of PostgreSQL, for the private cluster.
        BinDir = "bin_dir",
        /// The directory with the data of the private cluster.
        DataDir = "data_dir",
    }
}
