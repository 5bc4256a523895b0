//! The budget of calls: what it allows, and what it costs, on virtual time and over real processes.

mod costs;
mod frugal;
mod processes;
mod property;
#[expect(dead_code, reason = "these tests use a part of it")]
#[path = "../e2e/shop.rs"]
mod shop;
mod week;
mod world;
