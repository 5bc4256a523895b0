//! A simulated Zoho organization: [`SimulatedZoho`], an HTTP server that has state.
//!
//! The server answers as Zoho Books and Zoho Inventory do: pages of at most 200 rows, filters that work only where they
//! are documented, list rows that are poorer than the record, tokens that expire, and limits. [`sample`] builds single
//! records, [`demo`] builds a whole shop that keeps changing, and [`webhook`] signs and sends what Zoho would push.
//! The simulation shares no code with the client, so that a misunderstanding in the client cannot hide here.
//!
//! [`respond`] is the simulation without a server: a function from the state and a request to an answer.

pub(crate) mod answer;
pub mod demo;
mod detail;
mod generate;
mod list;
pub(crate) mod literal;
mod module;
pub(crate) mod organization;
mod projection;
mod records;
pub(crate) mod respond;
pub mod sample;
mod server;
mod tokens;
pub(crate) mod traffic;
pub mod webhook;

pub use self::{
    list::ListHabit,
    literal::{decimal, number, stamp},
    module::Module,
    organization::{Credentials, Organization, SharedOrganization},
    records::Records,
    respond::{Request, Response, respond},
    server::SimulatedZoho,
    tokens::TokenRules,
    traffic::Limits,
};
