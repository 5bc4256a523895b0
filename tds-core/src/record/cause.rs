//! What made the engine judge a state of a record.

use crate::{
    closed_set::closed_set,
    ids::{InboxId, ItemId},
};

closed_set! {
    /// The way in which a state of a record, or a request about the record, reached the target.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Origin {
        /// A pushed body.
        Webhook = "webhook",
        /// A row of a list.
        List = "list",
        /// A read of the record by its id.
        Detail = "detail",
        /// A local change that was written to the source.
        Push = "push",
        /// A verification.
        Verify = "verify",
        /// A request of an operator.
        Operator = "operator",
    }
}

/// The item because of which a read was made. The history of the record shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The queue item.
    pub item: ItemId,
    /// The inbox event whose work the item carried.
    pub event: Option<InboxId>,
    /// How the state reached the target.
    pub origin: Origin,
    /// Whether the item was in a lane of runs, so that the run of this time listed the record.
    pub by_run: bool,
}
