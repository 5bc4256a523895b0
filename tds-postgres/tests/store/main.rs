//! The store on a real PostgreSQL: what the conformance kit cannot see from outside.

#[path = "../support/mod.rs"]
mod support;

mod deadlock;
mod fold;
mod heal;
mod locks;
mod operators;
mod pitfalls;
mod races;
mod scripts;
mod throughput;
mod upkeep;
