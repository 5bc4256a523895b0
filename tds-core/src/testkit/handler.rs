//! A handler with scripted answers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;

use crate::{
    error::Result,
    handler::{BatchHandler, Handled},
    lock::lock,
    queue::{Claimed, Outcome},
    record::{EntityType, RecordId},
};

/// Returns the scripted answers of a record in order, and then `Applied`.
pub struct ScriptedHandler {
    entity: EntityType,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    answers: HashMap<RecordId, VecDeque<Result<Handled>>>,
    seen: Vec<Claimed>,
}

impl ScriptedHandler {
    /// Creates a handler of this entity type.
    #[must_use]
    pub fn new(entity: EntityType) -> Self {
        Self { entity, book: Mutex::default() }
    }

    /// Adds an answer for a record.
    pub fn answer(&self, id: &str, answer: Result<Handled>) {
        self.book().answers.entry(RecordId::new(id)).or_default().push_back(answer);
    }

    /// Returns every item that the handler received, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Claimed> {
        self.book().seen.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }
}

#[async_trait]
impl BatchHandler for ScriptedHandler {
    fn entity(&self) -> &EntityType {
        &self.entity
    }

    async fn handle_batch(&self, batch: &[Claimed]) -> Vec<Result<Handled>> {
        let mut book = self.book();
        book.seen.extend_from_slice(batch);
        let mut answer = |item: &Claimed| book.answers.get_mut(&item.key.id)?.pop_front();
        batch.iter().map(|item| answer(item).unwrap_or(Ok(Handled::Done(Outcome::Applied)))).collect()
    }
}
