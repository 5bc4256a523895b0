//! End-to-end tests from outside: a simulated Zoho, real HTTP, the server, and a real PostgreSQL.

mod connections;
mod converge;
mod crash;
mod deletions;
mod derived;
mod doors;
mod forms;
mod further;
mod golden;
mod incidents;
mod inventory;
mod locks;
mod observations;
mod outage;
mod paths;
mod poison;
mod process;
mod races;
mod records;
mod refusals;
mod run_control;
mod samples;
mod selection;
mod shop;
mod subject;
mod whole_shop;
