//! Tests of the checks of money on a real database.

mod moments;
mod planted;
mod support;
mod volume;
