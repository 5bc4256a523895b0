//! Tests of the handler of pushes over the store in memory: what becomes of local changes, whatever happens on the way.

mod hidden;
mod remote;
mod unanswered;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tds_core::{
    clock::Clock as _,
    engine::{Engine, RunningEngine, Stores, WorkerSettings},
    memory::MemoryStore,
    outbound::{
        ConflictPolicy, ConflictStatus, EntryStatus, Mode, ModeChange, ModeSwitch, Modes as _, OutboxEntry,
        OutboxFilter, OutboxOperator as _, Resolution, Side, SwitchStep, Take,
    },
    queue::{ItemFilter, ItemStatus, Lane, NewItem, Queue as _, QueueOperator as _, Work},
    record::{Fields, RecordId, RecordKey},
    retry::RetryPolicy,
    runs::{RunId, RunStatus},
    verify::{DriftClass, EntityReport, VerificationReport, VerifyCounts},
};

use crate::remote::{Fault, INVOICES, LINES, Remote, SCHEMA, fields};

/// The store, the source, and a running engine between them.
struct Desk {
    store: MemoryStore,
    remote: Arc<Remote>,
    _engine: RunningEngine,
}

impl Desk {
    async fn new(mode: Mode, policy: ConflictPolicy) -> Self {
        let remote = Arc::new(Remote::new());
        let store = MemoryStore::new(Arc::new(remote.clock.clone()));
        let engine = Self::start(&store, &remote);
        let desk = Self { store, remote, _engine: engine };
        desk.mode(mode, policy).await;
        desk
    }

    fn start(store: &MemoryStore, remote: &Arc<Remote>) -> RunningEngine {
        let policy =
            RetryPolicy { max_attempts: 4, base: Duration::from_millis(1), max: Duration::from_millis(2) };
        let settings = WorkerSettings { policy, poll: Duration::from_millis(5), ..WorkerSettings::default() };
        Engine::builder(Stores::new(store, store.clone()).outbound(store))
            .clock(Arc::new(remote.clock.clone()))
            .source(remote.clone())
            .writer(remote.clone())
            .worker(settings)
            .start()
    }

    async fn mode(&self, mode: Mode, policy: ConflictPolicy) {
        let change = ModeChange {
            entity: INVOICES,
            mode: Some(mode),
            policy: Some(policy),
            fields: None,
            epoch: None,
        };
        self.store.set_mode(&change).await.expect("the mode is set");
    }

    /// Returns the local id of an invoice that both sides have.
    async fn mirrored(&self, columns: Value) -> i64 {
        self.remote.edit("1", columns);
        self.pull().await;
        self.store.local_id(&INVOICES, &RecordId::new("1")).expect("a local id")
    }

    /// Lets the target read invoice 1 again.
    async fn pull(&self) {
        let key = RecordKey::new(INVOICES, RecordId::new("1"));
        self.store.enqueue(vec![NewItem::new(key, Lane::Webhook, Work::fetch())]).await.expect("enqueued");
        self.rest().await;
    }

    fn insert(&self, columns: Value, lines: &[Value]) -> i64 {
        let lines: Vec<Fields> = lines.iter().cloned().map(fields).collect();
        self.store.insert_local(&SCHEMA, fields(columns), BTreeMap::from([(LINES.to_owned(), lines)]))
    }

    fn change(&self, id: i64, columns: Value) {
        assert!(self.store.update_local(&SCHEMA, id, fields(columns), BTreeMap::new()), "a row to change");
    }

    fn change_lines(&self, id: i64, lines: Vec<Fields>) {
        let lines = BTreeMap::from([(LINES.to_owned(), lines)]);
        assert!(self.store.update_local(&SCHEMA, id, Fields::new(), lines), "a row to change");
    }

