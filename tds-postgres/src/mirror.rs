//! The mirror: ERP tables that show what the source has.

mod batch;
mod catalog;
mod children;
mod head;
mod state;

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use async_trait::async_trait;
use tds_core::{
    Applied, Content, EntityType, Error, Mirror, MirrorSchema, Read, RecordId, Result, SyncState,
};

use crate::{
    Database,
    error::{classify, is_data_error, is_retryable},
};
use batch::Batch;
use catalog::Catalog;

/// A transaction that lost against another one is repeated this often.
const CONTENTION_RETRIES: usize = 5;

/// Keeps tables in step with the source, for any [`MirrorSchema`]: columns are read from the catalog.
///
/// Tables are those of schema `erp`, unless the schema value says `schema.table`. A head table has a unique
/// column `zoho_id` and, where it wants them filled, `raw`, `synced_at` and `deleted_at`.
#[derive(Clone)]
pub struct PgMirror {
    database: Database,
    catalog: Catalog,
}

impl PgMirror {
    /// A mirror in this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, catalog: Catalog::default() }
    }

    /// One transaction, repeated where another one was in the way.
    async fn transact(&self, batch: &Batch<'_>) -> Result<Vec<Result<Applied>>, sqlx::Error> {
        let mut repeats = 0;
        loop {
            match batch.run(&self.database).await {
                Err(error) if is_retryable(&error) && repeats < CONTENTION_RETRIES => repeats += 1,
                outcome => return outcome,
            }
        }
    }

    async fn apply_all(&self, schema: &MirrorSchema, reads: &[Read]) -> Result<Vec<Result<Applied>>> {
        let tables = self.catalog.tables(&self.database, schema).await?;
        let mut results: Vec<Option<Result<Applied>>> = reads.iter().map(|_| None).collect();
        // What fails because of its data is halved until the record at fault is alone.
        let mut open: Vec<Range<usize>> = in_rounds(reads);
        while let Some(range) = open.pop() {
            let batch = Batch { schema, tables: &tables, reads: &reads[range.clone()] };
            match self.transact(&batch).await {
                Ok(outcomes) => {
                    for (index, outcome) in range.zip(outcomes) {
                        results[index] = Some(outcome);
                    }
                }
                Err(error) if is_data_error(&error) && range.len() > 1 => {
                    let middle = range.start + range.len() / 2;
                    open.push(middle..range.end);
                    open.push(range.start..middle);
                }
                Err(error) => {
                    // A table that was changed meanwhile is looked at again.
                    self.catalog.forget();
                    let doing = match &reads[range.clone()] {
                        [one] => format!("storing {}", one.key),
                        many => format!("storing {} records of {}", many.len(), schema.entity),
                    };
                    let error = classify(error, &doing);
                    range.for_each(|index| results[index] = Some(Err(copy(&error))));
                }
            }
        }
        let missing = || Err(Error::internal("a record of the batch has no result"));
        Ok(results.into_iter().map(|result| result.unwrap_or_else(missing)).collect())
    }
}

#[async_trait]
impl Mirror for PgMirror {
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        state::read(&self.database, entity, ids)
            .await
            .map_err(|error| classify(error, &format!("reading the states of {entity}")))
    }

    async fn differing(&self, schema: &MirrorSchema, reads: &[Read]) -> Result<HashSet<RecordId>> {
        let tables = self.catalog.tables(&self.database, schema).await?;
        let Some((table, columns)) = schema.head.and_then(|head| tables.get_key_value(head)) else {
            return Ok(HashSet::new());
        };
        let mut differing = HashSet::new();
        // A value that no column can hold is found by halving: its record differs.
        let mut open: Vec<&[Read]> = if reads.is_empty() { Vec::new() } else { vec![reads] };
        while let Some(part) = open.pop() {
            let mut rows = head::Rows::new(table, columns);
            for read in part {
                if let Content::Present(record) = &read.content {
                    rows.push(read, record, true, true);
                }
            }
            match (rows.differing(&self.database).await, part) {
                (Ok(ids), _) => differing.extend(ids.into_iter().map(RecordId::new)),
                (Err(error), [one]) if is_data_error(&error) => {
                    differing.insert(one.key.id.clone());
                }
                (Err(error), many) if is_data_error(&error) => {
                    let (first, second) = many.split_at(many.len() / 2);
                    open.extend([second, first]);
                }
                (Err(error), _) => {
                    self.catalog.forget();
                    return Err(classify(error, &format!("comparing rows of {}", schema.entity)));
                }
            }
        }
        Ok(differing)
    }

    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>> {
        match self.apply_all(schema, &reads).await {
            Ok(results) => results,
            Err(error) => reads.iter().map(|_| Err(copy(&error))).collect(),
        }
    }
}

/// Everything at once; but a record that is there twice (a caller's fault) is written in order, one by one.
fn in_rounds(reads: &[Read]) -> Vec<Range<usize>> {
    let mut seen = HashSet::new();
    if reads.iter().all(|read| seen.insert(&read.key)) {
        return if reads.is_empty() { Vec::new() } else { vec![Range { start: 0, end: reads.len() }] };
    }
    (0..reads.len()).rev().map(|index| index..index + 1).collect()
}

fn copy(error: &Error) -> Error {
    Error::new(error.kind(), error.retry(), error.chain())
}
