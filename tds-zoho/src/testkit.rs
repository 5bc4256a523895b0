//! A Zoho organization to test against: [`FakeZoho`], an HTTP server of its own with state.
//!
//! It answers as Zoho Books and Zoho Inventory do: pages of at most 200 rows, filters that work only
//! where they are documented, list rows that are poorer than the record, tokens that expire, limits,
//! and scripted faults. [`sample`] builds single records, [`demo`] a whole shop that keeps changing,
//! [`webhook`] signs and sends what Zoho would push. It shares no code with the client, so that a
//! misunderstanding there does not hide itself here.

mod answer;
pub mod demo;
mod detail;
mod faults;
mod handle;
mod list;
mod literal;
mod module;
mod organization;
mod projection;
pub mod sample;
mod server;
mod state;
mod tokens;
mod traffic;
pub mod webhook;

pub use self::{
    faults::{Fault, Faults},
    handle::{Credentials, FakeZoho},
    list::ListHabit,
    literal::{decimal, number, stamp},
    module::Module,
    organization::Organization,
    tokens::TokenRules,
    traffic::Limits,
};
