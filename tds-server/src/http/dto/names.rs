//! Values from closed sets. The OpenAPI document enumerates the names that the API answers and accepts.

use tds_core::{
    inbox::EventStatus,
    limits::budget::Throttle,
    queue::{ItemStatus, Lane, Outcome},
    runs::{RunStatus, RunType},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

use crate::app::{events::Reception, health::HealthStatus, runs::MODES};

/// Defines types that describe a closed set of names in the OpenAPI document. The values themselves are plain texts.
macro_rules! closed_sets {
    ($($description:literal $name:ident = $names:expr;)*) => {
        $(#[doc = $description]
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let names = ObjectBuilder::new().schema_type(Type::String).description(Some($description));
                names.enum_values(Some($names)).into()
            }
        }

        impl ToSchema for $name {})*
    };
}

closed_sets! {
    "What happened to a record"
    EventName = ["created", "updated", "deleted"];

    "What follows from a webhook"
    ReceiptStatus = Reception::ALL.map(Reception::as_str);

    "Where a queue item is"
    QueueStatus = ItemStatus::ALL.map(ItemStatus::as_str);

    "Where an inbox event is"
    InboxStatus = EventStatus::ALL.map(EventStatus::as_str);

    "Where a run is"
    SyncStatus = RunStatus::ALL.map(RunStatus::as_str);

    "What a run does"
    SyncType = RunType::ALL.map(RunType::as_str);

    "How a bulk sync reads"
    SyncMode = MODES.map(RunType::as_str);

    "How a process or a part of it is"
    HealthState = HealthStatus::ALL.map(HealthStatus::as_str);

    "How a body is written"
    PayloadEncoding = ["json", "text", "base64"];

    "How the work on a record ended"
    OutcomeName = Outcome::ALL.map(Outcome::as_str);

    "How far calls are saved"
    BudgetStep = Throttle::ALL.map(Throttle::as_str);

    "Which limit all calls pause for"
    PauseReason = ["minute", "day", "concurrency"];

    "Whose budget calls are spent from"
    LaneName = Lane::ALL.map(Lane::as_str);

    "What the answer to a check of credentials says"
    CheckStatus = ["ok"];
}
