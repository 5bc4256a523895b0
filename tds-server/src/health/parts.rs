//! One probe per component.

mod queue;
mod scheduler;
mod storage;
mod webhooks;
mod workers;
mod zoho;

pub use self::{
    queue::QueueProbe,
    scheduler::SchedulerProbe,
    storage::{DatabaseProbe, MigrationsProbe},
    webhooks::WebhooksProbe,
    workers::WorkersProbe,
    zoho::ZohoProbe,
};
