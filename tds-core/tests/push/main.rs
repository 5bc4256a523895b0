//! Tests of the handler of pushes over the store in memory: what becomes of local changes, whatever happens on the way.

mod conflicts;
mod creates;
mod desk;
mod doubt;
mod hidden;
mod merging;
mod modes;
mod remote;
mod removals;
mod unanswered;
