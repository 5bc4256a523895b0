//! Every store runs through the same cases; stores that are broken on purpose fail the right ones.

mod broken;
mod differential;
mod memory;
mod postgres;
