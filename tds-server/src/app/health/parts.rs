//! One probe per component.

mod inventory;
mod queue;
mod scheduler;
mod storage;
mod webhooks;
mod workers;
mod zoho;

pub use self::{
    inventory::InventoryProbe,
    queue::QueueProbe,
    scheduler::SchedulerProbe,
    storage::{DatabaseProbe, MigrationsProbe},
    webhooks::WebhooksProbe,
    workers::WorkersProbe,
    zoho::ZohoProbe,
};
