//! Erases the record of a person, in one transaction.
//!
//! The bodies of the inbox are searched first, because that takes longest. Then the transaction takes the lock under which
//! records of the person's type and of the documents are written, so that no batch writes what is being erased: a batch
//! that comes later finds the erasure, and leaves the person out (`mirror/erased.rs`).
//!
//! `places.rs` lists every table of the engine and says what is erased in it, or why nothing is.

pub(crate) mod bodies;
mod concerned;
mod documents;
mod events;
mod files;
#[cfg(test)]
mod places;
mod record;
mod stored;
mod texts;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::types::Json;
use tds_core::{
    error::Result,
    mirror::MirrorSchema,
    privacy::{ErasedCounts, ErasedFile, Eraser, Erasure, Redaction, is_unmistakable},
    record::{EntityType, RecordId, RecordKey},
};
use time::OffsetDateTime;

use self::{concerned::Concerned, documents::Documents, record::Shown};
use crate::{
    Database, Tx,
    db::{
        error::Doing as _,
        retry::{FOR_OPERATOR, repeat},
    },
};

/// How long the connection may be silent: a large inbox takes minutes to search.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// The writers of the mirror take the same lock, shared.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext(tds_own('tds_modes')), hashtext($1))";

/// A push that has loaded one of these records goes by an epoch that is over, and is refused. Its changes are pushed again,
/// as they are after the erasure.
const OVERTAKE: &str = "UPDATE tds_modes SET epoch = epoch + 1 WHERE entity_type = ANY($1)";

const KNOWN: &str = "
SELECT EXISTS (SELECT FROM tds_sync_records WHERE entity_type = ANY($1) AND zoho_id = $2)
    OR EXISTS (SELECT FROM tds_erasures WHERE entity_type = ANY($1) AND zoho_id = $2)
";

// One erasure has a row for each entity type that shows the record. The first erasure says when and by whom. A second one in force adds what it removed, and `tds_decisions` has both.
const NOTE: &str = "
INSERT INTO tds_erasures AS e (entity_type, zoho_id, erased_by, counts, erased_at)
SELECT shown.by_type, $2, $3, $4, statement_timestamp() FROM unnest($1::text[]) AS shown (by_type) ORDER BY shown.by_type
ON CONFLICT (zoho_id, entity_type) WHERE undone_at IS NULL
DO UPDATE SET counts = (SELECT jsonb_object_agg(n.key, n.value::bigint + coalesce((e.counts ->> n.key)::bigint, 0))
                          FROM jsonb_each_text(excluded.counts) AS n)
RETURNING statement_timestamp()
";

const DECISION: &str = "
INSERT INTO tds_decisions (entity_type, zoho_id, kind, action, detail) VALUES ($1, $2, 'operator', $3, $4)
";

const UNDO: &str = "
UPDATE tds_erasures SET undone_at = clock_timestamp(), undone_by = $3
 WHERE entity_type = ANY($1) AND zoho_id = $2 AND undone_at IS NULL
RETURNING entity_type
";

const FORGET: &str =
    "DELETE FROM tds_sync_records WHERE entity_type = $1 AND zoho_id = $2 RETURNING local_id";

const FIND: &str = "
SELECT erased_at, erased_by, counts FROM tds_erasures WHERE entity_type = $1 AND zoho_id = $2 AND undone_at IS NULL
";

/// Erases records from the store and the mirror of a database.
#[derive(Clone)]
pub struct PgEraser {
    database: Database,
    /// What says who a person is, in the documents that name the person.
    persons: Arc<dyn Redaction>,
}

impl PgEraser {
    /// Creates an eraser. `persons` removes from documents what says who a person is.
    #[must_use]
    pub fn new(database: Database, persons: Arc<dyn Redaction>) -> Self {
        Self { database, persons }
    }

