//! Which columns the tables have.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    mirror::MirrorSchema,
};

use crate::{
    Database,
    db::{error::classify_for_record, quote},
    lock::lock,
};

/// The columns of a table that can be written, in its order.
pub(super) type Columns = Arc<Vec<Column>>;

/// A column and how its values are sent.
#[derive(sqlx::FromRow)]
pub(super) struct Column {
    pub(super) name: String,
    /// Its type as SQL spells it, without the limits of this column: writing beyond them is an error, casting is not.
    pub(super) type_name: String,
    /// Values are JSON, not the text of the type.
    pub(super) is_json: bool,
    /// Arrays, composites, domains: PostgreSQL takes them from JSON only by a longer way.
    pub(super) is_nested: bool,
}

/// The tables of a schema value.
pub(super) type Tables = HashMap<&'static str, Columns>;

/// Columns by table, remembered. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Catalog {
    known: Arc<Mutex<HashMap<&'static str, Columns>>>,
}

impl Catalog {
    /// The columns of every table of a schema value.
    pub(super) async fn tables(&self, database: &Database, schema: &MirrorSchema) -> Result<Tables> {
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

    /// Reads everything anew at the next use.
    pub(super) fn forget(&self) {
        lock(&self.known).clear();
    }

    async fn columns(&self, database: &Database, table: &'static str) -> Result<Columns> {
        let known = lock(&self.known).get(table).cloned();
        if let Some(columns) = known {
            return Ok(columns);
        }
        // Identities and generated columns are the database's own.
        let columns: Vec<Column> = sqlx::query_as(
            "SELECT a.attname::text AS name, format_type(a.atttypid, -1) AS type_name,
                    t.typname IN ('json', 'jsonb') AS is_json,
                    t.typtype IN ('c', 'd') OR t.typcategory = 'A' AS is_nested
               FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
              WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = ''
                AND a.attgenerated = '' ORDER BY a.attnum",
        )
        .bind(quote::table(table))
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

/// The names of columns.
pub(super) fn names(columns: &Columns) -> impl Iterator<Item = &String> {
    columns.iter().map(|column| &column.name)
}

/// The first name that is no column of the table: storing the others in silence would lose data.
pub(super) fn unknown<'a>(
    columns: &Columns,
    mut wanted: impl Iterator<Item = &'a String>,
) -> Option<&'a String> {
    let known: BTreeSet<&String> = names(columns).collect();
    wanted.find(|name| !known.contains(name))
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Internal, Retry::Transient { retry_after: None }, message)
}
