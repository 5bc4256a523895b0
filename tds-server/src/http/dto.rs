//! The wire format. These types are what the API answers, what `--json` prints, and what the OpenAPI document
//! describes. They are made from the views of the core. Keys and names stay the same even if the core renames a
//! field.

/// Defines wire types, each with the view that it is made from. Each key is written once, with its type and the
/// expression for its value. Without `=`, the value is the field of the same name.
macro_rules! wire {
    (@origin $field:expr) => { $field.into() };
    (@origin $field:expr, $value:expr) => { $value };
    ($(
        $(#[$attribute:meta])*
        $name:ident from $view:ident: $origin:ty {
            $($(#[$key_attribute:meta])* $key:ident: $kind:ty $(= $value:expr)?,)*
        }
    )*) => {$(
        $(#[$attribute])*
        #[derive(serde::Serialize, utoipa::ToSchema)]
        pub(crate) struct $name {
            $($(#[$key_attribute])* $key: $kind,)*
        }

        impl From<$origin> for $name {
            fn from($view: $origin) -> Self {
                Self { $($key: wire!(@origin $view.$key $(, $value)?),)* }
            }
        }
    )*};
}

mod budget;
mod check;
mod conflicts;
mod erasure;
mod health;
mod history;
mod inbox;
mod modes;
mod names;
mod outbox;
mod pause;
mod plan;
mod problem;
mod queue;
mod readiness;
mod rules;
mod runs;
mod stats;
mod verify;
mod would;

use std::collections::BTreeMap;

use tds_core::record::EntityType;

pub(crate) use self::{
    budget::CallBudget,
    check::{CheckReport, ExposureReport},
    conflicts::{ConflictPage, RecordConflict},
    erasure::Erasure,
    health::{Credentials, HealthReport, ProcessState},
    history::RecordHistory,
    inbox::{EventDetail, EventPage, InboxStats, Receipt, Replayed},
    modes::ModeList,
    names::{
        ConflictStatusName, EventName, InboxStatus, LocalChangeStatus, ModeName, PolicyName, QueueStatus,
        SyncMode, SyncStatus, TakeName,
    },
    outbox::{LocalChange, LocalChangePage},
    pause::{PauseState, PausedList},
    plan::CostPlan,
    problem::{
        Conflict, Encoding, Invalid, InvalidSignature, NotFound, ProblemDocument, ReadOnlyToken, TooLarge,
        Unauthorized, Unavailable, Unreadable, Upstream,
    },
    queue::{Affected, ItemPage, QueueItem},
    readiness::{MissedWebhooks, Readiness},
    rules::RegisteredWebhooks,
    runs::{FollowedRuns, RunList, StartedRuns, SyncRun},
    stats::Stats,
    verify::{StartedVerification, VerificationReport, sample_bound_percent},
    would::{ReplayAnswer, RetryAnswer, WouldBe},
};

/// Converts each element of a list.
fn each<T, U: From<T>>(views: impl IntoIterator<Item = T>) -> Vec<U> {
    views.into_iter().map(Into::into).collect()
}

/// Converts each value of a map, and replaces each entity type by its name.
fn by_name<T, U: From<T>>(views: BTreeMap<EntityType, T>) -> BTreeMap<String, U> {
    views.into_iter().map(|(entity, view)| (entity.to_string(), view.into())).collect()
}
