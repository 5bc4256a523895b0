//! Conformance cases for stores, and helpers for tests.

mod clock;
pub mod conformance;
mod handler;
mod record;
mod source;

pub use self::{
    clock::ManualClock,
    handler::ScriptedHandler,
    record::{RecordBuilder, fields},
    source::ScriptedSource,
};
pub use crate::{
    clock::MockClock, handler::MockEntityHandler, inbox::MockInbox, mirror::MockMirror, queue::MockQueue,
    run::MockSyncRun, source::MockSource,
};
