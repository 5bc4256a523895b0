//! How a list is read page by page so that no row is lost while its records change: a pure state machine.
//!
//! Lists page by offset, so a record that moves between two calls can pull others past the reader. Which
//! order is safe depends on what the list can do ([`Capability`]):
//!
//! | filter by time of change | sorting by it | how changes are read | lost while records change |
//! |---|---|---|---|
//! | works | works | always page 1, oldest change first; the filter moves to the last change seen | nothing |
//! | | works | newest change first, up to the first row before the window | what a deletion pulls over a page's end |
//! | works | | the filtered list in its own order (by creation) | the same |
//! | | | the whole list; rows are compared by their hash | the same |
//!
//! Paging by offset through an ascending order of change is never done: each edit pulls all later rows
//! towards the reader, who then skips as many.

mod capability;
mod position;
mod strategy;
mod tie;
mod walk;

pub use self::{
    capability::{Ability, Capability, ListFacts},
    strategy::ListOrder,
    walk::{ListCall, ListWalk, NextPage, RowOrder},
};
