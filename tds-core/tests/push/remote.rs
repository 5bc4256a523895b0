//! A source that is written: its records, and the faults of its next writes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tds_core::{
    clock::Clock as _,
    error::{Error, Result},
    mirror::{Child, MirrorSchema},
    outbound::{LocalRecord, RemoteWriter, Removed, Writable, WriteError, Written},
    queue::Lane,
    record::{EntityType, Fields, Interval, Read, Record, RecordBuilder, RecordId, RecordKey},
    source::{ListPage, ListRequest, Source},
    testkit::ManualClock,
};

pub(crate) const INVOICES: EntityType = EntityType::from_static("invoices");
pub(crate) const LINES: &str = "invoice_lines";
pub(crate) static SCHEMA: MirrorSchema = MirrorSchema {
    entity: INVOICES,
    head: Some("invoices"),
    children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
};

/// A column whose values the source keeps for itself.
pub(crate) const HIDDEN: &str = "secret";

/// What happens at the next write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The source refuses the write.
    Refused,
    /// No call reaches the source.
    Unheard,
    /// The call is lost, and nobody knows.
    CallLost,
    /// The source does the write, and the answer is lost.
    AnswerLost,
    /// The create works, and the call after it fails.
    Half,
}

/// The source of invoices. `total` is derived from the lines, and cannot be written.
pub(crate) struct Remote {
    pub(crate) clock: ManualClock,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) records: BTreeMap<String, Kept>,
    pub(crate) faults: VecDeque<Fault>,
    /// The calls that were made, such as `create` and `update number`.
    pub(crate) calls: Vec<String>,
    /// The records that other records use.
    pub(crate) used: BTreeSet<String>,
    /// What reads show without a part of it.
    pub(crate) cut: BTreeSet<String>,
    /// What happens after an answer is lost, before anything else does.
    pub(crate) then: Option<Box<dyn FnOnce() + Send>>,
    last: u64,
}

#[derive(Clone, Default)]
pub(crate) struct Kept {
    pub(crate) key: String,
    pub(crate) fields: Fields,
    pub(crate) lines: Vec<Fields>,
    version: Option<time::OffsetDateTime>,
}

pub(crate) fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

impl Remote {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::default().ticking(Duration::from_millis(1));
        Self { clock, state: Mutex::default() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    /// Changes a record, as another user of the source does, a second later than everything before.
    pub(crate) fn edit(&self, id: &str, columns: Value) {
        self.clock.advance(Duration::from_secs(1));
        let version = self.clock.now();
        let mut state = self.state();
        let kept = state.records.entry(id.to_owned()).or_default();
        kept.fields.extend(fields(columns));
        kept.version = Some(version);
    }

    pub(crate) fn lines(&self, id: &str, rows: &[Value]) {
        let rows = rows.iter().cloned().map(fields).collect();
        self.state().records.get_mut(id).expect("a record").lines = rows;
        self.edit(id, json!({}));
    }

    fn record(id: &str, kept: &Kept) -> Record {
        let number = |value: &Value| value.as_i64().unwrap_or_default();
        let total: i64 = kept.lines.iter().map(|row| number(&row["quantity"]) * number(&row["rate"])).sum();
        let mut columns = kept.fields.clone();
        columns.remove(HIDDEN);
        columns.insert("total".to_owned(), total.into());
        let lines: Vec<Value> = kept.lines.iter().cloned().map(Value::Object).collect();
        let record = RecordBuilder::new(&INVOICES, id).fields(Value::Object(columns)).children(LINES, lines);
        kept.version.map_or(record.clone(), |version| record.version(version)).build()
    }

    fn read(&self, id: &str) -> Read {
        let began = self.clock.now();
        let state = self.state();
        let record =
            state.records.get(id).map(|kept| Record { cut: state.cut.clone(), ..Self::record(id, kept) });
        drop(state);
        let key = RecordKey::new(INVOICES, RecordId::new(id));
        Read::whole(key, Interval { began, ended: self.clock.now() }, record)
    }

    /// Notes a call, and returns the fault that it meets.
    fn call(&self, name: &str) -> Option<Fault> {
        let mut state = self.state();
        state.calls.push(name.to_owned());
        state.faults.pop_front()
    }

    fn write(&self, id: &str, record: &LocalRecord, columns: impl Fn(&str) -> bool) {
        self.clock.advance(Duration::from_secs(1));
        let version = self.clock.now();
        let mut state = self.state();
        let mut last = state.last;
        let kept = state.records.entry(id.to_owned()).or_default();
        kept.key.clone_from(&record.key);
        let taken = record.fields.iter().filter(|(name, value)| columns(name) && !value.is_null());
        for (name, value) in taken.filter(|(name, _)| *name != "total") {
            // The source writes numbers in upper case.
            let spelled =
                value.as_str().filter(|_| name == "number").map(|text| Value::from(text.to_uppercase()));
            kept.fields.insert(name.clone(), spelled.unwrap_or_else(|| value.clone()));
        }
        if let Some(rows) = record.children.get(LINES).filter(|_| columns(LINES)) {
            kept.lines = rows.clone();
            for row in &mut kept.lines {
                if row.get("line_zoho_id").is_none_or(Value::is_null) {
                    last += 1;
                    row.insert("line_zoho_id".to_owned(), format!("line {last}").into());
                }
            }
        }
        kept.version = Some(version);
        state.last = last;
    }

    fn refused(fault: Option<Fault>) -> Result<(), WriteError> {
        match fault {
            Some(Fault::Refused) => Err(WriteError::Refused(Error::invalid("the source says no"))),
            Some(Fault::CallLost) => Err(WriteError::InDoubt(Error::unavailable("no answer"))),
            Some(Fault::Unheard) => Err(WriteError::Refused(Error::unavailable("no route to the source"))),
            _ => Ok(()),
        }
    }

    fn lost(&self, fault: Option<Fault>) -> Result<(), WriteError> {
        if fault != Some(Fault::AnswerLost) {
            return Ok(());
        }
        let then = self.state().then.take();
        if let Some(then) = then {
            then();
        }
        Err(WriteError::InDoubt(Error::unavailable("no answer")))
    }
}

#[async_trait]
impl Source for Remote {
    fn schema(&self) -> &MirrorSchema {
        &SCHEMA
    }

