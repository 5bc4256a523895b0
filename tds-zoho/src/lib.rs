#![doc = include_str!("../README.md")]

mod answer;
mod auth;
mod client;
mod config;
mod credentials;
pub mod entities;
mod error;
mod grant;
mod health;
mod hex;
mod limits;
mod mask;
mod mend;
mod privacy;
mod reading;
pub mod rules;
#[cfg(feature = "sim")]
pub mod sample;
mod scopes;
mod setting;
#[cfg(feature = "sim")]
pub mod sim;
mod source;
#[cfg(feature = "testkit")]
pub mod testkit;
mod unknown_fields;
pub mod webhook;
mod webhook_history;
pub mod write;

pub use client::{CallWatch, EndedCall, TokenFigures, TokenRefresh, ZohoClient};
pub use config::{DataCenter, InvalidDataCenter, TokenKey, ZohoConfig};
pub use credentials::{CredentialsReport, Organization};
pub use grant::{Grant, exchange};
pub use health::{ZohoHealth, ZohoState};
pub use privacy::HiddenValues;
pub use scopes::{missing_scopes, scopes};
pub use setting::Setting;
pub use source::{ZohoImages, ZohoSource, sources};
pub use webhook_history::{FailedDelivery, WebhookHistory};
