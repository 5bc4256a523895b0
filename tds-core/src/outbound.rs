//! Outbound work: local changes of the target reach the source, once, and conflicts are decided.
//!
//! ```text
//! a program writes a row ── captured in the same transaction ──► outbox ── relay ──► queue (direction `outbound`)
//!   worker ── Outbox::load ──► merge(base, local, remote) ──► RemoteWriter ──► Outbox::settle ──► Mirror::apply
//! ```
//!
//! The outbox has one entry for each captured change. All pending entries of a record are one push, whose item in the
//! queue has the local id as its key. A push brings the source to the state that the rows have when it is handled.
//!
//! The base of a merge is the state that both sides last had in common: what the source sent of the record before the
//! first pending change. While a record has pending changes, [`crate::mirror::Mirror::apply`] keeps the columns and
//! child tables that these changes are about, and the outbox keeps the base.

mod answer;
mod conflict;
mod entry;
mod local;
mod merge;
mod mode;
mod pairs;
mod push;
mod sent;
mod store;
mod switch;
mod writer;

pub(crate) use self::{
    answer::differing,
    pairs::identity,
    sent::{is_respelled, recognize},
};
pub use self::{
    conflict::{
        Conflict, ConflictId, ConflictStatus, FieldConflict, PRESENCE, Resolution, Side, Take, column_of,
    },
    entry::{EntryStatus, OutboxEntry, OutboxFilter, OutboxId, WOULD_BE_REFUSED},
    local::LocalRecord,
    merge::{Merge, Stance, merge},
    mode::{ConflictPolicy, EntityMode, Mode, ModeChange, still_pending},
    push::{Earlier, Link, Operation, Push, Settled, Settlement, forget_decisions, overtaken},
    sent::{Sending, Sent, Values},
    store::{CREATE_SETTLES, Modes, Outbox, OutboxOperator},
    switch::{ModeSwitch, SwitchStep},
    writer::{Awaited, RemoteWriter, Removed, Writable, WriteError, Written},
};
