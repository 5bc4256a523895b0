//! The layers that every request passes, whichever route it takes.

mod body;
mod closing;
mod context;
pub(crate) mod hosts;
mod limits;
mod query;

pub(crate) use self::{
    body::buffer_body,
    closing::close_when_draining,
    context::request_context,
    limits::{catch_panic, time_limit},
    query::{Queries, refuse_unknown_parameters},
};
