//! How a run reads, chosen by what it costs in calls: a pure function, and its explanation.

mod choice;
mod history;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::source::{Capability, ListOrder};

pub(crate) use self::{
    choice::{Question, choose, probe_pays},
    history::History,
};

/// The ways to read whole records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetailWay {
    /// None: the rows of the list are whole records.
    None,
    /// One a call.
    Single,
    /// Many a call.
    Many,
}

/// What a way to read the list costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListCost {
    /// Which way.
    pub way: ListOrder,
    /// Calls that it is expected to take; `None`: nobody knows how long the list is.
    pub calls: Option<u64>,
}

/// How a run reads and why. Kept with the run, whose counts tell what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    /// Why it is read so, in one sentence with the numbers.
    pub reason: String,
    /// How the list is read.
    pub listing: ListOrder,
    /// Every way that there was, the chosen one too.
    pub ways: Vec<ListCost>,
    /// Calls that found out what the list can do, before it was read: so many at most.
    pub probe_calls: u64,
    /// How whole records are read.
    pub details: DetailWay,
    /// Records that are expected to need a read of their own; `None`: not known.
    pub expected_details: Option<u64>,
    /// Calls that are expected in all; `None`: not known.
    pub expected_calls: Option<u64>,
}

impl RunPlan {
    /// A list that was to be read whole because it has one page turned out to have more: between two pages records
    /// can move. True where the window is read instead, as is told from now on.
    pub(crate) fn outgrown(&mut self, from: Option<OffsetDateTime>, capability: Capability) -> bool {
        let has_one_page = self.ways.iter().any(|cost| cost.way == ListOrder::Whole && cost.calls == Some(1));
        if from.is_none() || !has_one_page || !capability.filter.is_usable() || !capability.sort.is_usable() {
            return false;
        }
        self.listing = ListOrder::Filtered;
        self.reason
            .push_str(" It turned out to have more than a page, so that it is read by its filter after all.");
        true
    }
}