    async fn list(&self, _: &ListRequest) -> Result<ListPage> {
        let now = self.clock.now();
        Ok(ListPage::new(Vec::new(), None, Interval { began: now, ended: now }))
    }

    async fn fetch(&self, ids: &[RecordId], _: Lane) -> Vec<Result<Read>> {
        self.state().calls.push("read".to_owned());
        ids.iter().map(|id| Ok(self.read(id.as_str()))).collect()
    }
}

#[async_trait]
impl RemoteWriter for Remote {
    fn schema(&self) -> &MirrorSchema {
        &SCHEMA
    }

    fn visible(&self, mut record: LocalRecord) -> LocalRecord {
        record.fields.remove(HIDDEN);
        record
    }

    fn hides(&self, column: &str, cut: &BTreeSet<String>) -> bool {
        column == HIDDEN || cut.contains(column)
    }

    fn writable(&self, column: &str, _: bool) -> Writable {
        if column == HIDDEN {
            return Writable::No("it is hidden".to_owned());
        }
        if column == "total" { Writable::No("it follows from the lines".to_owned()) } else { Writable::Yes }
    }

    fn check(&self, record: &LocalRecord, _: Option<&BTreeSet<String>>) -> Result<(), WriteError> {
        match record.value("number") {
            Some(number) if number == "" => Err(WriteError::Refused(Error::invalid("the number is empty"))),
            _ => Ok(()),
        }
    }

    async fn create(&self, record: &LocalRecord) -> Result<Written, WriteError> {
        let fault = self.call("create");
        Self::refused(fault)?;
        let id = {
            let mut state = self.state();
            state.last += 1;
            format!("remote {}", state.last)
        };
        self.write(&id, record, |_| true);
        self.lost(fault)?;
        if fault == Some(Fault::Half) {
            let error = Error::unavailable("the second call failed");
            return Err(WriteError::Partly { id: RecordId::new(id), error });
        }
        Ok(Written { read: Some(self.read(&id)), id: RecordId::new(id) })
    }

    async fn update(&self, record: &LocalRecord, changed: &BTreeSet<String>) -> Result<Written, WriteError> {
        let names: Vec<&str> = changed.iter().map(String::as_str).collect();
        let fault = self.call(&format!("update {}", names.join(" ")));
        Self::refused(fault)?;
        let id = record.remote_id.clone().expect("a record that exists");
        self.write(id.as_str(), record, |column| changed.contains(column));
        self.lost(fault)?;
        // The answer does not show the record, so the engine reads it.
        Ok(Written { id, read: None })
    }

    async fn remove(&self, record: &LocalRecord) -> Result<Removed, WriteError> {
        let fault = self.call("remove");
        Self::refused(fault)?;
        let id = record.remote_id.clone().expect("a record that exists");
        if self.state().used.contains(id.as_str()) {
            self.edit(id.as_str(), json!({"status": "inactive"}));
            return Ok(Removed::Kept);
        }
        self.state().records.remove(id.as_str());
        self.lost(fault)?;
        Ok(Removed::Gone)
    }

    async fn find(&self, versions: &[LocalRecord]) -> Result<Option<RecordId>, WriteError> {
        let fault = self.call("find");
        Self::refused(fault)?;
        let state = self.state();
        let found = state.records.iter().find(|(_, kept)| kept.key == versions[0].key);
        Ok(found.map(|(id, _)| RecordId::new(id)))
    }
}
