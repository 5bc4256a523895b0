//! The columns of the tables.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    lock::lock,
    mirror::MirrorSchema,
};

use crate::{
    Database,
    db::{error::classify_for_record, quote},
};

/// The writable columns of a table, in the table's order.
pub(crate) type Columns = Arc<Vec<Column>>;

/// A column, and how its values are sent.
#[derive(sqlx::FromRow)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The SQL name of the column's type, without the length or precision of this column: a value that is too large
    /// for the column must be an error, but a cast would change the value silently.
    pub(crate) type_name: String,
    /// True if the values are sent as JSON and not as the text of the type.
    pub(crate) is_json: bool,
    /// True for arrays, composite types and domains. PostgreSQL reads them from JSON only in a slower way.
    pub(crate) is_nested: bool,
    /// True if the column has a length or a precision, which may change a value when it is stored: `numeric(10, 2)`
    /// rounds.
    pub(crate) is_limited: bool,
}

/// The tables of a schema value.
pub(crate) type Tables = HashMap<&'static str, Columns>;

/// The remembered columns by table. All clones share the columns.
#[derive(Clone, Default)]
pub(crate) struct Catalog {
    known: Arc<Mutex<HashMap<&'static str, Columns>>>,
}

impl Catalog {
    /// Returns the columns of every table of a schema value.
    pub(crate) async fn tables(&self, database: &Database, schema: &MirrorSchema) -> Result<Tables> {
        let mut tables = Tables::new();
        let owners = schema.children.iter().map(|child| (child.table, child.owner));
        for (table, required) in schema.head.iter().map(|head| (*head, "zoho_id")).chain(owners) {
            let columns = self.columns(database, table).await?;
            if !columns.iter().any(|column| column.name == required) {
                return Err(wrong(format!("table {table} of {} has no column {required}", schema.entity)));
            }
            tables.insert(table, columns);
        }
        Ok(tables)
    }

    /// Forgets all columns, so that the next use reads them again.
    pub(crate) fn forget(&self) {
        lock(&self.known).clear();
    }

    async fn columns(&self, database: &Database, table: &'static str) -> Result<Columns> {
        let known = lock(&self.known).get(table).cloned();
        if let Some(columns) = known {
            return Ok(columns);
        }
        // The database itself fills identity columns and generated columns. TDS fills in the local id beside an id at the
        // source, such as customer_id beside customer_zoho_id.
        let columns: Vec<Column> = sqlx::query_as(
            "SELECT a.attname::text AS name, format_type(a.atttypid, -1) AS type_name,
                    t.typname IN ('json', 'jsonb') AS is_json,
                    t.typtype IN ('c', 'd') OR t.typcategory = 'A' AS is_nested, a.atttypmod >= 0 AS is_limited
               FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
              WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = ''
                AND a.attgenerated = ''
                AND NOT (a.atttypid = 'bigint'::regtype AND EXISTS (
                  SELECT FROM pg_attribute z WHERE z.attrelid = a.attrelid AND NOT z.attisdropped
                     AND a.attname LIKE '%\\_id' AND z.attname = regexp_replace(a.attname, '_id$', '_zoho_id')))
              ORDER BY a.attnum",
        )
        .bind(database.schemas().render(&quote::table(table)).into_owned())
        .fetch_all(database)
        .await
        .map_err(|error| classify_for_record(error, &format!("reading the columns of {table}")))?;
        if columns.is_empty() {
            return Err(wrong(format!("there is no table {table}: migrate the database")));
        }
        let columns = Arc::new(columns);
        lock(&self.known).insert(table, Arc::clone(&columns));
        Ok(columns)
    }
}

/// Returns the names of the columns.
pub(crate) fn names(columns: &Columns) -> impl Iterator<Item = &String> {
    columns.iter().map(|column| &column.name)
}

/// Returns the first name that is not a column of the table. Storing the other columns without an error would lose
/// data.
pub(crate) fn unknown<'a>(
    columns: &Columns,
    mut wanted: impl Iterator<Item = &'a String>,
) -> Option<&'a String> {
    let known: BTreeSet<&String> = names(columns).collect();
    wanted.find(|name| !known.contains(name))
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Internal, Retry::Transient { retry_after: None }, message)
}