    async fn try_erase(
        &self,
        schemas: &[&MirrorSchema],
        id: &RecordId,
        by: &str,
    ) -> Result<Option<Erasure>, sqlx::Error> {
        let entities: Vec<&str> = schemas.iter().map(|schema| schema.entity.as_str()).collect();
        let Some(named_as) = schemas.first() else { return Ok(None) };
        let key = RecordKey::new(named_as.entity.clone(), id.clone());
        let id = id.as_str();
        let settings = "SET LOCAL statement_timeout = 0; SET LOCAL jit = off";
        let mut tx = self.database.begin_as_engine(settings).await?;
        tx.set_silence(PATIENCE);
        let known: bool = sqlx::query_scalar(KNOWN).bind(&entities).bind(id).fetch_one(&mut tx).await?;
        let mut shown = Vec::with_capacity(schemas.len());
        for schema in schemas {
            let documents = documents::of(&mut tx, &*self.persons, &schema.entity).await?;
            shown.push(Shown { schema, local_id: None, documents });
        }
        let mut named = bodies::naming(&mut tx, id, None).await?;
        let locked = lock(&mut tx, &entities, shown.iter().flat_map(|it| &it.documents)).await?;
        sqlx::query(OVERTAKE).bind(&locked).execute(&mut tx).await?;
        // A push may have linked a record of the ERP until now: its documents have the local id only.
        for shown in &mut shown {
            shown.local_id = record::local_id(&mut tx, shown.schema, id).await?;
        }
        // What arrived during the search.
        named.extend(bodies::naming(&mut tx, id, Some(PATIENCE)).await?);
        let counts = self.erase_in(&mut tx, &shown, id, named).await?;
        // Documents and bodies can name a person whose record is not mirrored.
        let has_found = counts.documents > 0 || is_unmistakable(&key.id) && counts != ErasedCounts::default();
        if !known && shown.iter().all(|it| it.local_id.is_none()) && !has_found {
            tx.rollback().await?;
            return Ok(None);
        }
        let note = sqlx::query_scalar(NOTE).bind(&entities).bind(id).bind(by).bind(Json(counts));
        let erased_at: OffsetDateTime = note.fetch_one(&mut tx).await?;
        for entity in entities {
            decide(&mut tx, (entity, id), "erase", by).await?;
        }
        tx.commit().await?;
        Ok(Some(Erasure { key, erased_at, erased_by: by.to_owned(), counts }))
    }

