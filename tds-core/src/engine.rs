//! The engine: workers that claim and settle items, executors of runs, and the scheduler that starts runs.

mod builder;
mod executor;
mod lister;
mod lists;
mod patience;
mod registry;
mod scheduler;
mod worker;

pub use self::{
    builder::{Engine, EngineBuilder, RunningEngine, Stores},
    executor::{RunExecutor, RunSettings, RunWorker},
    lister::{ListerSettings, RowPlan, plan_row},
    registry::Registry,
    scheduler::{Postponed, Schedule, ScheduleSpec, Scheduler, SchedulerSettings},
    worker::{Random, SourceGate, Worker, WorkerSettings},
};
pub(crate) use self::{
    lister::{deletion_limit, is_far_shorter, last_of_each},
    patience::Patience,
};
