//! Outbound work: the outbox, the modes, and what operators see of them.

mod adopt;
mod conflicts;
mod decisions;
mod entries;
mod links;
mod load;
mod modes;
mod relay;
mod resolve;
mod rows;
mod settle;
mod take;
mod target;

use std::time::Duration;

use async_trait::async_trait;
use tds_core::{
    error::{Error, Result},
    mirror::MirrorSchema,
    outbound::{
        Conflict, ConflictId, ConflictStatus, EntityMode, ModeChange, Modes, Outbox, OutboxEntry,
        OutboxFilter, OutboxId, OutboxOperator, Push, Resolution, Sending, Settlement, overtaken,
        still_pending,
    },
    queue::Page,
    record::{EntityType, RecordId},
};

use self::target::Target;
use crate::{
    PgStore,
    db::{
        error::{Doing as _, classify_for_record},
        retry::{ALONE, FOR_OPERATOR, repeat},
    },
};

impl PgStore {
    /// Returns the tables of an entity type.
    async fn target(&self, entity: &EntityType) -> Result<Target> {
        let schema = self.schemas.of(entity);
        Target::of(&self.database, &self.catalog, schema, entity).await
    }

    /// Gives an error that concerns a pushed record its class. The columns are read again, because the table may have
    /// changed.
    fn of_record(&self, error: sqlx::Error, doing: &str, push: &Push) -> Error {
        self.catalog.forget();
        classify_for_record(error, &format!("{doing} {} {}", push.entity, push.local_id))
    }
}

#[async_trait]
impl Outbox for PgStore {
    async fn relay(&self, limit: usize) -> Result<usize> {
        let relayed = relay::relay(&self.database, limit).await.doing("queueing local changes")?;
        if relayed > 0 {
            self.work.announce();
        }
        Ok(relayed)
    }

    async fn load(&self, schema: &MirrorSchema, local_id: i64) -> Result<Option<Push>> {
        self.schemas.remember(schema);
        let target = Target::of(&self.database, &self.catalog, Some(schema.clone()), &schema.entity).await?;
        repeat(ALONE, || load::load(&self.database, &target, &schema.entity, local_id)).await.map_err(
            |error| {
                self.catalog.forget();
                classify_for_record(error, &format!("reading {} {local_id}", schema.entity))
            },
        )
    }

    async fn sending(&self, push: &Push, sending: &Sending) -> Result<()> {
        let noted = repeat(ALONE, || links::sending(&self.database, push, sending)).await;
        if noted.doing("noting what is written to the source")? {
            Ok(())
        } else {
            Err(modes::epoch_passed(push))
        }
    }

    async fn not_created(&self, push: &Push) -> Result<()> {
        repeat(ALONE, || links::not_created(&self.database, push))
            .await
            .doing("noting that a record was not created")
    }

    async fn linked(&self, push: &Push, id: &RecordId) -> Result<()> {
        let target = self.target(&push.entity).await?;
        let linked = repeat(ALONE, || links::linked(&self.database, &target, push, id)).await;
        let refusal = linked.map_err(|error| self.of_record(error, "storing the id of", push))?;
        refusal.map_or(Ok(()), |reason| Err(Error::conflict(reason)))
    }

    async fn settle(&self, push: &Push, settlement: &Settlement) -> Result<()> {
        let target = self.target(&push.entity).await?;
        target.refuse_unknown(settlement)?;
        let settled = repeat(ALONE, || settle::settle(&self.database, &target, push, settlement)).await;
        match settled.map_err(|error| self.of_record(error, "settling the push of", push))? {
            settle::End::Settled => Ok(()),
            settle::End::OtherEpoch => Err(modes::epoch_passed(push)),
            settle::End::Overtaken => Err(overtaken(push)),
        }
    }

    async fn wait(&self, timeout: Duration) {
        self.work.wait(timeout).await;
    }
}

#[async_trait]
impl Modes for PgStore {
    async fn modes(&self) -> Result<Vec<EntityMode>> {
        modes::all(&self.database).await.doing("reading the modes")
    }

    async fn set_mode(&self, change: &ModeChange) -> Result<EntityMode> {
        let set = repeat(FOR_OPERATOR, || modes::set(&self.database, change)).await;
        let entity = &change.entity;
        match set.doing("changing a mode")? {
            modes::Change::Set(mode) => Ok(mode),
            modes::Change::OtherEpoch => {
                let text = format!("the mode of {entity} was changed in the meantime: look at it again");
                Err(Error::conflict(text))
            }
            modes::Change::Pending(changes) => Err(still_pending(entity, changes)),
        }
    }

    async fn pending(&self, entity: &EntityType) -> Result<u64> {
        modes::pending(&self.database, entity).await.doing("counting local changes")
    }
}

#[async_trait]
impl OutboxOperator for PgStore {
    async fn entries(
        &self,
        filter: &OutboxFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<OutboxEntry>> {
        entries::list(&self.database, filter, cursor, limit).await
    }

    async fn entry(&self, id: OutboxId) -> Result<Option<OutboxEntry>> {
        entries::get(&self.database, id).await.doing("reading a local change")
    }

    async fn conflicts(
        &self,
        status: Option<ConflictStatus>,
        entity: Option<&EntityType>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Conflict>> {
        conflicts::list(&self.database, status, entity, cursor, limit).await
    }

    async fn conflict(&self, id: ConflictId) -> Result<Option<Conflict>> {
        conflicts::get(&self.database, id).await.doing("reading a conflict")
    }

    async fn open_conflicts(&self) -> Result<u64> {
        conflicts::open(&self.database).await.doing("counting conflicts")
    }

    async fn resolve(&self, id: ConflictId, resolution: &Resolution) -> Result<Conflict> {
        let conflict = self.conflict(id).await?;
        let conflict = conflict.ok_or_else(|| Error::not_found(format!("there is no conflict {id}")))?;
        let decided = decisions::decide(&conflict, resolution)?;
        let target = self.target(&conflict.entity).await?;
        let resolve = || resolve::resolve(&self.database, &target, &conflict, resolution, &decided);
        let resolved = repeat(FOR_OPERATOR, resolve).await.doing("resolving a conflict")?;
        let resolved = resolved.ok_or_else(|| decisions::decided_already(id))?;
        self.work.announce();
        Ok(resolved)
    }
}
