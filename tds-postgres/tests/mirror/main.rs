//! Tests of the mirror on a real database.

mod batches;
mod clocks;
mod compare;
mod deletion;
mod locks;
mod support;
mod values;
mod writes;
