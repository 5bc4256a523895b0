//! A source in memory, whose records a test changes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    clock::Clock,
    error::{Error, Result},
    lock::lock,
    mirror::MirrorSchema,
    queue::{Lane, Work},
    record::{Interval, Read, Record, RecordBuilder, RecordId, RecordKey},
    source::{ListPage, ListRequest, Listed, Source, SourceProfile},
};

/// The number of rows in a page.
const PAGE: usize = 2;

/// A source in memory. Its lists are ordered by id, divided into pages, and show whole records. The field `date` of a
/// record is its own date.
pub struct ScriptedSource {
    schema: MirrorSchema,
    profile: SourceProfile,
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    records: BTreeMap<RecordId, Record>,
    errors: VecDeque<Error>,
    fetches: usize,
    /// How long reads for pushed events wait.
    wait: Duration,
    /// Records that the list that is being read leaves out.
    moved: BTreeSet<RecordId>,
}

impl ScriptedSource {
    /// Creates a source without records. The clock determines when calls begin and end.
    #[must_use]
    pub fn new(schema: MirrorSchema, clock: Arc<dyn Clock>) -> Self {
        let profile = SourceProfile {
            fetch_batch: 10,
            records_per_call: 10,
            records_per_page: 2,
            ..SourceProfile::default()
        };
        Self { schema, profile, clock, book: Mutex::default() }
    }

    /// Replaces the profile.
    #[must_use]
    pub fn with_profile(mut self, profile: SourceProfile) -> Self {
        self.profile = profile;
        self
    }

    /// Adds or changes a record.
    pub fn put(&self, record: RecordBuilder) {
        let record = record.build();
        self.book().records.insert(record.id.clone(), record);
    }

    /// Deletes a record.
    pub fn remove(&self, id: &str) {
        self.book().records.remove(&RecordId::new(id));
    }

    /// Makes the next call fail with this error.
    pub fn fail_next(&self, error: Error) {
        self.book().errors.push_back(error);
    }

    /// Makes the next list miss these records, as if each record had moved while the list was read.
    pub fn move_past_reader(&self, ids: impl IntoIterator<Item = RecordId>) {
        self.book().moved.extend(ids);
    }

    /// Makes reads for pushed events and of derived values wait this long, as a source does that saves calls.
    pub fn save_calls(&self, wait: Duration) {
        self.book().wait = wait;
    }

    /// Returns how many records were read by id.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.book().fetches
    }

    /// Returns the key and the work of a push of the record's present state.
    #[must_use]
    pub fn pushed(&self, id: &str) -> Option<(RecordKey, Work)> {
        let record = self.book().records.get(&RecordId::new(id)).cloned()?;
        let key = RecordKey::new(self.schema.entity.clone(), record.id.clone());
        Some((key, Work::pushed(record.version, self.clock.now(), record.raw)))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    fn read(&self, id: &RecordId) -> Result<Read> {
        let began = self.clock.now();
        let found = {
            let mut book = self.book();
            book.fetches += 1;
            if let Some(error) = book.errors.pop_front() {
                return Err(error);
            }
            book.records.get(id).cloned()
        };
        let key = RecordKey::new(self.schema.entity.clone(), id.clone());
        Ok(Read::whole(key, Interval { began, ended: self.clock.now() }, found))
    }
}

#[async_trait]
impl Source for ScriptedSource {
    fn schema(&self) -> &MirrorSchema {
        &self.schema
    }

    fn profile(&self) -> &SourceProfile {
        &self.profile
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        let began = self.clock.now();
        let mut book = self.book();
        if let Some(error) = book.errors.pop_front() {
            return Err(error);
        }
        let after = request.cursor.as_ref().map_or(Bound::Unbounded, |id| Bound::Excluded(RecordId::new(id)));
        let changed = |record: &Record| request.since.is_none() || record.version >= request.since;
        let is_of_dates = |record: &Record| {
            let day = || record.fields.get("date").and_then(serde_json::Value::as_str);
            request.dates.is_none_or(|dates| day().is_some_and(|day| dates.contains(day)))
        };
        let shown =
            |record: &&Record| changed(record) && is_of_dates(record) && !book.moved.contains(&record.id);
        let mut wanted =
            book.records.range((after, Bound::Unbounded)).map(|(_, record)| record).filter(shown);
        let page: Vec<Record> = wanted.by_ref().take(PAGE).cloned().collect();
        let more = wanted.next().is_some();
        if !more {
            book.moved.clear();
        }
        drop(book);
        let next = page.last().filter(|_| more).map(|record| record.id.to_string());
        let observed = Interval { began, ended: self.clock.now() };
        let rows = page.into_iter().map(|record| Listed::new(record, observed));
        Ok(ListPage::new(rows.collect(), next, observed))
    }

    async fn fetch(&self, ids: &[RecordId], _lane: Lane) -> Vec<Result<Read>> {
        ids.iter().map(|id| self.read(id)).collect()
    }

    fn reads_wait(&self, lane: Lane) -> Duration {
        if matches!(lane, Lane::Webhook | Lane::Derived) { self.book().wait } else { Duration::ZERO }
    }
}
