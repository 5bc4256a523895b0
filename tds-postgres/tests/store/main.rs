//! Tests of the store on a real PostgreSQL that the conformance suite cannot express from outside.

#[path = "../support/mod.rs"]
mod support;

mod deadlock;
mod erasure;
mod fold;
mod heal;
mod images;
mod locks;
mod measures;
mod operators;
mod pitfalls;
mod races;
mod redaction;
mod scripts;
mod signals;
mod throughput;
mod upkeep;
mod verify;