    /// Waits until no change is on its way: each is settled, parked, or has a dead letter.
    async fn rest(&self) {
        for _ in 0..2_000 {
            let queue = self.store.stats().await.expect("stats").queue;
            let filter = OutboxFilter { status: Some(EntryStatus::Pending), entity: None };
            let pending = self.store.entries(&filter, None, 50).await.expect("entries").items;
            let waits = |entry: &OutboxEntry| entry.item_status.as_deref() != Some("dead_letter");
            if queue.live() == 0 && !pending.iter().any(waits) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("the desk does not come to rest: {:?}", self.store.stats().await);
    }

    async fn entries(&self) -> Vec<OutboxEntry> {
        let page = self.store.entries(&OutboxFilter::default(), None, 50).await.expect("entries");
        page.items.into_iter().rev().collect()
    }

    async fn statuses(&self) -> Vec<EntryStatus> {
        self.entries().await.iter().map(|entry| entry.status).collect()
    }

    async fn dead_letter(&self) -> String {
        let filter = ItemFilter { status: Some(ItemStatus::DeadLetter), ..ItemFilter::default() };
        let page = self.store.list(&filter, 10, None).await.expect("items");
        assert_eq!(page.items.len(), 1, "one dead letter");
        page.items[0].error_message.clone().expect("an error")
    }

    fn here(&self, id: i64, column: &str) -> Value {
        let row = self.store.local_row(&INVOICES, id).expect("a row");
        row.fields.get(column).cloned().unwrap_or_default()
    }

    fn there(&self, id: &str, column: &str) -> Value {
        self.remote.state().records[id].fields.get(column).cloned().unwrap_or_default()
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.remote.state().calls)
    }
}

fn line(id: Option<&str>, quantity: i64) -> Value {
    json!({"line_zoho_id": id, "product_zoho_id": "p", "quantity": quantity, "rate": 5})
}

#[tokio::test]
async fn a_new_record_is_created_once_and_gets_what_the_source_gave_it() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.insert(json!({"number": "inv-1", "notes": null}), &[line(None, 2), line(None, 3)]);
    desk.rest().await;
    let remote = desk.store.remote_id(&INVOICES, id).expect("a link");
    assert_eq!(desk.calls(), ["create"], "the answer is enough");
    assert_eq!((desk.here(id, "number"), desk.here(id, "total")), (json!("INV-1"), json!(25)));
    let lines = desk.store.local_rows(&INVOICES, id, LINES);
    assert!(lines.iter().all(|row| row["line_zoho_id"].is_string()), "{lines:?}");
    let entries = desk.entries().await;
    assert_eq!((entries[0].status, entries[0].in_doubt), (EntryStatus::Pushed, false));
    assert_eq!(entries[0].remote_id.as_ref(), Some(&remote));
    assert!(entries[0].differences.iter().any(|it| it.field == "number" && it.source.is_null()));

    // The webhook of the own write changes nothing and is pushed nowhere.
    let key = RecordKey::new(INVOICES, remote);
    desk.store.enqueue(vec![NewItem::new(key, Lane::Webhook, Work::fetch())]).await.expect("enqueued");
    desk.rest().await;
    assert_eq!(desk.calls(), ["read"]);
    assert_eq!((desk.store.local_ids(&INVOICES).len(), desk.entries().await.len()), (1, 1));
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_and_not_repeated() {
    for fault in [Fault::AnswerLost, Fault::Half, Fault::Unheard] {
        let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
        desk.remote.state().faults.push_back(fault);
        let id = desk.insert(json!({"number": "A"}), &[line(None, 1)]);
        desk.rest().await;
        assert_eq!(desk.remote.state().records.len(), 1, "{fault:?}");
        assert!(desk.store.remote_id(&INVOICES, id).is_some(), "{fault:?}");
        assert_eq!(desk.statuses().await.len(), 1, "{fault:?}");
        let expected: &[&str] = match fault {
            Fault::AnswerLost => &["create", "find"],
            // The create is known, so the rest of it is a change: there is none.
            Fault::Half => &["create", "read"],
            _ => &["create", "create"],
        };
        assert_eq!(desk.calls(), expected, "{fault:?}");
        assert_eq!(desk.store.local_rows(&INVOICES, id, LINES).len(), 1, "{fault:?}: no line is doubled");
    }
}

