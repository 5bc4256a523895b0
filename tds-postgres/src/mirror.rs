//! The mirror: ERP tables that show the records of the source.

mod batch;
pub(crate) mod catalog;
mod children;
mod compare;
mod decisions;
pub(crate) mod erased;
mod head;
mod locks;
mod pending;
pub(crate) mod references;
pub(crate) mod schemas;
mod seen;
pub(crate) mod state;

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use async_trait::async_trait;
use tds_core::{
    error::{Error, Result},
    guard::SyncState,
    mirror::{Applied, Difference, Mirror, MirrorSchema, RecordCount},
    privacy::{Persons, Redaction},
    record::{DateRange, EntityType, Read, RecordId},
};

use crate::{
    Database,
    db::{
        error::{classify_for_record, is_data_error, is_locked, is_outage},
        parts::{Parts, SEARCH},
        retry::{IN_BATCH, repeat},
    },
};
use batch::Batch;
pub(crate) use batch::mode_stays;
use catalog::{Catalog, Tables};
use locks::{Lock, Locks};

/// Keeps tables equal to the source, for any [`MirrorSchema`]. The columns are read from the catalog.
///
/// The tables belong to schema `erp`, unless the schema value names another schema (`schema.table`). A head table has
/// a unique column `zoho_id`. The columns `raw`, `synced_at` and `deleted_at` are optional, and the mirror fills
/// those that exist.
#[derive(Clone)]
pub struct PgMirror {
    database: Database,
    catalog: Catalog,
    locks: Locks,
    persons: Persons,
}

impl PgMirror {
    /// Creates a mirror in this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, catalog: Catalog::default(), locks: Locks::default(), persons: Persons::default() }
    }

    /// Sets what says who a person is: it is left out of documents that name an erased person.
    #[must_use]
    pub fn without_erased(mut self, persons: Arc<dyn Redaction>) -> Self {
        self.persons = Persons::new(persons);
        self
    }

    async fn apply_all(&self, schema: &MirrorSchema, reads: &[Read]) -> Result<Vec<Result<Applied>>> {
        let tables = self.catalog.tables(&self.database, schema).await?;
        let mut results: Vec<Option<Result<Applied>>> = reads.iter().map(|_| None).collect();
        for round in in_rounds(reads) {
            let suspects: Vec<usize> =
                round.clone().filter(|index| self.locks.is_suspect(&reads[*index].key)).collect();
            let free = round.filter(|index| !suspects.contains(index)).collect();
            self.apply_free(schema, &tables, reads, free, false, &mut results).await;
            if suspects.is_empty() {
                continue;
            }
            // The suspects are written apart from the other records, which must not wait for the suspects' locks
            // again.
            let suspected: Vec<&Read> = suspects.iter().map(|index| &reads[*index]).collect();
            let held = self.locks.find(&self.database, schema, &suspected).await;
            let rest = self.put_off(&held, reads, suspects, &mut results);
            self.apply_free(schema, &tables, reads, rest, true, &mut results).await;
        }
        let missing = || Err(Error::internal("a record of the batch has no result"));
        Ok(results.into_iter().map(|result| result.unwrap_or_else(missing)).collect())
    }

    /// Gives a result to the records whose rows another session has locked: they wait. Returns the other records.
    fn put_off(
        &self,
        held: &HashMap<RecordId, Lock>,
        reads: &[Read],
        indexes: Vec<usize>,
        results: &mut [Option<Result<Applied>>],
    ) -> Vec<usize> {
        let mut free = Vec::with_capacity(indexes.len());
        for index in indexes {
            match held.get(&reads[index].key.id) {
                Some(lock) => results[index] = Some(Err(self.locks.wait(&reads[index].key, Some(lock)))),
                None => free.push(index),
            }
        }
        free
    }

    /// Writes records of which none is known to be locked. With `hurry`, because some records were locked a moment ago,
    /// each wait for a lock is short.
    async fn apply_free(
        &self,
        schema: &MirrorSchema,
        tables: &Tables,
        reads: &[Read],
        free: Vec<usize>,
        hurry: bool,
        results: &mut [Option<Result<Applied>>],
    ) {
        // A part that fails because of its data, of the ERP's triggers or of a lock of another session is halved
        // until the record at fault is alone.
        let mut parts = Parts::of(free, SEARCH);
        while let Some(indexes) = parts.take() {
            if indexes.is_empty() {
                continue;
            }
            let batch_reads = indexes.iter().map(|index| &reads[*index]).collect();
            let batch = Batch { schema, tables, reads: batch_reads, persons: &self.persons };
            let database =
                if hurry || parts.hurries() { self.database.hurried() } else { self.database.clone() };
            let error = match repeat(IN_BATCH, || batch.run(&database)).await {
                Ok(outcomes) => {
                    for (index, outcome) in indexes.into_iter().zip(outcomes) {
                        self.locks.forget(&reads[index].key);
                        results[index] = Some(outcome);
                    }
                    continue;
                }
                Err(error) => error,
            };
            if is_locked(&error) {
                let batch_reads: Vec<&Read> = indexes.iter().map(|index| &reads[*index]).collect();
                // The search runs once. Locks that it cannot see, such as a lock on a line, are found by halving.
                let held = if parts.meet_lock() {
                    self.locks.find(&self.database, schema, &batch_reads).await
                } else {
                    HashMap::new()
                };
                if !held.is_empty() {
                    parts.again(self.put_off(&held, reads, indexes, results));
                } else {
                    for index in parts.halve_locked(indexes) {
                        results[index] = Some(Err(self.locks.wait(&reads[index].key, None)));
                    }
                }
            } else if !is_outage(&error) && indexes.len() > 1 {
                parts.halve(indexes);
            } else {
                // The columns are read again, because the table may have changed.
                self.catalog.forget();
                let doing = match indexes.as_slice() {
                    [one] => format!("storing {}", reads[*one].key),
                    many => format!("storing {} records of {}", many.len(), schema.entity),
                };
                let error = classify_for_record(error, &doing);
                indexes.into_iter().for_each(|index| results[index] = Some(Err(error.clone())));
            }
        }
    }
}

