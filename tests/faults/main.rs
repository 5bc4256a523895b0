//! The monkey test: it disturbs two processes of the real program, its own PostgreSQL server and a simulated Zoho at
//! random, from outside. After the test has stopped the disturbances, all work must have ended, all counts must add up,
//! and the mirror must equal the source.
//!
//! `docs/correctness.md` describes what the monkey does, what it checks, and how to run it for an hour.

mod audit;
mod check;
mod cluster;
mod crowd;
mod database;
mod database_away;
mod dice;
mod journal;
mod letters;
mod mirror;
mod monkey;
mod operators;
mod outages;
mod planted;
mod planted_at_work;
mod process;
mod processes;
mod readers;
mod rest;
mod senders;
mod source;
mod weather;
mod world;
