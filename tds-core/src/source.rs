//! Sources: where records come from.

pub(crate) mod paging;
mod unknown_field;

use std::time::Duration;

use async_trait::async_trait;
use rust_decimal::Decimal;
use time::OffsetDateTime;

pub use self::{
    paging::{Ability, Capability, ListCall, ListFacts, ListOrder, ListWalk, NextPage, RowOrder},
    unknown_field::UnknownField,
};
use crate::{
    error::Result,
    mirror::MirrorSchema,
    queue::Lane,
    record::{
        ContentHash, DateRange, EntityType, Interval, Observed, Read, Record, RecordId, Shape, SourcePayload,
        builder::built, list_hash,
    },
};

/// What the engine has to know about a source.
#[derive(Clone, Debug)]
pub struct SourceProfile {
    /// Whether a list row shows only a part of the record. A new or changed row then needs a read of the whole record.
    pub needs_detail: bool,
    /// Whether some rows of the list are ids only. The records of such rows have to be read.
    pub lists_ids: bool,
    /// The maximum age of details. An incremental sync reads older details again, even if the list shows no change.
    pub detail_max_age: Option<Duration>,
    /// The maximum number of records that one [`Source::fetch`] can read. Workers hand over batches of this size.
    pub fetch_batch: usize,
    /// The number of records that one call to the source returns.
    pub records_per_call: usize,
    /// The number of rows in a page of the list.
    pub records_per_page: usize,
    /// The entity type that a record may belong to instead, if the record is not found (a contact is a customer or
    /// a vendor).
    pub sibling: Option<EntityType>,
    /// Whether a full list shows every record, including inactive ones. Only then can a record that is missing from
    /// the list be gone.
    pub complete_list: bool,
    /// The column with the record's own date, if the list has a documented filter by it. Runs can then select
    /// records by their dates.
    pub date_column: Option<&'static str>,
    /// The time after which a derived read is repeated once, if it shows no change: the source may derive the values
    /// of these records a moment after the change that they follow. `None`: the source derives them at once.
    pub derives_late: Option<Duration>,
    /// What the documentation of the source says about the list.
    pub documented: Capability,
}

/// Describes a list of whole records, with 100 records per page and per call. Nothing else is known about the list.
impl Default for SourceProfile {
    fn default() -> Self {
        WHOLE_RECORDS.clone()
    }
}

/// The default profile.
static WHOLE_RECORDS: SourceProfile = SourceProfile {
    needs_detail: false,
    lists_ids: false,
    detail_max_age: None,
    fetch_batch: 100,
    records_per_call: 100,
    records_per_page: 100,
    sibling: None,
    complete_list: true,
    date_column: None,
    derives_late: None,
    documented: Capability::UNKNOWN,
};

impl SourceProfile {
    /// Returns true if a changed row of the list requires a read of the record.
    #[must_use]
    pub fn reads_records(&self) -> bool {
        self.needs_detail || self.lists_ids
    }
}

/// A request for one page of a list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Only records that changed at or after this time; `None` requests all records.
    pub since: Option<OffsetDateTime>,
    /// Only records whose own date lies in this range; `None` requests records of all dates. A source without a
    /// [`SourceProfile::date_column`] gets no such request.
    pub dates: Option<DateRange>,
    /// The order in which to read the list.
    pub order: ListOrder,
    /// What the list can do, as far as is known. A list that cannot be read in the requested order is read in the
    /// safest order that it supports.
    pub capability: Capability,
    /// The cursor of the page: the `next` of the previous page. `None` requests the first page.
    pub cursor: Option<String>,
    /// The lane whose budget is spent.
    pub lane: Lane,
}

