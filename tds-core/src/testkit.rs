//! Conformance cases for stores, and helpers for tests.

mod clock;
pub mod conformance;
mod handler;
mod redaction;
mod source;

pub use self::{
    clock::ManualClock, handler::ScriptedHandler, redaction::ColumnRedaction, source::ScriptedSource,
};
