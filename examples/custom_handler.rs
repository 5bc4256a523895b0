//! A handler of your own: items go wherever you want, with the engine's queue, retries and dead letters.
//!
//! ```sh
//! cargo run --example custom_handler
//! ```

use std::{
    collections::BTreeMap,
    error::Error as StdError,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tds_core::{
    clock::SystemClock,
    engine::{Engine, Stores, WorkerSettings},
    error::{Error, Result},
    handler::{EntityHandler, Handled},
    memory::MemoryStore,
    queue::{Claimed, ItemFilter, Lane, NewItem, Outcome, Queue, QueueOperator, Waiter, Work},
    record::{EntityType, Observed, Payload, RecordId, RecordKey, Shape, SourcePayload},
    retry::RetryPolicy,
};
use time::macros::datetime;

static NOTES: EntityType = EntityType::from_static("notes");

/// Keeps the newest text of each note. Its target fails once, to show a retry.
#[derive(Default)]
struct Notebook {
    pages: Mutex<BTreeMap<RecordId, String>>,
    failed_once: Mutex<bool>,
}

#[async_trait]
impl EntityHandler for Notebook {
    fn entity(&self) -> &EntityType {
        &NOTES
    }

    async fn handle(&self, item: &Claimed) -> Result<Handled> {
        let Some(payload) = &item.work.payload else {
            return Err(Error::invalid("a note without its text"));
        };
        let note: serde_json::Value = serde_json::from_str(payload.json.as_str())
            .map_err(|error| Error::invalid("the note is no JSON").with_source(error))?;
        let mut failed_once = self.failed_once.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *failed_once, true) {
            return Err(Error::unavailable("the notebook is closed for a moment"));
        }
        let text = note["text"].as_str().ok_or_else(|| Error::invalid("the note has no text"))?;
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        // Delivery is at-least-once: when the same text is written again, the outcome says so.
        let before = pages.insert(item.key.id.clone(), text.to_owned());
        let outcome = if before.as_deref() == Some(text) { Outcome::Unchanged } else { Outcome::Applied };
        Ok(Handled::Done(outcome))
    }
}

fn note(id: &str, json: &str) -> NewItem {
    let written = datetime!(2026-01-01 00:00 UTC);
    let payload =
        SourcePayload { shape: Shape::Webhook, observed: Observed::Push(written), json: Payload::new(json) };
    NewItem {
        key: RecordKey::new(NOTES.clone(), RecordId::new(id)),
        lane: Lane::Webhook,
        work: Work { version: Some(written), payload: Some(payload), recheck: false },
        waiter: Waiter::Operator,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let store = MemoryStore::new(Arc::new(SystemClock));
    let notebook = Arc::new(Notebook::default());
    let quick = RetryPolicy { base: Duration::from_millis(50), ..RetryPolicy::default() };
    let settings = WorkerSettings { policy: quick, ..WorkerSettings::default() };
    let engine = Engine::builder(Stores::new(&store, store.clone()))
        .handler(notebook.clone())
        .worker(settings)
        .start();

    store.enqueue(vec![note("1", r#"{"text":"buy paper"}"#)]).await?;
    store.enqueue(vec![note("2", r#"{"text":"call back"}"#), note("3", r#"{"title":"no text"}"#)]).await?;
    loop {
        let counts = store.stats().await?.queue;
        if counts.completed + counts.dead_letter == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for item in store.list(&ItemFilter::default(), 10, None).await?.items.iter().rev() {
        let error = item.error_message.as_deref().unwrap_or("-");
        print_line(&format!("note {}: {}, {error}", item.record, item.status.as_str()));
    }
    for (id, text) in notebook.pages.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        print_line(&format!("page {id}: {text}"));
    }
    engine.stop().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
fn print_line(text: &str) {
    println!("{text}");
}
