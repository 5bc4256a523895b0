//! Custom fields that are columns of the mirror.

use tds_postgres::{CustomColumn, CustomType};

use super::lookup::Reader;

const VARIABLE: &str = "TDS_CUSTOM_COLUMNS";

/// Reads `TDS_CUSTOM_COLUMNS`. Whether the tables exist shows when the database is migrated.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<CustomColumn> {
    let types = CustomType::ALL.map(CustomType::as_str).join(", ");
    let accepted = format!(
        "TABLE.FIELD:TYPE, several separated by commas, such as products.cf_shelf:text; the type is one of {types}"
    );
    let mut columns: Vec<CustomColumn> = Vec::new();
    for text in reader.list(VARIABLE) {
        let Ok(column) = text.parse::<CustomColumn>() else {
            reader.error(VARIABLE, format!("\"{text}\""), accepted.clone());
            continue;
        };
        if columns.iter().any(|other| (&other.table, &other.field) == (&column.table, &column.field)) {
            reader.error(VARIABLE, format!("\"{text}\" after another type of it"), "each field once");
            continue;
        }
        columns.push(column);
    }
    columns
}
