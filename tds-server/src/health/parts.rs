//! One probe per component.

mod scheduler;
mod storage;
mod workers;
mod zoho;

pub use self::{
    scheduler::SchedulerProbe,
    storage::{DatabaseProbe, MigrationsProbe},
    workers::WorkersProbe,
    zoho::ZohoProbe,
};