#[tokio::test]
async fn a_refused_create_is_a_dead_letter_with_the_words_of_the_source_and_leaves_no_doubt() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    desk.remote.state().faults.push_back(Fault::Refused);
    let id = desk.insert(json!({"number": "A"}), &[]);
    desk.rest().await;
    assert!(desk.dead_letter().await.contains("the source says no"));
    let entry = desk.entries().await.remove(0);
    assert_eq!((entry.status, entry.in_doubt), (EntryStatus::Pending, false));
    // The next change of the record is a new attempt, which carries everything.
    desk.change(id, json!({"notes": "again"}));
    desk.rest().await;
    assert_eq!(desk.statuses().await, [EntryStatus::Pushed; 2]);
    assert_eq!(desk.there("remote 1", "notes"), json!("again"));

    // What can be known without a call costs none.
    desk.calls();
    desk.insert(json!({"number": ""}), &[]);
    desk.rest().await;
    assert!(desk.calls().is_empty());
    assert!(desk.dead_letter().await.contains("the number is empty"));
}

#[tokio::test]
async fn changes_of_different_fields_merge_and_only_what_changed_is_written() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old", "terms": "old"})).await;
    desk.calls();
    desk.remote.edit("1", json!({"terms": "theirs"}));
    desk.change(id, json!({"notes": "ours"}));
    desk.rest().await;
    assert_eq!(desk.calls(), ["read", "update notes", "read"]);
    assert_eq!((desk.here(id, "terms"), desk.there("1", "notes")), (json!("theirs"), json!("ours")));
    // An answer that is lost is found by the next read: nothing is written twice.
    desk.remote.state().faults.push_back(Fault::AnswerLost);
    desk.change(id, json!({"notes": "once"}));
    desk.rest().await;
    assert_eq!(desk.calls(), ["read", "update notes", "read"]);
    assert_eq!(desk.there("1", "notes"), json!("once"));
    assert_eq!(desk.statuses().await, [EntryStatus::Pushed, EntryStatus::Unchanged]);
}

#[tokio::test]
async fn lines_are_merged_by_their_ids() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A"})).await;
    desk.remote.lines("1", &[line(Some("a"), 1), line(Some("b"), 1)]);
    desk.pull().await;
    let mut ours = desk.store.local_rows(&INVOICES, id, LINES);
    assert_eq!(ours.len(), 2);
    ours[0].insert("quantity".to_owned(), json!(7));
    ours.push(fields(line(None, 3)));
    desk.remote.lines("1", &[line(Some("a"), 1), line(Some("b"), 9)]);
    desk.change_lines(id, ours);
    desk.rest().await;
    let quantities = |rows: &[Fields]| -> Vec<i64> {
        let mut all: Vec<i64> = rows.iter().filter_map(|row| row["quantity"].as_i64()).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(quantities(&desk.remote.state().records["1"].lines), [3, 7, 9]);
    assert_eq!(quantities(&desk.store.local_rows(&INVOICES, id, LINES)), [3, 7, 9]);
    assert_eq!(desk.here(id, "total"), json!(95));
}

#[tokio::test]
async fn the_policy_decides_a_conflict_and_the_loser_is_kept() {
    let cases = [
        (ConflictPolicy::SourceWins, Side::Source),
        (ConflictPolicy::TargetWins, Side::Target),
        // The local change comes after the edit at the source.
        (ConflictPolicy::NewestWins, Side::Target),
    ];
    for (policy, winner) in cases {
        let desk = Desk::new(Mode::Bidirectional, policy).await;
        let id = desk.mirrored(json!({"number": "A", "notes": "old"})).await;
        desk.remote.edit("1", json!({"notes": "theirs"}));
        desk.remote.clock.advance(Duration::from_secs(5));
        desk.change(id, json!({"notes": "ours"}));
        desk.rest().await;
        let expected = if winner == Side::Source { json!("theirs") } else { json!("ours") };
        assert_eq!(
            (desk.here(id, "notes"), desk.there("1", "notes")),
            (expected.clone(), expected),
            "{policy}"
        );
        let conflict = desk.store.conflicts(None, None, None, 9).await.expect("conflicts").items.remove(0);
        assert_eq!(conflict.status, ConflictStatus::Resolved, "{policy}");
        let field = &conflict.fields[0];
        assert_eq!((field.field.as_str(), field.winner), ("notes", Some(winner)), "{policy}");
        let versions = (&field.base, &field.target, &field.source);
        assert_eq!(versions, (&json!("old"), &json!("ours"), &json!("theirs")), "{policy}");
    }
}

