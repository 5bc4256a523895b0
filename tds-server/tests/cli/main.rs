//! Tests the program as a person or a script runs it.

mod beside;
mod closed;
mod documents;
mod ending;
mod granted;
mod logs;
mod outbound;
mod program;
mod registered;
mod secrets;
mod service;
mod serving;
mod stored;
mod syncing;
mod terminal;
mod usage;
