//! Every store passes the same conformance cases. Stores that are broken on purpose fail the right ones.

mod broken;
mod differential;
mod memory;
mod postgres;
