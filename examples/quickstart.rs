//! The engine without any service: a scripted source, the store in memory, one full sync and one pushed event.
//!
//! Run it with `cargo run --example quickstart`.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::{error::Error as StdError, sync::Arc, time::Duration};

use serde_json::json;
use tds_core::{inbox::event_id, memory::MemoryStore, prelude::*, testkit::ScriptedSource};

const PRODUCTS: EntityType = EntityType::from_static("products");
const SCHEMA: MirrorSchema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };

fn product(clock: &dyn Clock, id: &str, name: &str, rate: i64) -> RecordBuilder {
    let fields = json!({"name": name, "rate": rate});
    RecordBuilder::new(&PRODUCTS, id).version(clock.now()).fields(fields)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    // Create a source with three products, and an empty store.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let source = Arc::new(ScriptedSource::new(SCHEMA, Arc::clone(&clock)));
    for (id, name, rate) in [("1", "Lamp", 25), ("2", "Chair", 80), ("3", "Table", 240)] {
        source.put(product(clock.as_ref(), id, name, rate));
    }
    let store = MemoryStore::new(Arc::clone(&clock));

    // The engine lists the source, enqueues the changes, and mirrors products.
    let engine = Engine::builder(Stores::new(&store, store.clone())).source(source.clone()).start();

    // Run one full sync.
    let run = engine.sync(NewRun::new(PRODUCTS, RunType::Full, "example", "quickstart")).await?;
    let (status, processed, total) = (run.status.as_str(), run.processed_items, run.total_items);
    println!("full sync {status}: {processed} of {total} products");

    // Push one event.
    source.put(product(clock.as_ref(), "2", "Chair, oak", 95));
    let work = source.pushed("2").ok_or("the source has no chair")?;
    let body = b"chair changed".to_vec();
    let event = NewEvent {
        event_id: event_id(&PRODUCTS, "updated", &body, None),
        source_type: "example".into(),
        entity_type: PRODUCTS,
        entity_id: Some("2".into()),
        event_type: "updated".into(),
        raw_payload: body,
        headers: json!({}),
        disposition: Disposition::Work(vec![work]),
    };
    let accepted = store.accept(event).await?;
    println!("event {} accepted", accepted.id);
    let applied = async {
        while !store.rows(&PRODUCTS).values().any(|row| row.fields["name"] == "Chair, oak") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), applied).await?;
    for (id, row) in store.rows(&PRODUCTS) {
        println!("{id}: {} at {}", row.fields["name"], row.fields["rate"]);
    }

    engine.stop().await;
    Ok(())
}
