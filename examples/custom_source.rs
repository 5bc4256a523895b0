//! A source of your own: here a text of comma-separated lines, which the engine's own handler mirrors.
//!
//! ```sh
//! cargo run --example custom_source
//! ```

use std::{collections::BTreeMap, error::Error as StdError, sync::Arc};

use async_trait::async_trait;
use tds_core::{
    clock::{Clock, SystemClock},
    engine::{Engine, Stores},
    error::{Error, Result},
    memory::MemoryStore,
    mirror::MirrorSchema,
    queue::Lane,
    record::{
        Content, EntityType, Interval, Observed, Payload, Read, Record, RecordId, RecordKey, Shape,
        SourcePayload, list_hash,
    },
    runs::{NewRun, RunType},
    source::{ListPage, ListRequest, Listed, Source, SourceProfile},
};

const COUNTRIES: EntityType = EntityType::from_static("countries");
static SCHEMA: MirrorSchema = MirrorSchema { entity: COUNTRIES, head: Some("countries"), children: &[] };

/// One country per line: code, name, capital.
const TEXT: &str = "AT,Austria,Vienna\nCH,Switzerland,Bern\nIQ,Iraq,Baghdad\nPT,Portugal,Lisbon";

struct Lines {
    clock: Arc<dyn Clock>,
    profile: SourceProfile,
}

impl Lines {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let profile = SourceProfile {
            fetch_batch: 50,
            records_per_call: 50,
            records_per_page: 2,
            ..SourceProfile::default()
        };
        Self { clock, profile }
    }

    fn record(line: &str) -> Result<Record> {
        let [code, name, capital] = line.split(',').collect::<Vec<_>>()[..] else {
            return Err(Error::invalid(format!("{line:?} is no country")));
        };
        let fields = [("name", name), ("capital", capital)];
        let raw = serde_json::Value::String(line.to_owned());
        Ok(Record {
            entity: COUNTRIES,
            id: RecordId::new(code),
            version: None, // a text states no time of change: contents and times of reading decide
            fields: fields.into_iter().map(|(column, value)| (column.to_owned(), value.into())).collect(),
            volatile: serde_json::Map::new(),
            children: BTreeMap::new(),
            raw: Payload::new(raw.to_string()),
        })
    }
}

#[async_trait]
impl Source for Lines {
    fn schema(&self) -> &MirrorSchema {
        &SCHEMA
    }

    fn profile(&self) -> &SourceProfile {
        &self.profile
    }

    /// Returns two lines per page. The cursor is the number of the next line.
    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        let began = self.clock.now();
        let from: usize = match &request.cursor {
            None => 0,
            Some(cursor) => cursor.parse().map_err(|_| Error::invalid("this is no cursor of mine"))?,
        };
        let observed = Interval { began, ended: self.clock.now() };
        let mut rows = Vec::new();
        for line in TEXT.lines().skip(from).take(2) {
            let record = Self::record(line)?;
            rows.push(Listed {
                id: record.id.clone(),
                version: None,
                hash: list_hash(&record),
                payload: Some(SourcePayload {
                    shape: Shape::List,
                    observed: Observed::Call(observed),
                    json: record.raw,
                }),
            });
        }
        let next = (from + 2 < TEXT.lines().count()).then(|| (from + 2).to_string());
        Ok(ListPage { rows, next, observed, server_time: None, learned: None })
    }

    async fn fetch(&self, ids: &[RecordId], _lane: Lane) -> Vec<Result<Read>> {
        let began = self.clock.now();
        let read = |id: &RecordId| {
            let line = TEXT.lines().find(|line| line.split(',').next() == Some(id.as_str()));
            let content = match line {
                Some(line) => Content::Present(Box::new(Self::record(line)?)),
                None => Content::Absent,
            };
            Ok(Read {
                key: RecordKey::new(COUNTRIES, id.clone()),
                shape: Shape::Detail,
                observed: Observed::Call(Interval { began, ended: self.clock.now() }),
                content,
                listed: None,
            })
        };
        ids.iter().map(read).collect()
    }

    fn decode(&self, payload: &SourcePayload) -> Result<Record> {
        let line: String = serde_json::from_str(payload.json.as_str())
            .map_err(|error| Error::invalid("the payload is no line").with_source(error))?;
        Self::record(&line)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let source = Arc::new(Lines::new(Arc::clone(&clock)));
    let store = MemoryStore::new(Arc::clone(&clock));
    let engine = Engine::builder(Stores::new(&store, store.clone())).source(source).start();

    // The second sync finds everything unchanged: it enqueues nothing and writes nothing.
    for _ in 0..2 {
        let request = NewRun {
            entity: COUNTRIES,
            run_type: RunType::Full,
            source_type: "text".into(),
            since: None,
            requested_by: "example".into(),
        };
        let run = engine.sync(request).await?;
        let (status, total, unchanged) = (run.status.as_str(), run.total_items, run.unchanged_items);
        print_line(&format!("{status}: {total} countries, {unchanged} of them unchanged"));
    }
    for (id, row) in store.rows(&COUNTRIES) {
        print_line(&format!("{id}: {}, capital {}", row.fields["name"], row.fields["capital"]));
    }
    engine.stop().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
fn print_line(text: &str) {
    println!("{text}");
}