impl ListRequest {
    /// Creates the request for the first page of the whole list. Nothing is known about the list.
    #[must_use]
    pub fn first(lane: Lane) -> Self {
        Self {
            since: None,
            dates: None,
            order: ListOrder::Whole,
            capability: Capability::UNKNOWN,
            cursor: None,
            lane,
        }
    }
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// The rows of the page.
    pub rows: Vec<Listed>,
    /// The cursor of the next page; `None` on the last page.
    pub next: Option<String>,
    /// When the page was read, by the clock of this machine.
    pub observed: Interval,
    /// The time of the source's own clock, if the answer shows it.
    pub server_time: Option<OffsetDateTime>,
    /// What is now known about the list, if the answer contradicted the capability of the request.
    pub learned: Option<Capability>,
}

impl ListPage {
    /// Creates a page that was read by a call. `next` is the cursor of the next page; `None` on the last page.
    #[must_use]
    pub fn new(rows: Vec<Listed>, next: Option<String>, observed: Interval) -> Self {
        Self { rows, next, observed, server_time: None, learned: None }
    }
}

/// What a list states about records without showing them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListSums {
    /// The number of the records; `None` if the list states no number.
    pub records: Option<u64>,
    /// The sum of their totals, whatever their currencies are; `None` if the list states no sum.
    pub total: Option<Decimal>,
}

/// One row of a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The id of the record. If the id of a row cannot be read, the source derives an id from the content of the
    /// row, so that the row can become a dead letter.
    pub id: RecordId,
    /// The source's time of the last change.
    pub version: Option<OffsetDateTime>,
    /// The hash of the contents that the engine maps: [`crate::record::list_hash`] of the decoded row or, if the
    /// row cannot be decoded, the hash of its text.
    pub hash: ContentHash,
    /// The row, or `None` if the list shows ids only.
    pub payload: Option<SourcePayload>,
}

impl Listed {
    /// Creates the row of a record that was listed by a call.
    #[must_use]
    pub fn new(record: Record, seen: Interval) -> Self {
        let hash = list_hash(&record);
        let payload = SourcePayload { shape: Shape::List, observed: Observed::Call(seen), json: record.raw };
        Self { id: record.id, version: record.version, hash, payload: Some(payload) }
    }
}

