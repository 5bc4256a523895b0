//! Tests of the budget of calls: what the budget allows and what syncing costs, on virtual time and with real
//! processes.

mod costs;
mod frugal;
mod processes;
mod property;
#[expect(dead_code, reason = "these tests use a part of it")]
#[path = "../e2e/shop.rs"]
mod shop;
mod week;
mod world;
