//! Erasures, as the command line prints them.

use tds_core::privacy;
use time::OffsetDateTime;

wire! {
    /// A record of a person that was erased
    Erasure from erasure: privacy::Erasure {
        entity_type: String = erasure.key.entity.to_string(),
        zoho_id: String = erasure.key.id.to_string(),
        #[serde(with = "time::serde::rfc3339")]
        erased_at: OffsetDateTime,
        erased_by: String,
        counts: ErasedCounts,
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
