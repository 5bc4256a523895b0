//! The ports of the outbox.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    Conflict, ConflictId, ConflictStatus, EntityMode, ModeChange, OutboxEntry, OutboxFilter, OutboxId, Push,
    Resolution, Sending, Settlement,
};
use crate::{
    error::Result,
    mirror::MirrorSchema,
    queue::Page,
    record::{EntityType, RecordId},
};

/// The time for which reads of unknown records are put off after a create whose outcome is not known.
pub const CREATE_SETTLES: Duration = Duration::from_secs(60);

/// The outbox, as the engine uses it.
///
/// # Contract
/// - A change is captured in the transaction of the program that makes it: it is in the outbox if and only if the change
///   is in the target. Writes of the engine itself are not captured, and neither is a write of an entity type whose mode
///   is [`super::Mode::SourcePrimary`].
/// - A change that was captured is pending until [`Outbox::settle`] names it.
/// - While a record has pending changes and its entity type is in the mode `bidirectional`,
///   [`crate::mirror::Mirror::apply`] writes neither the columns nor the child tables that the changes name (all of them,
///   if a change names none), and no tombstone. The first such write keeps the base. Parked changes count as pending.
/// - While the outcome of a create is not known, a read of an unknown record of its entity type is put off with an error
///   of kind `Locked`, for at most [`CREATE_SETTLES`] after the create was sent: the record may be the created one.
/// - In the mode `target_primary`, [`crate::mirror::Mirror::apply`] writes only volatile columns of a known record, and
///   nothing of an unknown one; the outcome is `ignored`. A read of [`crate::record::Origin::Push`], the answer to a
///   write of the engine, is applied in every mode.
/// - A link is stored once: the same local record never gets another id at the source, and two local records never get
///   the same one.
///
/// # Errors
/// Unless a method documents other errors, it fails only if the store cannot be reached.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Enqueues an item for each record with captured changes that no item carries yet, at most for so many changes.
    /// Changes of a record that has an item are folded into it. Returns the number of changes.
    async fn relay(&self, limit: usize) -> Result<usize>;

    /// Returns what is pending of a record, in one state of the store; `None` if nothing is, or if everything that is
    /// pending is parked. Parked changes are loaded together with newer ones. The key of a
    /// record is given in the transaction of its first change that is captured, so that no older state of the store has
    /// the change without the key.
    async fn load(&self, schema: &MirrorSchema, local_id: i64) -> Result<Option<Push>>;

    /// Notes what is about to be sent, and keeps the conflicts that were decided. A repetition keeps a conflict only
    /// once. [`Outbox::load`] returns what was sent until both sides have a common state again. From a create until
    /// [`Outbox::linked`] or [`Outbox::not_created`], the record is in doubt.
    ///
    /// # Errors
    /// `Conflict`, transient: the mode of the entity type has another epoch than the push.
    async fn sending(&self, push: &Push, sending: &Sending) -> Result<()>;

    /// Notes that the source refused the create, so the record does not exist there and nothing of it was sent.
    async fn not_created(&self, push: &Push) -> Result<()>;

    /// Stores the id that the record has at the source, and fills it in where other records refer to the local id. If the
    /// mirror has got the same record as another row in the meantime, the local row stays and the other row is removed;
    /// references to the other row follow.
    ///
    /// # Errors
    /// `Conflict`: the record has another id already.
    async fn linked(&self, push: &Push, id: &RecordId) -> Result<()>;

    /// Ends a push: its changes get their status, the values that the source won are written to the target without
    /// being captured, and conflicts are kept. Fields that were captured after the push was loaded keep their local
    /// values. Rows of child tables that are on both sides keep their local ids. A push whose changes have all ended
    /// already changes nothing.
    ///
    /// - After `Pushed` and `Unchanged`, both sides agree on what the push was about: the base of later changes, also of
    ///   those that were captured during the push, is what the mirror has accepted last. If a value that the source won was
    ///   not written because of a later local change, its value in the base is that of [`Settlement::before`], so that the
    ///   next push finds the conflict; [`Push::kept`] has it. What was sent is forgotten, but for what was not written.
    /// - After `Parked`, the base and what was sent stay. The record has at most one open conflict: another one replaces its
    ///   fields.
    /// - A value of `deleted_at` that the source won restores the row. If the row is gone, the sync state is forgotten, so
    ///   that the next read writes the record anew.
    ///
    /// # Errors
    /// `Conflict`, transient: the mode of the entity type has another epoch than the push; or the mirror has accepted another
    /// record than [`Settlement::accepted`], whose values pending changes have kept out of the target; or a
    /// person has decided a conflict of the record since the push was loaded. Nothing is written.
    async fn settle(&self, push: &Push, settlement: &Settlement) -> Result<()>;

    /// Waits until changes may have been captured, or until the timeout. Returning is only a hint, as for
    /// [`crate::queue::Queue::wait`].
    async fn wait(&self, timeout: Duration);
}

/// The modes of the entity types.
///
/// # Errors
/// Unless a method documents other errors, it fails only if the store cannot be reached.
#[async_trait]
pub trait Modes: Send + Sync {
    /// Returns the modes that were set at some time. Every other entity type has [`EntityMode::initial`].
    async fn modes(&self) -> Result<Vec<EntityMode>>;

    /// Changes a mode and begins a new epoch. From here on, captures, applies and settlements go by the new mode.
    ///
    /// # Errors
    /// `Conflict`: the mode has another epoch than the change is based on; or the new mode writes nothing to the source, the
    /// present one does, and changes are pending or parked.
    async fn set_mode(&self, change: &ModeChange) -> Result<EntityMode>;

    /// Returns the number of changes of an entity type that are pending or parked.
    async fn pending(&self, entity: &EntityType) -> Result<u64>;
}

/// The outbox, as operators use it.
///
/// # Errors
/// Unless a method documents other errors, it fails only if the store cannot be reached.
#[async_trait]
pub trait OutboxOperator: Send + Sync {
    /// Returns one page of entries, newest first. `cursor` is the [`Page::next_cursor`] of the previous page.
    ///
    /// # Errors
    /// `Invalid`: the cursor is none of this list.
    async fn entries(
        &self,
        filter: &OutboxFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<OutboxEntry>>;

    /// Returns one entry.
    async fn entry(&self, id: OutboxId) -> Result<Option<OutboxEntry>>;

    /// Returns one page of conflicts, newest first. `cursor` is the [`Page::next_cursor`] of the previous page.
    ///
    /// # Errors
    /// `Invalid`: the cursor is none of this list.
    async fn conflicts(
        &self,
        status: Option<ConflictStatus>,
        entity: Option<&EntityType>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Conflict>>;

    /// Returns one conflict.
    async fn conflict(&self, id: ConflictId) -> Result<Option<Conflict>>;

    /// Returns the number of open conflicts.
    async fn open_conflicts(&self) -> Result<u64>;

    /// Stores the decision of a person. The parked changes are pending again, and their push is enqueued.
    ///
    /// # Errors
    /// `NotFound`: there is no such conflict. `Conflict`: it is decided already. `Invalid`: the decision names a field
    /// that is not in conflict, or `Merge` leaves one out, or gives a field of a child row a value of neither side.
    async fn resolve(&self, id: ConflictId, resolution: &Resolution) -> Result<Conflict>;
}
