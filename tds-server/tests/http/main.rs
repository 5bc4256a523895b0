//! Tests the HTTP API over the store in memory.

mod auth;
mod bulk_sync;
mod common;
mod dashboard;
mod document;
mod doors;
mod faults;
mod health;
mod inbox;
mod metrics;
mod outbound;
mod plan;
mod queue;
mod records;
mod runs;
mod transport;
mod verify;
mod webhooks;
