//! The engine: workers that claim and settle items, executors of runs, and the scheduler that starts runs.

mod builder;
mod executor;
mod images;
mod lister;
mod lists;
mod patience;
mod registry;
mod scheduler;
mod verifier;
mod worker;

pub use self::{
    builder::{Engine, EngineBuilder, RunningEngine, Stores, VerifyStores},
    executor::{RunExecutor, RunSettings, RunWorker},
    images::ImageDownloads,
    lister::{ListerSettings, RowPlan, plan_row},
    registry::Registry,
    scheduler::{Postponed, Schedule, ScheduleSpec, Scheduler, SchedulerSettings},
    verifier::VerifySettings,
    worker::{Random, SourceGate, Worker, WorkerSettings},
};
