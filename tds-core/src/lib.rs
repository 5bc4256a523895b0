#![doc = include_str!("../README.md")]

pub mod clock;
mod closed_set;
pub mod engine;
pub mod error;
pub mod guard;
pub mod handler;
pub mod hint;
pub mod history;
mod ids;
pub mod images;
pub mod inbox;
pub mod limits;
pub mod lock;
pub mod measures;
#[cfg(feature = "memory")]
pub mod memory;
pub mod mirror;
pub mod outbound;
pub mod prelude;
pub mod privacy;
pub mod queue;
pub mod record;
pub mod retry;
pub mod runs;
pub mod shutdown;
pub mod source;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod verify;
