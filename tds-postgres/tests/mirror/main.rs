//! The mirror on a real database.

mod batches;
mod clocks;
mod deletion;
mod support;
mod values;
mod writes;
