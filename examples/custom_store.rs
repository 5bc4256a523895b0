//! A custom store: the queue, the inbox and the runs of the memory store, with another mirror. The program tests
//! the whole store with the engine's conformance kit. Run it with `cargo run --example custom_store`.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tds_core::{
    guard::{SyncState, Verdict, judge},
    memory::MemoryStore,
    mirror::{Difference, Presence, compare_record, follow_ups},
    prelude::*,
    testkit::{ManualClock, conformance},
};
use tokio::sync::Mutex;

/// The rows of one record by table. The head table has one row.
type Sheets = BTreeMap<String, Vec<Fields>>;

/// A mirror that keeps the rows of each record together. The sync states stay in the memory store, where full syncs
/// look for records that are missing from the list of the source.
#[derive(Clone)]
struct SheetMirror {
    store: MemoryStore,
    clock: ManualClock,
    records: Arc<Mutex<HashMap<RecordKey, Sheets>>>,
}

#[async_trait]
impl Mirror for SheetMirror {
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        self.store.states(entity, ids).await
    }

    async fn compare(&self, schema: &MirrorSchema, reads: &[Read]) -> Result<HashMap<RecordId, Difference>> {
        let Some(head) = schema.head else { return Ok(HashMap::new()) };
        let records = self.records.lock().await;
        let difference = |read: &Read| {
            let sheets = records.get(&read.key);
            let sheet = |table: &str| sheets.and_then(|it| it.get(table)).map_or(&[][..], Vec::as_slice);
            let row = sheet(head).first();
            let presence = Presence::of(row.map(|row| row.contains_key("deleted_at")));
            Difference::of(&read.content, presence, |record| compare_record(record, row, sheet))
        };
        Ok(reads.iter().filter_map(|read| Some((read.key.id.clone(), difference(read)?))).collect())
    }

    /// Writes reads. The lock makes each read one transaction.
    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>> {
        let mut records = self.records.lock().await;
        let apply = |read: Read| self.apply_one(records.entry(read.key.clone()).or_default(), schema, &read);
        reads.into_iter().map(apply).collect()
    }
}

impl SheetMirror {
    fn apply_one(&self, sheets: &mut Sheets, schema: &MirrorSchema, read: &Read) -> Result<Applied> {
        let (now, stored) = (self.clock.now(), self.store.sync_state(&read.key));
        let shrinks = |record: &Record| schema.shrinks(record, |table| sheets.get(table).map_or(0, Vec::len));
        let (verdict, next) = judge(stored.as_ref(), read, now, shrinks);
        let applied = match (verdict, &read.content) {
            (Verdict::Reread(reason), _) => Applied::Reread(reason),
            (Verdict::Stale, _) => Applied::Done(Outcome::Stale),
            (Verdict::Unchanged, _) => Applied::Done(Outcome::Unchanged),
            (Verdict::Apply { .. }, Content::Absent) => {
                match schema.head.and_then(|head| sheets.get_mut(head)?.first_mut()) {
                    Some(row) => drop(row.insert("deleted_at".to_owned(), json!(now.to_string()))),
                    None => sheets.clear(),
                }
                Applied::Done(Outcome::Deleted)
            }
            // The only constraint of this mirror. Nothing of a record that breaks the constraint is written.
            (_, Content::Present(record)) if record.fields.get("name") == Some(&json!("")) => {
                return Err(Error::invalid("a name must not be empty"));
            }
            (Verdict::Apply { stable, volatile }, Content::Present(record)) => {
                let before = sheets.clone();
                if let Some(head) = schema.head {
                    let row = &mut sheets.entry(head.to_owned()).or_insert_with(|| vec![Fields::new()])[0];
                    if stable {
                        row.extend(record.fields.clone());
                        row.remove("deleted_at");
                    }
                    if volatile {
                        row.extend(record.volatile.clone());
                    }
                }
                if stable {
                    sheets.extend(record.children.clone());
                }
                Applied::Done(if *sheets == before { Outcome::Unchanged } else { Outcome::Applied })
            }
        };
        let later = follow_ups(stored.as_ref(), next.as_ref().or(stored.as_ref()), read, verdict);
        self.store.remember(&read.key, next, later);
        Ok(applied)
    }
}

/// What the conformance kit needs besides the traits: it moves the clock, looks at rows, and breaks the constraint.
struct Harness(SheetMirror, conformance::Stores);

#[async_trait]
impl conformance::Harness for Harness {
    fn stores(&self) -> &conformance::Stores {
        &self.1
    }

    async fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    async fn values(&self, table: &str, _owner: Option<&str>, id: &str, column: &str) -> Vec<Value> {
        let records = self.0.records.lock().await;
        let sheets = records.iter().filter(|(key, _)| key.id.as_str() == id);
        let rows = sheets.filter_map(|(_, sheets)| sheets.get(table)).flatten();
        rows.filter_map(|row| row.get(column).cloned()).collect()
    }

    async fn change_column(&self, table: &str, id: &str, column: &str, value: &str) {
        let mut records = self.0.records.lock().await;
        let sheets = records.iter_mut().filter(|(key, _)| key.id.as_str() == id);
        let rows = sheets.filter_map(|(_, sheets)| sheets.get_mut(table)).flatten();
        rows.for_each(|row| drop(row.insert(column.to_owned(), json!(value))));
    }

    async fn refused_columns(&self, _id: &str) -> Fields {
        Fields::from_iter([("name".to_owned(), json!(""))])
    }
}

#[tokio::main]
async fn main() {
    let cases = conformance::cases();
    for case in &cases {
        println!("{}: {}", case.topic, case.name.replace('_', " "));
        let clock = ManualClock::default();
        let store = MemoryStore::new(Arc::new(clock.clone()));
        let mirror = SheetMirror { store: store.clone(), clock, records: Arc::default() };
        let stores = conformance::Stores::new(&store, mirror.clone());
        case.run(&Harness(mirror, stores)).await;
    }
    println!("the store passes all {} cases", cases.len());
}
