//! The plan of a run: how the run reads, chosen by the number of calls that each way costs. The choice is a pure
//! function, and the plan gives the reason.

mod choice;
mod daily;
mod history;
mod selected;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::source::{Capability, ListOrder};

pub use self::daily::{Cause, Cost, DailyCost, LaneCost, ListLoad, Load, Period, daily_cost};
pub(crate) use self::{
    choice::{Question, choose, probe_pays},
    history::History,
    selected::{Known, plan_selection},
};

crate::closed_set! {
    /// The ways to read whole records.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum DetailWay {
        /// No records are read: the rows of the list are whole records.
        None = "none",
        /// One call reads one record.
        Single = "single",
        /// One call reads many records.
        Many = "many",
    }
}

/// Writes a number of calls in words.
fn in_calls(calls: Option<u64>) -> String {
    match calls {
        Some(1) => "1 call".to_owned(),
        Some(calls) => format!("{calls} calls"),
        None => "an unknown number of calls".to_owned(),
    }
}

/// The cost of one way to read the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListCost {
    /// The way to read the list.
    pub way: ListOrder,
    /// The expected number of calls; `None` if the length of the list is not known.
    pub calls: Option<u64>,
}

/// How a run reads, and why. The plan is stored with the run, so that the counts of the run can be compared with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    /// The reason for the choice, as one sentence with the numbers.
    pub reason: String,
    /// How the list is read.
    pub listing: ListOrder,
    /// The cost of every possible way, including the chosen one.
    pub ways: Vec<ListCost>,
    /// The maximum number of calls that probed the list before it was read.
    pub probe_calls: u64,
    /// How whole records are read.
    pub details: DetailWay,
    /// The number of records that are expected to need their own read; `None` if the number is not known.
    pub expected_details: Option<u64>,
    /// The expected number of all calls; `None` if the number is not known.
    pub expected_calls: Option<u64>,
}

impl RunPlan {
    /// Adapts the plan of a list that was to be read whole because it has one page, and that turned out to have more
    /// pages. Records can move between two pages. Returns true if the window is read instead; the plan then says
    /// so.
    pub(crate) fn outgrown(&mut self, from: Option<OffsetDateTime>, capability: Capability) -> bool {
        let has_one_page = self.ways.iter().any(|cost| cost.way == ListOrder::Whole && cost.calls == Some(1));
        if from.is_none() || !has_one_page || ListOrder::safest(capability) != ListOrder::MovingFilter {
            return false;
        }
        self.listing = ListOrder::MovingFilter;
        self.reason.push_str(
            " The list turned out to have more than one page, so it is read by its filter after all.",
        );
        true
    }
}
