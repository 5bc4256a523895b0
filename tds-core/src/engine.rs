//! The engine: workers that claim and settle items, the lister that executes runs, and the scheduler that starts them.

mod lister;
mod registry;
mod scheduler;
mod worker;

pub use self::{
    lister::{Bulk, BulkSettings, RowPlan, deletion_limit, plan_row},
    registry::Registry,
    scheduler::{Postponed, Schedule, ScheduleSpec, Scheduler},
    worker::{Random, SourceGate, Worker, WorkerSettings},
};
