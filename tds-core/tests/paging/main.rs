//! Tests that read lists whose records change in the meantime.

mod contradictions;
mod list;
mod moving;
