//! Values from closed sets. The OpenAPI document enumerates the names that the API answers and accepts.

use tds_core::{
    guard::VerdictKind,
    handler::Foreseen,
    history::Happening,
    inbox::EventStatus,
    limits::budget::{CallLimit, Throttle},
    mirror::Operation,
    outbound::{self, ConflictPolicy, ConflictStatus, EntryStatus, Mode, Side, Take},
    queue::{ItemStatus, Lane, Outcome},
    record::Origin,
    runs::{Cause, DetailWay, RunStatus, RunType},
    verify::DriftClass,
};
use tds_zoho::webhook::EVENT_TYPES;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

use crate::app::{
    directions::{mode_name, policy_name, side_name, take_name},
    events::Reception,
    health::HealthStatus,
    readiness::Verdict,
    runs::MODES,
};

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
    EventName = EVENT_TYPES;

    "The result of a webhook"
    ReceiptStatus = Reception::ALL.map(Reception::as_str);

    "The status of a queue item"
    QueueStatus = ItemStatus::ALL.map(ItemStatus::as_str);

    "The status of an inbox event"
    InboxStatus = EventStatus::ALL.map(EventStatus::as_str);

    "The status of a run"
    SyncStatus = RunStatus::ALL.map(RunStatus::as_str);

    "The type of a run"
    SyncType = RunType::ALL.map(RunType::as_str);

    "The mode of a bulk sync"
    SyncMode = MODES.map(RunType::as_str);

    "How a list is read"
    ListingName = ["whole", "filtered", "newest_first"];

    "How whole records are read: not at all, one in each call, or many in each call"
    DetailsName = DetailWay::ALL.map(DetailWay::as_str);

    "The health of the process or of a component"
    HealthState = HealthStatus::ALL.map(HealthStatus::as_str);

    "The result of a check"
    CheckResult = Verdict::ALL.map(Verdict::as_str);

    "The encoding of a body"
    PayloadEncoding = ["json", "text", "base64"];

    "The outcome of the work on a record"
    OutcomeName = Outcome::ALL.map(Outcome::as_str);

    "How strictly calls are saved"
    BudgetStep = Throttle::ALL.map(Throttle::as_str);

    "The limit that forbids calls now, if one does"
    LimitName = CallLimit::ALL.map(CallLimit::as_str);

    "The lane whose budget the calls are spent from"
    LaneName = Lane::ALL.map(Lane::as_str);

    "How a record differs"
    DriftName = DriftClass::ALL.map(DriftClass::as_str);

    "What calls are made for"
    CostCause = Cause::ALL.map(Cause::as_str);

    "How a state, or a request, reached TDS"
    OriginName = Origin::ALL.map(Origin::as_str);

    "What happened to a record"
    HappeningName = Happening::ALL.map(Happening::as_str);

    "What the guard against stale writes decided"
    VerdictName = VerdictKind::ALL.map(VerdictKind::as_str);

    "What was written, or would be written, to the mirror; null: nothing"
    OperationName = Operation::ALL.map(Operation::as_str);

    "What would become of work on a record"
    ForeseenName = Foreseen::ALL.map(Foreseen::as_str);

    "The direction in which an entity type is synced"
    ModeName = Mode::ALL.map(mode_name);

    "What decides when both sides changed a field"
    PolicyName = ConflictPolicy::ALL.map(policy_name);

    "What is to be done in Zoho"
    PushOperation = outbound::Operation::ALL.map(outbound::Operation::as_str);

    "What has become of a local change"
    LocalChangeStatus = EntryStatus::ALL.map(EntryStatus::as_str);

    "The status of a conflict"
    ConflictStatusName = ConflictStatus::ALL.map(ConflictStatus::as_str);

    "A side of the sync"
    SideName = Side::ALL.map(side_name);

    "Whose values a decision takes"
    TakeName = Take::ALL.map(take_name);

    "The result of a check of credentials"
    CheckStatus = ["ok"];
}
