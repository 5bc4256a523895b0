//! Tests of the outbox on a real PostgreSQL that the conformance suite cannot express from outside.

#[path = "../support/mod.rs"]
mod support;

mod ends;
mod erasure;
mod inbound;
mod pushes;
mod world;
