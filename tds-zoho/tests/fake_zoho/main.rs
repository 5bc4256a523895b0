//! The simulated organization behaves as the real one does, as far as the real behaviour is known.

mod demo;
mod documented_keys;
mod faults;
mod limits;
mod lists;
mod recorded_keys;
mod records;
mod support;
mod tokens;
mod webhooks;
