//! [`FakeZoho`]: the simulated organization of [`sim`](crate::sim) for tests, with faults that a test scripts.

mod controls;
mod counters;
mod fake_zoho;
mod faults;
mod generate;

pub use self::{
    fake_zoho::FakeZoho,
    faults::{Fault, Faults},
};
pub use crate::sim::{
    Credentials, Limits, ListHabit, Module, Organization, Records, SharedOrganization, TokenRules, decimal,
    demo, number, sample, stamp, webhook,
};
