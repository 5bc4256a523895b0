//! The engine: workers that claim and settle items, executors of runs, and the scheduler that starts runs.

mod assembled;
mod builder;
mod executor;
mod images;
mod lister;
mod lists;
mod patience;
mod pusher;
mod registry;
mod relay;
mod running;
mod scheduler;
mod stores;
mod verifier;
mod worker;

pub use self::{
    assembled::Engine,
    builder::EngineBuilder,
    executor::{RunExecutor, RunSettings, RunWorker},
    images::ImageDownloads,
    lister::{ListerSettings, RowPlan, plan_row},
    pusher::PushHandler,
    registry::Registry,
    relay::Relay,
    running::RunningEngine,
    scheduler::{Postponed, Schedule, ScheduleSpec, Scheduler, SchedulerSettings},
    stores::{OutboundStores, Stores, VerifyStores},
    verifier::VerifySettings,
    worker::{HandledItems, Random, SourceGate, WorkTally, WorkWatch, Worker, WorkerSettings},
};