#[tokio::test]
async fn a_conflict_waits_for_a_person_and_both_sides_keep_their_values() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    for (take, expected) in [(Take::Source, "theirs"), (Take::Target, "ours"), (Take::Merge, "both")] {
        let id = desk.mirrored(json!({"number": "A", "notes": "old"})).await;
        desk.remote.edit("1", json!({"notes": "theirs"}));
        desk.change(id, json!({"notes": "ours"}));
        desk.rest().await;
        // A read in the meantime does not overwrite what is parked.
        desk.pull().await;
        assert_eq!((desk.here(id, "notes"), desk.there("1", "notes")), (json!("ours"), json!("theirs")));
        let open = desk.store.conflicts(Some(ConflictStatus::Open), None, None, 9).await.expect("conflicts");
        assert_eq!(open.items.len(), 1, "{take}");
        let named = if take == Take::Merge { vec![("notes".to_owned(), json!("both"))] } else { Vec::new() };
        let resolution = Resolution { take, fields: named.into_iter().collect(), by: "operator".to_owned() };
        desk.store.resolve(open.items[0].id, &resolution).await.expect("resolved");
        desk.rest().await;
        let both = (desk.here(id, "notes"), desk.there("1", "notes"));
        assert_eq!(both, (json!(expected), json!(expected)), "{take}");
        assert_eq!(desk.store.open_conflicts().await.expect("a number"), 0);
    }
}

#[tokio::test]
async fn a_read_that_comes_during_a_push_is_merged_and_not_lost() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old", "terms": "old"})).await;
    // The mirror writes the columns that nobody changed, and their base goes with them.
    desk.remote.edit("1", json!({"notes": "theirs"}));
    desk.change(id, json!({"notes": "ours"}));
    desk.rest().await;
    desk.remote.edit("1", json!({"terms": "seen"}));
    desk.pull().await;
    assert_eq!(desk.here(id, "terms"), json!("seen"));
    desk.change(id, json!({"terms": "ours"}));
    desk.rest().await;
    let open =
        desk.store.conflicts(Some(ConflictStatus::Open), None, None, 9).await.expect("conflicts").items;
    let names: Vec<&str> = open[0].fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(names, ["notes"], "the terms were changed over what the source had");
}

#[tokio::test]
async fn a_field_that_the_source_does_not_take_is_refused_alone_and_noted_beside_others() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old"})).await;
    desk.change(id, json!({"notes": "new", "total": 99}));
    desk.rest().await;
    let entry = desk.entries().await.remove(0);
    assert_eq!(entry.status, EntryStatus::Pushed);
    assert!(entry.note.expect("a note").contains("total cannot be written: it follows from the lines"));
    assert_eq!(desk.here(id, "total"), json!(0), "the source's value comes back");
    desk.change(id, json!({"total": 99}));
    desk.rest().await;
    assert!(desk.dead_letter().await.contains("total cannot be written"));
}

