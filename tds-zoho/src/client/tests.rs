//! Tests of the client against a simulated Zoho (wiremock) on this machine, in real time.

mod answers;
mod inventory;
mod limits;
mod outage;
mod support;
mod tokens;
