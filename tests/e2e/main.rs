//! The whole way, from outside: a simulated Zoho, real HTTP, the server, real PostgreSQL.

mod crash;
mod deletions;
mod incidents;
mod paths;
mod poison;
mod records;
mod run_control;
mod shop;
mod way;
