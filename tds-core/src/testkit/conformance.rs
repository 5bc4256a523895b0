//! The contract of a store, as cases that a store is tested with.
//!
//! A store implements [`Harness`] and calls [`crate::conformance!`], which creates one test for each case. A program
//! can also run the [`cases`] itself, as `examples/custom_store.rs` does. The name of a case is a sentence from the
//! documentation of the traits. Cases use only the traits. If a change may become visible later, a case looks again
//! until a deadline.

pub mod budget;
pub mod costs;
pub mod derived;
mod harness;
pub mod history;
pub mod inbox;
pub mod lists;
pub mod mirror;
pub mod operator;
pub mod outbound;
pub mod privacy;
pub mod queue;
pub mod races;
pub mod renewal;
pub mod run;
pub mod schedule;
pub mod settle;
pub mod shared;
mod suite;
pub mod sweep;
pub mod verify;

pub use self::{
    harness::{Harness, OutboundStores, Runs, Stores},
    suite::{Case, cases},
};
