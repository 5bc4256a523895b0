//! A monkey: two copies of the real program, a PostgreSQL of its own and a simulated Zoho, all of them disturbed at
//! random, from outside. Once it has stopped, everything must have ended, add up and equal the source.
//!
//! `docs/correctness.md` tells what it does, what it checks and how to run it for an hour.

mod audit;
mod check;
mod cluster;
mod copy;
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
mod processes;
mod readers;
mod rest;
mod senders;
mod source;
mod weather;
mod world;