#[async_trait]
impl Mirror for PgMirror {
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        state::read(&self.database, entity, ids)
            .await
            .map_err(|error| classify_for_record(error, &format!("reading the states of {entity}")))
    }

    async fn compare(&self, schema: &MirrorSchema, reads: &[Read]) -> Result<HashMap<RecordId, Difference>> {
        let tables = self.catalog.tables(&self.database, schema).await?;
        let mut differences = HashMap::new();
        let all: Vec<&Read> = reads.iter().collect();
        let screened = erased::screen(&self.database, &self.persons, &all).await.map_err(|error| {
            classify_for_record(error, &format!("looking for erased records of {}", schema.entity))
        })?;
        let all = screened.as_ref().map_or(all, |it| it.reads.iter().flatten().collect());
        // A value that no column can hold is found by halving. Its record differs.
        let mut parts = Parts::of(all, SEARCH);
        while let Some(part) = parts.take() {
            if part.is_empty() {
                continue;
            }
            match compare::compare(&self.database, schema, &tables, &part).await {
                Ok(found) => differences.extend(found),
                Err(error) if is_data_error(&error) => {
                    let unfit = parts.halve(part);
                    differences.extend(unfit.into_iter().map(compare::unfit));
                }
                Err(error) => {
                    self.catalog.forget();
                    return Err(classify_for_record(error, &format!("comparing rows of {}", schema.entity)));
                }
            }
        }
        Ok(differences)
    }

    async fn kept(&self, read: Read) -> Result<Read> {
        let screened = erased::screen(&self.database, &self.persons, &[&read]).await.map_err(|error| {
            classify_for_record(error, &format!("looking for erased records of {}", read.key.entity))
        })?;
        // A read of an erased record itself is ignored as a whole.
        Ok(screened.and_then(|it| it.reads.into_iter().next().flatten()).unwrap_or(read))
    }

    async fn count(
        &self,
        schema: &MirrorSchema,
        dated: Option<(&str, DateRange)>,
    ) -> Result<Option<RecordCount>> {
        let doing = format!("counting {}", schema.entity);
        let classify = |error| classify_for_record(error, &doing);
        let live = state::live(&self.database, &schema.entity).await.map_err(classify)?;
        let tables = self.catalog.tables(&self.database, schema).await?;
        let head = schema.head.and_then(|head| tables.get_key_value(head));
        let dated = match (dated, head) {
            (Some((column, dates)), Some((table, columns))) => {
                head::count_dated(&self.database, table, columns, column, dates).await.map_err(classify)?
            }
            _ => None,
        };
        Ok(Some(RecordCount { live, dated }))
    }

    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>> {
        match self.apply_all(schema, &reads).await {
            Ok(results) => results,
            Err(error) => reads.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

/// Returns one round with all reads. If a record occurs twice, which is an error of the caller, each read is a round
/// of its own, in order.
fn in_rounds(reads: &[Read]) -> Vec<Range<usize>> {
    let mut seen = HashSet::new();
    if reads.iter().all(|read| seen.insert(&read.key)) {
        return if reads.is_empty() { Vec::new() } else { vec![Range { start: 0, end: reads.len() }] };
    }
    (0..reads.len()).map(|index| index..index + 1).collect()
}
