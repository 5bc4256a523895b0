//! Tests of the preview of work: each result, with nothing written.
#![cfg(feature = "testkit")]

use std::sync::Arc;

use serde_json::{Value, json};
use tds_core::{
    clock::Clock,
    error::Error,
    handler::{Foreseen, Preview, preview},
    memory::MemoryStore,
    mirror::{Child, Mirror, MirrorSchema, Operation},
    queue::Work,
    record::{EntityType, RecordBuilder, RecordId, RecordKey},
    source::Source,
    testkit::{ManualClock, ScriptedSource},
};

const LISTS: EntityType = EntityType::from_static("lists");
const LINES: [Child; 1] = [Child { table: "lines", owner: "list", confirm_shrink: true }];
const SCHEMA: MirrorSchema = MirrorSchema { entity: LISTS, head: Some("lists"), children: &LINES };

struct World {
    clock: ManualClock,
    store: MemoryStore,
    source: Arc<ScriptedSource>,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::default();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let store = MemoryStore::new(Arc::clone(&shared));
        Self { clock, store, source: Arc::new(ScriptedSource::new(SCHEMA, shared)) }
    }

    /// Changes the record at the source, a second after the last change. Returns the push of the new state.
    fn put(&self, name: &str, lines: usize) -> (RecordKey, Work) {
        self.clock.advance(std::time::Duration::from_secs(1));
        let line = |n: usize| json!({"line_zoho_id": n.to_string(), "position": n});
        let record = RecordBuilder::new(&LISTS, "1").version(self.clock.now()).fields(json!({"name": name}));
        self.source.put(record.children("lines", (0..lines).map(line)));
        self.clock.advance(std::time::Duration::from_secs(1));
        self.source.pushed("1").expect("a record")
    }

    async fn preview(&self, key: &RecordKey, work: &Work) -> Preview {
        let mirror: Arc<dyn Mirror> = Arc::new(self.store.clone());
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let before = (self.store.row(&LISTS, &key.id), self.store.sync_state(key));
        let source = |entity: &EntityType| -> Option<Arc<dyn Source>> {
            (*entity == LISTS).then(|| Arc::clone(&self.source) as Arc<dyn Source>)
        };
        let mut previews = preview(&mirror, &clock, source, key, work).await.expect("a preview");
        let after = (self.store.row(&LISTS, &key.id), self.store.sync_state(key));
        assert_eq!(before, after, "nothing is written");
        assert_eq!(previews.len(), 1);
        previews.remove(0)
    }

    /// Applies the present state of the source.
    async fn apply(&self) {
        self.clock.advance(std::time::Duration::from_secs(1));
        let read = self.source.fetch(&[RecordId::new("1")], tds_core::queue::Lane::Webhook).await.remove(0);
        self.store.apply(&SCHEMA, vec![read.expect("read")]).await.remove(0).expect("applied");
    }
}

/// Returns the changed fields with their values before and after.
fn changes(preview: &Preview) -> Value {
    preview.changes.iter().map(|it| json!([it.field, it.target, it.source])).collect()
}

#[tokio::test]
async fn a_preview_shows_what_each_kind_of_work_would_change() {
    let world = World::new();
    let (key, first) = world.put("one", 1);
    let new = world.preview(&key, &first).await;
    assert_eq!((new.outcome, new.operation), (Foreseen::Applied, Some(Operation::Insert)));
    let line = json!({"line_zoho_id": "0", "position": 0});
    assert_eq!(changes(&new), json!([["name", null, "one"], ["lines[0]", null, line]]));
    world.apply().await;

    let same = world.preview(&key, &first).await;
    assert_eq!((same.outcome, changes(&same)), (Foreseen::Unchanged, json!([])));
    let (_, second) = world.put("two", 1);
    let changed = world.preview(&key, &second).await;
    assert_eq!((changed.outcome, changed.operation), (Foreseen::Applied, Some(Operation::Update)));
    assert_eq!(changes(&changed), json!([["name", "one", "two"]]));
    // Work without a payload reads the record.
    let fetches = world.source.fetches();
    assert_eq!(changes(&world.preview(&key, &Work::fetch()).await), json!([["name", "one", "two"]]));
    assert_eq!(world.source.fetches(), fetches + 1);
    world.apply().await;
    assert_eq!(world.preview(&key, &first).await.outcome, Foreseen::Stale);

    // The set of lines would become empty, which only a second read confirms.
    let (_, empty) = world.put("two", 0);
    let shrunk = world.preview(&key, &empty).await;
    assert_eq!(shrunk.outcome, Foreseen::Reread);
    assert!(shrunk.reason.is_some_and(|reason| reason.contains("lost most of its rows")));

    world.source.remove("1");
    world.clock.advance(std::time::Duration::from_secs(1));
    let gone = world.preview(&key, &Work::fetch()).await;
    assert_eq!((gone.outcome, gone.operation), (Foreseen::Deleted, Some(Operation::Delete)));
    assert_eq!(gone.changes[0].field, "deleted_at");
    world.apply().await;
    assert_eq!(world.preview(&key, &Work::fetch()).await.outcome, Foreseen::Unchanged);
    let (_, again) = world.put("three", 1);
    let restored = world.preview(&key, &again).await;
    assert_eq!((restored.outcome, restored.operation), (Foreseen::Applied, Some(Operation::Restore)));
}

#[tokio::test]
async fn what_cannot_be_decoded_read_or_handled_says_why() {
    let world = World::new();
    let (key, mut work) = world.put("one", 1);
    // The body cannot be decoded, so the record is read.
    if let Some(payload) = &mut work.payload {
        payload.json = tds_core::record::Payload::new("no JSON");
    }
    assert_eq!(world.preview(&key, &work).await.outcome, Foreseen::Applied);
    world.source.fail_next(Error::invalid("no such unit"));
    let failed = world.preview(&key, &Work::fetch()).await;
    assert_eq!(failed.outcome, Foreseen::Failed);
    assert!(failed.reason.is_some_and(|reason| reason.contains("no such unit")));
    let other = RecordKey::new(EntityType::from_static("notes"), RecordId::new("1"));
    let ignored = world.preview(&other, &Work::fetch()).await;
    assert_eq!(ignored.outcome, Foreseen::Ignored);
    assert!(ignored.reason.is_some_and(|reason| reason.contains("notes")));
}
