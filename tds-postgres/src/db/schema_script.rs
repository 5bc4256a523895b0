//! The schema as a script.

use super::{
    capture, custom_columns, functions,
    migration_settings::MigrationSettings,
    migrations::{MIGRATOR, OLDEST_PROGRAM, VERSIONS},
    quote::literal,
    schemas::Schemas,
};

/// Returns what [`Database::migrate_with`](crate::Database::migrate_with) executes for an organization with these schemas on an empty database, as a
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

/// Returns a text that changes with every change of a migration or a function.
#[cfg(feature = "testkit")]
pub(crate) fn fingerprint() -> String {
    let script = schema_script(&MigrationSettings::default(), &Schemas::default());
    let hash = tds_core::record::ContentHash::of_bytes(script.as_bytes());
    hash.as_str().chars().take(16).collect()
}
