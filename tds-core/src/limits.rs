//! The limits on calls to a source, which all processes that call the source share.

pub mod budget;
pub mod credentials;
pub mod shared_state;
