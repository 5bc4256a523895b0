//! The webhooks and workflow rules that are registered in Zoho for this program, so that nobody has to create them by
//! hand: one webhook and one rule for each module and trigger.
//!
//! [`targets`] says what should be registered. [`plans`] compares that with what is registered, and is a pure
//! function. [`ZohoClient::registered`](crate::ZohoClient::registered) reads what is registered, and
//! [`ZohoClient::register`](crate::ZohoClient::register) takes one step of a plan. After a step that failed, or a process
//! that died between two steps, the next plan continues from what Zoho then shows.
//!
//! A webhook is never changed. Its name ends with a mark that follows from its URL, its secret and its headers, so another
//! URL or another secret is another webhook: the new one is created, the rule is switched to it, and the old one is
//! deleted. Zoho does not show secrets, so the mark is the only way to see which secret a webhook has.

mod facts;
mod pace;
mod plan;
mod read;
mod shown;
mod target;
mod trigger;
mod write;

pub use self::{
    facts::{InvalidModules, RuleModules},
    pace::Pace,
    plan::{
        Deviation, Found, Kind, Other, Plan, Rule, Sent, State, Step, StepKind, Wanted, Webhook, plans,
        removal,
    },
    read::{Registered, Unreadable},
    target::{Destination, Target, targets},
    trigger::Trigger,
    write::StepOutcome,
};
