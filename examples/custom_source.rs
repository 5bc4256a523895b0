//! A custom source: here a text of comma-separated lines. The engine lists the source, finds what changed and
//! what is gone, and mirrors the records.
//!
//! Run it with `cargo run --example custom_source`.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::json;
use tds_core::{lock::lock, memory::MemoryStore, prelude::*};

const COUNTRIES: EntityType = EntityType::from_static("countries");
static SCHEMA: MirrorSchema = MirrorSchema { entity: COUNTRIES, head: Some("countries"), children: &[] };

/// The number of rows in a page of the list.
const PAGE: usize = 2;

/// One country per line: code, name, capital. The text states no times of change, so the engine compares contents and
/// the times at which they were read.
struct Lines(Mutex<String>);

impl Lines {
    /// Reads the text and returns its records, together with the interval in which they were read.
    fn records(&self) -> (Vec<Result<Record>>, Interval) {
        let began = SystemClock.now();
        let text = lock(&self.0);
        let record = |line: &str| match line.split(',').collect::<Vec<_>>()[..] {
            [code, name, capital] => {
                let fields = json!({"name": name, "capital": capital});
                Ok(RecordBuilder::new(&COUNTRIES, code).fields(fields).build())
            }
            _ => Err(Error::invalid(format!("{line:?} is no country"))),
        };
        (text.lines().map(record).collect(), Interval { began, ended: SystemClock.now() })
    }
}

#[async_trait]
impl Source for Lines {
    fn schema(&self) -> &MirrorSchema {
        &SCHEMA
    }

    /// Returns one page of the list. The cursor is the number of the first line of the page.
    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        let from = request.cursor.as_deref().unwrap_or("0");
        let from: usize = from.parse().map_err(|_| Error::invalid("this is no cursor of mine"))?;
        let (records, observed) = self.records();
        let next = (from + PAGE < records.len()).then(|| (from + PAGE).to_string());
        let row = |record: Result<Record>| Ok(Listed::new(record?, observed));
        let rows = records.into_iter().skip(from).take(PAGE).map(row).collect::<Result<_>>()?;
        Ok(ListPage::new(rows, next, observed))
    }

    /// Reads single records: those that a list did not show, before they are marked as deleted.
    async fn fetch(&self, ids: &[RecordId], _lane: Lane) -> Vec<Result<Read>> {
        let (records, observed) = self.records();
        let read = |id: &RecordId| {
            let found = records.iter().flatten().find(|record| record.id == *id);
            Ok(Read::whole(RecordKey::new(COUNTRIES, id.clone()), observed, found.cloned()))
        };
        ids.iter().map(read).collect()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let texts = [
        "AT,Austria,Vienna\nCH,Switzerland,Bern\nIQ,Iraq,Baghdad\nPT,Portugal,Porto",
        "AT,Austria,Vienna\nCH,Switzerland,Bern\nPT,Portugal,Lisbon",
    ];
    let source = Arc::new(Lines(Mutex::default()));
    let store = MemoryStore::default();
    let engine = Engine::builder(Stores::new(&store, store.clone())).source(source.clone()).start();

    // The second sync enqueues and writes only what changed.
    for text in texts {
        text.clone_into(&mut lock(&source.0));
        let run = engine.sync(NewRun::new(COUNTRIES, RunType::Full, "text", "example")).await?;
        let (status, listed, unchanged) = (run.status.as_str(), run.total_items, run.unchanged_items);
        println!("{status}: {listed} countries, {unchanged} of them unchanged");
    }
    for (id, row) in store.rows(&COUNTRIES) {
        let gone = if row.deleted_at.is_some() { "deleted" } else { "live" };
        println!("{id} is {gone}: {}, capital {}", row.fields["name"], row.fields["capital"]);
    }
    engine.stop().await;
    Ok(())
}
