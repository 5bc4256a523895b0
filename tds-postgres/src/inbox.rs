//! The inbox: events, and the work that follows from them.

pub(crate) mod commit;
pub(crate) mod ingest;
pub(crate) mod operator;
