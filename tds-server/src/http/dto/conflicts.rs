//! Conflicts: fields that both sides changed.

use serde_json::Value;
use tds_core::{outbound, queue::Page};
use time::OffsetDateTime;

use super::{
    each,
    names::{ConflictStatusName, SideName},
};
use crate::app::directions::side_name;

wire! {
    /// One page of conflicts
    ConflictPage from page: Page<outbound::Conflict> {
        items: Vec<RecordConflict> = each(page.items),
        next_cursor: Option<String>,
    }

    /// The fields of a record that both sides changed since their last common state
    RecordConflict from conflict: outbound::Conflict {
        id: i64 = conflict.id.0,
        entity_type: String = conflict.entity.to_string(),
        zoho_id: Option<String> = conflict.remote_id.map(|id| id.to_string()),
        local_id: i64,
        #[schema(inline, value_type = ConflictStatusName)]
        status: &'static str = conflict.status.as_str(),
        fields: Vec<FieldVersions> = each(conflict.fields),
        #[serde(with = "time::serde::rfc3339")]
        created_at: OffsetDateTime,
        #[serde(with = "time::serde::rfc3339::option")]
        resolved_at: Option<OffsetDateTime>,
        /// Who decided: the name of an operator's token, `cli`, or `policy`
        resolved_by: Option<String>,
    }

    /// The three versions of a field. All of them are kept, whoever wins
    FieldVersions from conflict: outbound::FieldConflict {
        /// The column or, for a child row, the table, what identifies the row, and the column, such as
        /// `invoice_lines[460000000567114].quantity`
        field: String,
        /// The last common value
        base: Value,
        erp: Value = conflict.target,
        zoho: Value = conflict.source,
        /// The side that won; null: a person has to decide
        #[schema(inline, value_type = Option<SideName>)]
        winner: Option<&'static str> = conflict.winner.map(side_name),
    }
}
