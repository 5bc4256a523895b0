//! The simulated organization behaves as the real one does, as far as the real behaviour is known.

mod demo;
mod documented_keys;
mod faults;
mod limits;
mod lists;
#[path = "../support/local.rs"]
mod local;
mod recorded_keys;
mod records;
mod registered;
mod support;
mod token_outage;
mod tokens;
mod webhooks;
mod writer;
mod writes;
mod writes_by_contract;
mod writes_hidden;
mod writes_in_doubt;
mod writes_randomly_lost;
mod writes_refused;
mod writes_sent;
