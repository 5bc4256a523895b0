//! What bounds calls to a source, shared by all processes that call it.

pub mod budget;
pub mod credentials;
pub mod shared_state;