/// The source of one entity type.
///
/// # Contract
/// - [`Source::list`] with `since` returns every record that changed at or after that time. It may also return records
///   that did not change.
/// - An answer that may not be a page of the list is an error, never an empty page.
/// - [`Source::fetch`] returns one result for each id, in the order of the ids.
///
/// # Errors
/// A permanent error of [`Source::list`] ends the run, and so does a repeated error of kind `Protocol`. After any other
/// error, the call is repeated. An error of [`Source::fetch`] counts for the items of its records, as in
/// [`crate::handler::EntityHandler`].
///
/// # Example
/// A source of whole records, in pages of two rows:
///
/// ```
/// use async_trait::async_trait;
/// use serde_json::json;
/// use tds_core::prelude::*;
///
/// const CITIES: EntityType = EntityType::from_static("cities");
/// static SCHEMA: MirrorSchema = MirrorSchema { entity: CITIES, head: Some("cities"), children: &[] };
///
/// struct Atlas(Vec<&'static str>);
///
/// impl Atlas {
///     fn record(&self, id: &str) -> Option<Record> {
///         let name = self.0.get(id.parse::<usize>().ok()?)?;
///         Some(RecordBuilder::new(&CITIES, id).fields(json!({"name": name})).build())
///     }
/// }
///
/// fn now() -> Interval {
///     let now = SystemClock.now();
///     Interval { began: now, ended: now }
/// }
///
/// #[async_trait]
/// impl Source for Atlas {
///     fn schema(&self) -> &MirrorSchema {
///         &SCHEMA
///     }
///
///     async fn list(&self, request: &ListRequest) -> Result<ListPage> {
///         let first = request.cursor.as_deref().unwrap_or("0");
///         let first: usize = first.parse().map_err(|_| Error::invalid("this is no cursor of the atlas"))?;
///         let records = (first..first + 2).filter_map(|number| self.record(&number.to_string()));
///         let rows = records.map(|record| Listed::new(record, now())).collect();
///         let next = (first + 2 < self.0.len()).then(|| (first + 2).to_string());
///         Ok(ListPage::new(rows, next, now()))
///     }
///
///     async fn fetch(&self, ids: &[RecordId], _lane: Lane) -> Vec<Result<Read>> {
///         let key = |id: &RecordId| RecordKey::new(CITIES, id.clone());
///         ids.iter().map(|id| Ok(Read::whole(key(id), now(), self.record(id.as_str())))).collect()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let atlas = Atlas(vec!["Basra", "Graz", "Lagos"]);
/// let mut request = ListRequest::first(Lane::Full);
/// let first = atlas.list(&request).await?;
/// assert_eq!((first.rows.len(), first.next.as_deref()), (2, Some("2")));
/// request.cursor = first.next;
/// let last = atlas.list(&request).await?;
/// assert_eq!((last.rows.len(), last.next), (1, None));
///
/// // The row and the whole record are the same record.
/// let row = last.rows[0].payload.as_ref().expect("a row of a whole record");
/// let read = atlas.fetch(&[RecordId::new("2")], Lane::Full).await.remove(0)?;
/// assert_eq!(read.content, Content::Present(Box::new(atlas.decode(row)?)));
///
/// // A record that does not exist is not an error.
/// let read = atlas.fetch(&[RecordId::new("3")], Lane::Full).await.remove(0)?;
/// assert_eq!(read.content, Content::Absent);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Source: Send + Sync {
    /// Returns the entity type and the tables that its records are written to.
    fn schema(&self) -> &MirrorSchema;

    /// Returns what the engine has to know about the source. The default implementation returns the default profile.
    fn profile(&self) -> &SourceProfile {
        &WHOLE_RECORDS
    }

    /// Finds out what the list can do, with a few calls. The default implementation makes no call and returns what is
    /// documented.
    ///
    /// # Errors
    /// The source cannot be reached, or its answers show nothing about the list. The documentation then applies.
    async fn probe(&self, _lane: Lane) -> Result<Capability> {
        Ok(self.profile().documented)
    }

    /// Reads one page of the list. Sources with numbered pages can use [`crate::source::ListWalk`], which determines
    /// the page to request.
    ///
    /// # Errors
    /// `Protocol`: the answer may not be a page of the list. `Invalid`: the cursor is not from this source. Any
    /// other kind: the source cannot be reached.
    async fn list(&self, request: &ListRequest) -> Result<ListPage>;

    /// Reads whole records. Returns one result for each id, in the order of the ids. A record that does not exist is a
    /// read with `Content::Absent`.
    ///
    /// # Errors
    /// Each record has its own result. If the call itself fails, each record of the call has its error.
    async fn fetch(&self, ids: &[RecordId], lane: Lane) -> Vec<Result<Read>>;

    /// Returns how long reads for this lane may wait, so that several reads of one record, or of several records,
    /// become one call. The result is zero unless calls have to be saved.
    fn reads_wait(&self, _lane: Lane) -> Duration {
        Duration::ZERO
    }

    /// Returns what the list states about all records of these dates, without their rows. `None`: the list states no
    /// sums. The default implementation makes no call and returns `None`.
    ///
    /// # Errors
    /// The source cannot be reached.
    async fn sums(&self, _dates: DateRange, _lane: Lane) -> Result<Option<ListSums>> {
        Ok(None)
    }

    /// Decodes a payload into a record. The default implementation reads the JSON of records that were built by a
    /// [`RecordBuilder`](crate::record::RecordBuilder).
    ///
    /// # Errors
    /// `Invalid`: the payload cannot be understood. The message says what is wrong with it.
    fn decode(&self, payload: &SourcePayload) -> Result<Record> {
        built(&self.schema().entity, &payload.json)
    }
}