#[tokio::test]
async fn a_removal_reaches_the_source_unless_the_record_never_existed_there() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::SourceWins).await;
    let id = desk.mirrored(json!({"number": "A"})).await;
    assert!(desk.store.delete_local(&INVOICES, id, true));
    desk.rest().await;
    assert!(desk.remote.state().records.is_empty());
    assert!(desk.store.local_row(&INVOICES, id).expect("a tombstone").deleted_at.is_some());

    // A record that others use stays, and comes back as the source has it.
    let id = desk.insert(json!({"number": "B"}), &[]);
    desk.rest().await;
    let remote = desk.store.remote_id(&INVOICES, id).expect("a link");
    desk.remote.state().used.insert(remote.to_string());
    assert!(desk.store.delete_local(&INVOICES, id, true));
    desk.rest().await;
    assert_eq!(desk.here(id, "status"), json!("inactive"));
    assert!(desk.entries().await.last().and_then(|it| it.note.clone()).expect("a note").contains("keeps it"));

    // What was changed at the source in the meantime is in conflict with the removal.
    desk.remote.edit(remote.as_str(), json!({"notes": "in use again"}));
    assert!(desk.store.delete_local(&INVOICES, id, true));
    desk.rest().await;
    assert_eq!((desk.here(id, "notes"), desk.remote.state().records.len()), (json!("in use again"), 1));

    desk.calls();
    desk.remote.state().faults.push_back(Fault::Refused);
    let id = desk.insert(json!({"number": "C"}), &[]);
    desk.rest().await;
    assert!(desk.store.delete_local(&INVOICES, id, false));
    desk.rest().await;
    assert_eq!(desk.calls(), ["create"], "the source never had the record");
}

#[tokio::test]
async fn a_record_that_the_source_removed_is_removed_or_waits_for_a_person() {
    for policy in [ConflictPolicy::SourceWins, ConflictPolicy::Manual] {
        let desk = Desk::new(Mode::Bidirectional, policy).await;
        let id = desk.mirrored(json!({"number": "A", "notes": "old"})).await;
        desk.remote.state().records.clear();
        desk.change(id, json!({"notes": "ours"}));
        desk.rest().await;
        let row = desk.store.local_row(&INVOICES, id).expect("a row");
        let parked = policy == ConflictPolicy::Manual;
        assert_eq!(row.deleted_at.is_none(), parked, "{policy}");
        assert_eq!(desk.store.open_conflicts().await.expect("a number"), u64::from(parked), "{policy}");
        assert_eq!(desk.calls().iter().filter(|call| *call != "read").count(), 0, "{policy}");
    }
}

#[tokio::test]
async fn in_shadow_what_would_be_pushed_is_shown_and_no_call_is_made() {
    let desk = Desk::new(Mode::Shadow, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old"})).await;
    desk.calls();
    desk.change(id, json!({"notes": "ours"}));
    desk.insert(json!({"number": ""}), &[line(None, 1)]);
    desk.rest().await;
    assert!(desk.calls().is_empty());
    let entries = desk.entries().await;
    assert_eq!(desk.statuses().await, [EntryStatus::Shadow; 2]);
    let difference = &entries[0].differences[0];
    assert_eq!((&difference.source, &difference.target), (&json!("old"), &json!("ours")));
    assert!(
        entries[1].note.clone().expect("a note").contains("would have been refused: the number is empty")
    );
    assert!(entries[1].differences.iter().any(|it| it.field.starts_with(LINES)));
    // The source wins.
    desk.remote.edit("1", json!({"notes": "theirs"}));
    desk.pull().await;
    assert_eq!(desk.here(id, "notes"), json!("theirs"));
}

#[tokio::test]
async fn as_the_primary_the_target_overwrites_what_it_changed_and_ignores_edits_at_the_source() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old", "terms": "old"})).await;
    desk.mode(Mode::TargetPrimary, ConflictPolicy::Manual).await;
    desk.remote.edit("1", json!({"notes": "theirs", "terms": "theirs"}));
    desk.pull().await;
    assert_eq!((desk.here(id, "notes"), desk.here(id, "terms")), (json!("old"), json!("old")));
    desk.change(id, json!({"notes": "ours"}));
    desk.rest().await;
    assert_eq!((desk.there("1", "notes"), desk.there("1", "terms")), (json!("ours"), json!("theirs")));
    assert_eq!(
        (desk.here(id, "notes"), desk.here(id, "terms")),
        (json!("ours"), json!("old")),
        "drift stays drift"
    );
    // A push that finds nothing to write brings nothing either.
    desk.remote.edit("1", json!({"notes": "same"}));
    desk.change(id, json!({"notes": "same"}));
    desk.rest().await;
    assert_eq!(desk.here(id, "terms"), json!("old"));
    // Nobody leaves the pushing modes while a change is pending.
    desk.remote.state().faults.push_back(Fault::Refused);
    desk.change(id, json!({"notes": "pending"}));
    desk.rest().await;
    let change =
        ModeChange { entity: INVOICES, mode: Some(Mode::Shadow), policy: None, fields: None, epoch: None };
    let refused = desk.store.set_mode(&change).await.expect_err("a pending change");
    assert!(refused.to_string().contains("1 local changes of invoices are pending"), "{refused}");
    assert_eq!(desk.store.open_conflicts().await.expect("a number"), 0);
}