    /// Erases a record while nothing else writes it. `named`: the events whose bodies name the record.
    async fn erase_in(
        &self,
        tx: &mut Tx,
        shown: &[Shown<'_>],
        id: &str,
        named: Vec<i64>,
    ) -> Result<ErasedCounts, sqlx::Error> {
        let persons = &*self.persons;
        let mut counts = ErasedCounts::default();
        let mut concerned = Concerned::default();
        for Shown { schema, local_id, documents } in shown {
            record::erase(tx, schema, id, *local_id, &mut counts).await?;
            concerned.add(schema.entity.as_str(), Some(id.to_owned()), *local_id);
            counts.documents +=
                documents::erase(tx, persons, documents, (id, *local_id), &mut concerned).await?;
        }
        // Only the events of these records lose bodies that do not name the person.
        let own: Vec<String> = concerned.known_ids().into_iter().map(str::to_owned).collect();
        counts.events += events::blank(tx, named, &mut concerned).await?;
        counts.events += events::blank_of(tx, &own).await?;
        texts::search(tx, id, &mut concerned).await?;
        counts.items += texts::erase_items(tx, &concerned).await?;
        let documents: Vec<&str> =
            shown.iter().flat_map(|it| &it.documents).map(|it| it.entity.as_str()).collect();
        let (changes, findings) = stored::redact(tx, persons, &documents, &concerned, id).await?;
        counts.changes += changes;
        counts.findings += findings;
        texts::erase_notes(tx, &concerned).await?;
        Ok(counts)
    }

    async fn undo(&self, entities: &[EntityType], id: &RecordId, by: &str) -> Result<bool, sqlx::Error> {
        let mut tx = self.database.begin_as_engine("SET LOCAL jit = off").await?;
        let names: Vec<&str> = entities.iter().map(EntityType::as_str).collect();
        let mut documents = Vec::with_capacity(entities.len());
        for entity in entities {
            documents.push((entity.as_str(), documents::of(&mut tx, &*self.persons, entity).await?));
        }
        lock(&mut tx, &names, documents.iter().flat_map(|(_, documents)| documents)).await?;
        let undo = sqlx::query_scalar(UNDO).bind(&names).bind(id.as_str()).bind(by);
        let undone: Vec<String> = undo.fetch_all(&mut tx).await?;
        if undone.is_empty() {
            tx.rollback().await?;
            return Ok(false);
        }
        for (entity, documents) in documents.iter().filter(|(entity, _)| undone.iter().any(|it| it == entity))
        {
            // The record is new to the guard, so that its next read is applied whatever its version is.
            let forget = sqlx::query_scalar(FORGET).bind(*entity).bind(id.as_str());
            let local_id: Option<Option<i64>> = forget.fetch_optional(&mut tx).await?;
            documents::forget(&mut tx, documents, (id.as_str(), local_id.flatten())).await?;
            decide(&mut tx, (*entity, id.as_str()), "allow_return", by).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// Takes the locks of the person's entity types and of the documents, in the order of their names. Returns the names.
async fn lock<'a>(
    tx: &mut Tx,
    entities: &[&'a str],
    documents: impl Iterator<Item = &'a Documents>,
) -> Result<Vec<&'a str>, sqlx::Error> {
    let mut names: Vec<&str> =
        documents.map(|it| it.entity.as_str()).chain(entities.iter().copied()).collect();
    names.sort_unstable();
    names.dedup();
    for name in &names {
        sqlx::query(LOCK).bind(name).execute(&mut *tx).await?;
    }
    Ok(names)
}

/// Adds an action of an operator to the history of a record.
async fn decide(tx: &mut Tx, (entity, id): (&str, &str), action: &str, by: &str) -> Result<(), sqlx::Error> {
    let detail = format!("by {by}");
    let decision = sqlx::query(DECISION).bind(entity).bind(id).bind(action);
    decision.bind(detail).execute(tx).await.map(drop)
}

#[async_trait]
impl Eraser for PgEraser {
    async fn erase(&self, schemas: &[&MirrorSchema], id: &RecordId, by: &str) -> Result<Option<Erasure>> {
        repeat(FOR_OPERATOR, || self.try_erase(schemas, id, by)).await.doing("erasing a record")
    }

    async fn allow_return(&self, entities: &[EntityType], id: &RecordId, by: &str) -> Result<bool> {
        repeat(FOR_OPERATOR, || self.undo(entities, id, by)).await.doing("undoing an erasure")
    }

    async fn files(&self, key: &RecordKey) -> Result<Vec<ErasedFile>> {
        files::of(&self.database, key).await.doing("looking for files of an erased record")
    }

    async fn forget_files(&self, key: &RecordKey) -> Result<()> {
        let forget = || files::forget(&self.database, key);
        repeat(FOR_OPERATOR, forget).await.doing("forgetting the files of an erased record")
    }

    async fn erasure(&self, entity: &EntityType, id: &RecordId) -> Result<Option<Erasure>> {
        let find = sqlx::query_as(FIND).bind(entity.as_str()).bind(id.as_str());
        let found: Option<(OffsetDateTime, String, Json<ErasedCounts>)> =
            find.fetch_optional(&self.database).await.doing("looking for an erasure")?;
        let key = RecordKey::new(entity.clone(), id.clone());
        Ok(found.map(|(erased_at, erased_by, Json(counts))| Erasure { key, erased_at, erased_by, counts }))
    }
}
