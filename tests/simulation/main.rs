//! The whole engine on virtual time and one seed: processes that die, a store that fails, a source that
//! throttles, lies and changes while it is read.
//!
//! `TDS_SIM_SEEDS=100000` sets how many seeds are run, `TDS_SIM_SEED=7` replays one with its trace.

mod book;
mod bugs;
mod dice;
mod hour;
mod kinds;
mod plan;
mod process;
mod rest;
mod seeds;
mod simulate;
mod source;
mod store;
mod watch;
mod webhooks;
mod world;
