//! The store on a real PostgreSQL: what the conformance kit cannot see from outside.

#[path = "../support/mod.rs"]
mod support;

mod deadlock;
mod fold;
mod pitfalls;
mod scripts;
mod throughput;
mod upkeep;
