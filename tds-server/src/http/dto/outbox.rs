//! Local changes on their way to Zoho.

use std::collections::BTreeSet;

use serde_json::Value;
use tds_core::{mirror, outbound, queue::Page};
use time::OffsetDateTime;

use super::{
    each,
    names::{LocalChangeStatus, PushOperation},
};

wire! {
    /// One page of local changes
    LocalChangePage from page: Page<outbound::OutboxEntry> {
        items: Vec<LocalChange> = each(page.items),
        next_cursor: Option<String>,
    }

    /// A change that a program made in the ERP, with its push
    LocalChange from entry: outbound::OutboxEntry {
        id: i64 = entry.id.0,
        entity_type: String = entry.entity.to_string(),
        local_id: i64,
        /// The record's id in Zoho; null if it is not known there
        zoho_id: Option<String> = entry.remote_id.map(|id| id.to_string()),
        #[schema(inline, value_type = PushOperation)]
        operation: &'static str = entry.operation.as_str(),
        /// The columns and child tables that changed; null: any of them
        fields: Option<BTreeSet<String>>,
        #[schema(inline, value_type = LocalChangeStatus)]
        status: &'static str = entry.status.as_str(),
        #[serde(with = "time::serde::rfc3339")]
        captured_at: OffsetDateTime,
        /// When the change reached its end
        #[serde(with = "time::serde::rfc3339::option")]
        settled_at: Option<OffsetDateTime>,
        /// The queue item or dead letter that carries the push
        queue_item_id: Option<i64> = entry.item.map(|item| item.0),
        /// The status of that item
        queue_item_status: Option<String> = entry.item_status,
        /// Failed attempts of that item
        retry_count: u32 = entry.attempts,
        /// The last error of that item, or why the push waits
        error_message: Option<String> = entry.error,
        /// Whether a create was sent whose outcome is not known. It is never repeated without a search
        in_doubt: bool,
        /// What was written to Zoho, or would have been written
        differences: Vec<PushedField> = each(entry.differences),
        /// What an operator should know, such as columns that Zoho does not take
        note: Option<String>,
    }

    /// A field that was written, or would have been written
    PushedField from difference: mirror::FieldDifference {
        field: String,
        /// The value in Zoho before
        zoho: Value = difference.source,
        /// The value of the ERP
        erp: Value = difference.target,
    }
}
