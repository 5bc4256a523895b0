//! Erasures, as the command line prints them.

use tds_core::privacy;
use time::OffsetDateTime;

wire! {
    /// A record of a person that was erased
    Erasure from found: (privacy::Erasure, Vec<String>) {
        entity_type: String = found.0.key.entity.to_string(),
        /// The other entity types that show the record, under which it is erased as well
        also: Vec<String> = found.1,
        zoho_id: String = found.0.key.id.to_string(),
        #[serde(with = "time::serde::rfc3339")]
        erased_at: OffsetDateTime = found.0.erased_at,
        erased_by: String = found.0.erased_by,
        counts: ErasedCounts = found.0.counts.into(),
    }

    /// How many rows lost the data of an erased person
    ErasedCounts from counts: privacy::ErasedCounts {
        /// Head rows, which are tombstones now
        rows: u64,
        /// Documents that name the person
        documents: u64,
        /// Pushed events that lost their bodies or their errors
        events: u64,
        /// Items of the queue
        items: u64,
        /// Local changes, links and conflicts
        changes: u64,
        /// Findings of verifications
        findings: u64,
        /// Files of images
        files: u64,
    }
}
