//! A custom handler: items go wherever you want, with the engine's queue, retries and dead letters.
//!
//! Run it with `cargo run --example custom_handler`.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use tds_core::{memory::MemoryStore, prelude::*, queue::ItemFilter};

static NOTES: EntityType = EntityType::from_static("notes");

/// Prints notes. Delivery is at-least-once: after a crash, a note may be printed again.
struct Printer;

#[async_trait]
impl EntityHandler for Printer {
    fn entity(&self) -> &EntityType {
        &NOTES
    }

    async fn handle(&self, item: &Claimed) -> Result<Handled> {
        let payload = item.work.payload.as_ref().ok_or_else(|| Error::invalid("the note has no body"))?;
        let note: Value = payload.json.parse()?;
        // A permanent error makes the item a dead letter.
        let text = note["text"].as_str().ok_or_else(|| Error::invalid("the note has no text"))?;
        // A transient error spends an attempt. The item is tried again later.
        if item.retry_count == 0 {
            return Err(Error::unavailable("the printer is warming up"));
        }
        println!("note {}, attempt {}: {text}", item.key.id, item.retry_count + 1);
        Ok(Handled::Done(Outcome::Applied))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let store = MemoryStore::default();
    let policy = RetryPolicy { base: Duration::from_millis(50), ..RetryPolicy::default() };
    let worker = WorkerSettings { policy, ..WorkerSettings::default() };
    let stores = Stores::new(&store, store.clone());
    let engine = Engine::builder(stores).handler(Arc::new(Printer)).worker(worker).start();

    let now = SystemClock.now();
    for (id, json) in [("1", r#"{"text": "buy paper"}"#), ("2", r#"{"title": "no text"}"#)] {
        let key = RecordKey::new(NOTES.clone(), RecordId::new(id));
        let work = Work::pushed(now, now, Payload::new(json));
        store.enqueue(vec![NewItem::new(key, Lane::Webhook, work)]).await?;
    }
    while store.stats().await?.queue.live() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for item in store.list(&ItemFilter::default(), 10, None).await?.items {
        let error = item.error_message.unwrap_or_default();
        println!("note {} is {} {error}", item.record, item.status.as_str());
    }
    engine.stop().await;
    Ok(())
}
