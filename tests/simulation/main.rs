//! Simulations of the whole engine in virtual time, each determined by one seed: processes die, the store fails, and
//! the source throttles, gives wrong answers and changes while it is read.
//!
//! `TDS_SIM_SEEDS=100000` sets the number of seeds; `TDS_SIM_SEED=7` replays one seed with its trace.

mod book;
mod both;
mod bugs;
mod dice;
mod drift;
mod hour;
mod kinds;
mod plan;
mod process;
mod rest;
mod seeds;
mod simulate;
mod source;
mod store;
mod verification;
mod watch;
mod webhooks;
mod world;
