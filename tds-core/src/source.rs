//! Where records come from.

pub(crate) mod paging;

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

pub use self::paging::{Ability, Capability, ListCall, ListFacts, ListOrder, ListWalk, NextPage, RowOrder};
use crate::{
    error::Result,
    mirror::MirrorSchema,
    queue::Lane,
    record::{ContentHash, EntityType, Interval, Read, Record, RecordId, SourcePayload},
};

/// What the engine has to know of a source.
#[derive(Clone, Debug)]
pub struct SourceProfile {
    /// A list row is only a part: a new or changed row needs a read of the whole record.
    pub needs_detail: bool,
    /// Rows of its list are ids, of some records at least: what they stand for has to be read.
    pub lists_ids: bool,
    /// Details older than this are read again in an incremental sync although the list shows no change.
    pub detail_max_age: Option<Duration>,
    /// How many records one fetch can bring; workers hand over batches of this size.
    pub fetch_batch: usize,
    /// How many of them one call to the source brings.
    pub records_per_call: usize,
    /// How many rows a page of its list has.
    pub records_per_page: usize,
    /// A record that is not there may be one of this type instead (contacts: customer or vendor).
    pub sibling: Option<EntityType>,
    /// A full list shows every record, inactive ones too, so that a record missing from it may be gone.
    pub complete_list: bool,
    /// What is documented of its list.
    pub documented: Capability,
}

/// A list of whole records, 100 to a page and to a call, of which nothing else is known.
impl Default for SourceProfile {
    fn default() -> Self {
        Self {
            needs_detail: false,
            lists_ids: false,
            detail_max_age: None,
            fetch_batch: 100,
            records_per_call: 100,
            records_per_page: 100,
            sibling: None,
            complete_list: true,
            documented: Capability::UNKNOWN,
        }
    }
}

impl SourceProfile {
    /// True where news in the list take a read of the record.
    #[must_use]
    pub fn reads_records(&self) -> bool {
        self.needs_detail || self.lists_ids
    }
}

/// A request for one page of a list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Only records changed at or after this time; `None`: all.
    pub since: Option<OffsetDateTime>,
    /// How the list is to be read.
    pub order: ListOrder,
    /// What the list can do, as far as is known. A list that cannot be read in the order that is asked for is read in the
    /// safest order that it can.
    pub capability: Capability,
    /// Where to go on: what the page before gave as `next`; `None`: at the beginning.
    pub cursor: Option<String>,
    /// Whose budget is spent.
    pub lane: Lane,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// Its rows.
    pub rows: Vec<Listed>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<String>,
    /// When it was read, on this machine's clock.
    pub observed: Interval,
    /// The source's own clock, where it shows it.
    pub server_time: Option<OffsetDateTime>,
    /// The answer contradicted the capability that was asked with: what is known now.
    pub learned: Option<Capability>,
}

/// One row of a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Which record. A row whose id cannot be read has an id made up from its content, so that it can be a dead letter.
    pub id: RecordId,
    /// The source's time of the last change.
    pub version: Option<OffsetDateTime>,
    /// Hash of the contents that the engine maps; [`crate::record::list_hash`] of the decoded row where it can be decoded, else of its text.
    pub hash: ContentHash,
    /// The row, or `None` where the list shows ids only.
    pub payload: Option<SourcePayload>,
}

/// One entity type at the source.
#[async_trait]
pub trait Source: Send + Sync {
    /// Which entity type, and where its records go.
    fn schema(&self) -> &MirrorSchema;

    /// What the engine has to know.
    fn profile(&self) -> &SourceProfile;

    /// Finds out what the list can do, with a few calls. Without calls: what is documented.
    async fn probe(&self, _lane: Lane) -> Result<Capability> {
        Ok(self.profile().documented)
    }

    /// One page of the list; [`crate::source::ListWalk`] tells sources with numbered pages what to ask for. With `since`, rows that did not change may come too; rows that changed must come.
    /// An answer that is not certainly a page is an error, never an empty page.
    async fn list(&self, request: &ListRequest) -> Result<ListPage>;

    /// The whole records, in the order asked. A record that does not exist is a read with `Content::Absent`.
    async fn fetch(&self, ids: &[RecordId], lane: Lane) -> Vec<Result<Read>>;

    /// How long reads for this lane may wait, so that several of a record, or of several records, become one call.
    /// Zero, except where calls have to be saved.
    fn reads_wait(&self, _lane: Lane) -> Duration {
        Duration::ZERO
    }

    /// Understands a payload. `Err` of kind `Invalid` tells a person what is wrong with it.
    fn decode(&self, payload: &SourcePayload) -> Result<Record>;
}
