//! What a dry run says.

use serde::Serialize;
use serde_json::Value;
use tds_core::{
    handler::Preview,
    mirror::{FieldDifference, Operation},
};
use utoipa::ToSchema;

use super::{
    Affected, Replayed, each,
    names::{ForeseenName, OperationName},
};
use crate::app::dry_run::Would;

wire! {
    /// The answer to a dry run: nothing was written
    WouldBe from would: Would {
        would: Foresight = would.into(),
    }

    /// What would happen
    Foresight from would: Would {
        #[schema(inline, value_type = ForeseenName)]
        outcome: &'static str = would.outcome.as_str(),
        /// The reason, if there is more to say
        reason: Option<String>,
        /// The fields that would change, of all records
        changes: Vec<FieldChange> = would.records.iter().flat_map(changes).collect(),
        /// What would become of each record
        records: Vec<RecordForesight> = each(would.records),
    }

    /// What would become of a record
    RecordForesight from preview: Preview {
        entity_type: String = preview.key.entity.to_string(),
        zoho_id: String = preview.key.id.to_string(),
        #[schema(inline, value_type = ForeseenName)]
        outcome: &'static str = preview.outcome.as_str(),
        #[schema(inline, value_type = Option<OperationName>)]
        operation: Option<&'static str> = preview.operation.map(Operation::as_str),
        reason: Option<String>,
    }

    /// A field that would change
    FieldChange from change: (&Preview, &FieldDifference) {
        zoho_id: String = change.0.key.id.to_string(),
        /// The column; for a child row the table, what identifies the row, and the column
        field: String = change.1.field.clone(),
        before: Value = change.1.target.clone(),
        after: Value = change.1.source.clone(),
    }
}

fn changes(preview: &Preview) -> impl Iterator<Item = FieldChange> {
    preview.changes.iter().map(move |change| (preview, change).into())
}

/// An event that is processed again, or what that would do
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ReplayAnswer {
    /// The event is processed again
    Done(Replayed),
    /// Nothing was written
    Dry(WouldBe),
}

/// The number of changed items, or what the change would do
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum RetryAnswer {
    /// The number of changed items
    Done(Affected),
    /// Nothing was written
    Dry(WouldBe),
}
