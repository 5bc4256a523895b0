//! Tests of verifications over the store in memory.
#![cfg(feature = "testkit")]

mod crash;
mod every_kind;
mod looks;
mod many;
mod sources;
mod support;
