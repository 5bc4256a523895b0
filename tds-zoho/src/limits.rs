//! The limits of calls: the budget of the organization, the pace of a process that shares no budget, the tries of one
//! request, and random delays.

pub(crate) mod budget;
pub(crate) mod jitter;
mod pacer;
pub(crate) mod tries;
