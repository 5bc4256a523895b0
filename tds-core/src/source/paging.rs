//! Reading a list page by page so that no row is lost while its records change: a pure state machine.
//!
//! Lists page by offset, so a record that moves between two calls can pull other records past the reader. Which order
//! is safe depends on what the list can do ([`Capability`]):
//!
//! | filter by time of change | sorting by time of change | how changes are read | rows lost while records change |
//! |---|---|---|---|
//! | works | works | always page 1, oldest change first; the filter moves to the last change seen | none |
//! | | works | newest change first, up to the first row before the window | rows that a deletion pulls across pages |
//! | works | | the filtered list in its own order (by creation) | the same rows |
//! | | | the whole list; rows are compared by their hash | the same rows |
//!
//! An ascending order of change is never paged by offset: each edit pulls all later rows towards the reader, which
//! then skips as many rows.

mod capability;
mod order;
mod position;
mod tie;
mod walk;

pub use self::{
    capability::{Ability, Capability, ListFacts},
    order::{ListOrder, RowOrder},
    walk::{ListCall, ListWalk, NextPage},
};
