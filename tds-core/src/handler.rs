//! Handlers, which process the items of an entity type.

mod ignoring;
mod mirror;
mod preview;
mod sibling;
mod waiting;

use std::time::Duration;

use async_trait::async_trait;

pub(crate) use self::mirror::comparable;
pub use self::{
    ignoring::IgnoringHandler,
    mirror::{FollowSettings, MirrorHandler},
    preview::{Foreseen, Preview, preview},
    waiting::SAVING_CALLS,
};
use crate::{
    error::Result,
    queue::{Claimed, Direction, Outcome, Work},
    record::EntityType,
};

/// The result of handling an item without an error.
#[derive(Clone, Debug)]
pub enum Handled {
    /// The item is done.
    Done(Outcome),
    /// The item is handled again in a moment. Its record is then read from the source, whatever payload the item has
    /// now. This spends no attempt.
    Reread,
    /// The item is handled again after a wait, with its present payload. This spends no attempt.
    Retry {
        /// How long the item waits.
        after: Duration,
        /// Why the item waits. Operators see this sentence with the item.
        reason: String,
    },
    /// The record belongs to another entity type: the item ends, and this work continues there.
    Reroute {
        /// The entity type that the record belongs to.
        entity: EntityType,
        /// The work to do there.
        work: Work,
    },
}

/// A handler for the items of one entity type and direction, one item at a time. Implement this trait to sync into
/// tables or systems of your own.
///
/// # Contract
/// Handling is at-least-once: if the process ends after the effect and before the item is settled, the same work
/// is handled again. Effects must therefore be idempotent.
///
/// # Errors
/// [`crate::error::Error::retry`] decides what happens to the item: it is tried again later, or it becomes a dead
/// letter. A panic counts as an internal error of the item.
///
/// # Example
/// ```
/// use std::{
///     sync::{Arc, Mutex},
///     time::Duration,
/// };
///
/// use async_trait::async_trait;
/// use tds_core::{memory::MemoryStore, prelude::*};
///
/// static NOTES: EntityType = EntityType::from_static("notes");
///
/// /// Keeps the texts of notes.
/// #[derive(Default)]
/// struct Notebook(Mutex<Vec<String>>);
///
/// #[async_trait]
/// impl EntityHandler for Notebook {
///     fn entity(&self) -> &EntityType {
///         &NOTES
///     }
///
///     async fn handle(&self, item: &Claimed) -> Result<Handled> {
///         let payload = item.work.payload.as_ref().ok_or_else(|| Error::invalid("the note has no body"))?;
///         let text: String = payload.json.parse()?;
///         let mut texts = self.0.lock().expect("no other handler panicked");
///         if texts.contains(&text) {
///             return Ok(Handled::Done(Outcome::Unchanged));
///         }
///         texts.push(text);
///         Ok(Handled::Done(Outcome::Applied))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let (store, notebook) = (MemoryStore::default(), Arc::new(Notebook::default()));
/// let engine = Engine::builder(Stores::new(&store, store.clone())).handler(notebook.clone()).start();
///
/// let now = SystemClock.now();
/// for (id, json) in [("1", r#""buy paper""#), ("2", "7")] {
///     let key = RecordKey::new(NOTES.clone(), RecordId::new(id));
///     let work = Work::pushed(now, now, Payload::new(json));
///     store.enqueue(vec![NewItem::new(key, Lane::Webhook, work)]).await?;
/// }
/// while store.stats().await?.queue.live() > 0 {
///     tokio::time::sleep(Duration::from_millis(10)).await;
/// }
/// assert_eq!(*notebook.0.lock().expect("no handler panicked"), ["buy paper"]);
/// assert_eq!(store.stats().await?.queue.dead_letter, 1, "the second note is not a text");
/// engine.stop().await;
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait EntityHandler: Send + Sync {
    /// Returns the entity type of the items.
    fn entity(&self) -> &EntityType;

    /// Returns the direction of the items.
    fn direction(&self) -> Direction {
        Direction::Inbound
    }

    /// Handles one item.
    ///
    /// # Errors
    /// See [`EntityHandler`].
    async fn handle(&self, item: &Claimed) -> Result<Handled>;
}

/// A handler for the items of one entity type and direction, several items at a time, for effects that are cheaper in
/// batches. Every [`EntityHandler`] is a batch handler whose batches have one item.
///
/// # Contract
/// The contract and the errors of [`EntityHandler`] hold for each item of a batch. If a batch panics, its items are
/// handled once more, one at a time, so that the panic costs only the item that causes it.
#[async_trait]
pub trait BatchHandler: Send + Sync {
    /// Returns the entity type of the items.
    fn entity(&self) -> &EntityType;

    /// Returns the direction of the items.
    fn direction(&self) -> Direction {
        Direction::Inbound
    }

    /// Returns the best batch size for items like this one. Items for which this method returns different sizes are
    /// put into separate batches.
    fn batch_size(&self, _item: &Claimed) -> usize {
        100
    }

    /// Handles a batch. No two items of a batch concern the same record. Returns one result for each item, in the same
    /// order.
    async fn handle_batch(&self, items: &[Claimed]) -> Vec<Result<Handled>>;
}

#[async_trait]
impl<H: EntityHandler> BatchHandler for H {
    fn entity(&self) -> &EntityType {
        EntityHandler::entity(self)
    }

    fn direction(&self) -> Direction {
        EntityHandler::direction(self)
    }

    fn batch_size(&self, _item: &Claimed) -> usize {
        1
    }

    async fn handle_batch(&self, items: &[Claimed]) -> Vec<Result<Handled>> {
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            results.push(self.handle(item).await);
        }
        results
    }
}
