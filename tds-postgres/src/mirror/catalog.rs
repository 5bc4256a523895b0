//! Which columns the tables have.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use tds_core::{Error, ErrorKind, MirrorSchema, Result, Retry};

use crate::{Database, error::classify, quote};

/// The columns of a table that can be written, in its order.
pub(super) type Columns = Arc<Vec<String>>;

/// The tables of a schema value.
pub(super) type Tables = HashMap<&'static str, Columns>;

/// Columns by table, remembered. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Catalog {
    known: Arc<RwLock<HashMap<&'static str, Columns>>>,
}

impl Catalog {
    /// The columns of every table of a schema value.
    pub(super) async fn tables(&self, database: &Database, schema: &MirrorSchema) -> Result<Tables> {
        let mut tables = Tables::new();
        let owners = schema.children.iter().map(|child| (child.table, child.owner));
        for (table, required) in schema.head.iter().map(|head| (*head, "zoho_id")).chain(owners) {
            let columns = self.columns(database, table).await?;
            if !columns.iter().any(|column| column == required) {
                return Err(wrong(format!("table {table} of {} has no column {required}", schema.entity)));
            }
            tables.insert(table, columns);
        }
        Ok(tables)
    }

    /// Reads everything anew at the next use.
    pub(super) fn forget(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn columns(&self, database: &Database, table: &'static str) -> Result<Columns> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(table).cloned();
        if let Some(columns) = known {
            return Ok(columns);
        }
        // Identities and generated columns are the database's own.
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0
               AND NOT attisdropped AND attidentity = '' AND attgenerated = '' ORDER BY attnum",
        )
        .bind(quote::table(table))
        .fetch_all(database)
        .await
        .map_err(|error| classify(error, &format!("reading the columns of {table}")))?;
        if names.is_empty() {
            return Err(wrong(format!("there is no table {table}: migrate the database")));
        }
        let columns = Arc::new(names);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(table, Arc::clone(&columns));
        Ok(columns)
    }
}

/// The first name that is no column of the table: storing the others in silence would lose data.
pub(super) fn unknown<'a>(
    columns: &Columns,
    mut names: impl Iterator<Item = &'a String>,
) -> Option<&'a String> {
    let known: BTreeSet<&String> = columns.iter().collect();
    names.find(|name| !known.contains(name))
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Internal, Retry::Transient { retry_after: None }, message)
}
