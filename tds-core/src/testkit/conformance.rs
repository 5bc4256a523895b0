//! What every store must do, as cases that a store runs through.
//!
//! A store implements [`Harness`] and calls [`crate::conformance!`], which makes one test of each case. A
//! case's name is a sentence of the documentation of the traits. Cases use the traits only; where something
//! may become visible a moment later, they look again until a deadline.

pub mod budget;
pub mod costs;
mod harness;
pub mod inbox;
pub mod lists;
pub mod mirror;
pub mod operator;
pub mod queue;
pub mod races;
pub mod renewal;
pub mod run;
pub mod schedule;
pub mod settle;
pub mod shared;
mod suite;
pub mod sweep;

pub use self::{
    harness::{Harness, Runs, Stores},
    suite::{Case, cases},
};
