//! A simulated Zoho organization: [`SimulatedZoho`], an HTTP server with state.
//!
//! The server answers as Zoho Books and Zoho Inventory do: pages have at most 200 rows, filters work only on lists for
//! which they are documented, list rows show less than the record, tokens expire, and limits apply. [`sample`] builds
//! single records, [`demo`] builds a whole shop that keeps changing, and [`webhook`] signs and sends the webhooks that
//! Zoho would push. The simulation shares no parsing or classifying code with the client, so that a misunderstanding in
//! the client cannot stay unnoticed.
//!
//! [`respond`](fn@respond) is the simulation without a server: a function from the state and a request to an answer.

pub(crate) mod answer;
mod automation;
mod delivery;
pub mod demo;
mod detail;
mod image;
mod list;
mod module;
pub(crate) mod organization;
mod projection;
mod records;
pub(crate) mod respond;
mod rules;
mod server;
mod tokens;
mod trade;
mod traffic;
pub mod webhook;
mod write;

pub use self::{
    answer::File,
    automation::AutomationLimits,
    image::ItemImage,
    list::ListHabit,
    module::Module,
    organization::{Credentials, Organization, SharedOrganization},
    records::Records,
    respond::{Request, Response, respond},
    rules::Registered,
    server::SimulatedZoho,
    tokens::TokenRules,
    traffic::Limits,
};
pub use crate::sample;
pub(crate) use crate::sample::literal;
pub use crate::sample::literal::{decimal, number, stamp};