#[tokio::test]
async fn a_switch_refuses_whatever_differs_and_leaves_the_mode_as_it_was() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let clean = || report(&desk, RunStatus::Completed, 0);
    let switch = |to: Mode, found: VerificationReport| {
        let store = desk.store.clone();
        async move {
            let switch = ModeSwitch {
                modes: &store,
                outbox: &store,
                queue: &store,
                patience: Duration::from_millis(50),
            };
            let steps = std::sync::Mutex::new(Vec::new());
            let note = |step: SwitchStep| steps.lock().expect("no panic").push(step);
            let result = switch.run(&INVOICES, to, || async move { Ok(found) }, &note).await;
            (result, steps.into_inner().expect("no panic"))
        }
    };
    let (switched, steps) = switch(Mode::TargetPrimary, clean()).await;
    let switched = switched.expect("nothing differs");
    assert_eq!((switched.mode, steps), (Mode::TargetPrimary, SwitchStep::ALL.to_vec()));
    assert!(desk.store.paused().await.expect("paused").is_empty());

    let (refused, _) = switch(Mode::TargetPrimary, clean()).await;
    assert!(refused.expect_err("the same mode").to_string().contains("already"));
    let (refused, steps) = switch(Mode::Bidirectional, report(&desk, RunStatus::Completed, 2)).await;
    assert!(refused.expect_err("drift").to_string().contains("2 records of invoices differ"));
    assert_eq!(steps.last(), Some(&SwitchStep::Verify));
    let (refused, _) = switch(Mode::Bidirectional, report(&desk, RunStatus::Failed, 0)).await;
    assert!(refused.expect_err("a failed run").to_string().contains("ended as failed"));

    desk.remote.state().faults.push_back(Fault::Refused);
    desk.insert(json!({"number": "A"}), &[]);
    desk.rest().await;
    let (refused, _) = switch(Mode::Bidirectional, clean()).await;
    assert!(refused.expect_err("a dead letter").to_string().contains("1 dead letters"));
    let modes = desk.store.modes().await.expect("modes");
    assert_eq!((modes[0].mode, modes[0].epoch), (Mode::TargetPrimary, switched.epoch));
}

fn report(desk: &Desk, status: RunStatus, drift: u64) -> VerificationReport {
    let now = desk.remote.clock.now();
    let entity = EntityReport {
        run: RunId(1),
        repairs: false,
        entity: INVOICES,
        status,
        error: None,
        started_at: Some(now),
        completed_at: Some(now),
        calls: 0,
        counts: VerifyCounts::default(),
        in_flight: 0,
        repaired: 0,
        found: BTreeMap::new(),
        drift: BTreeMap::from([(DriftClass::FieldDiff, drift)]),
        by_field: BTreeMap::new(),
        examples: Vec::new(),
    };
    VerificationReport {
        id: RunId(1),
        status,
        requested_by: None,
        created_at: now,
        started_at: Some(now),
        completed_at: Some(now),
        money: Vec::new(),
        entities: vec![entity],
    }
}
