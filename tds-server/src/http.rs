//! The HTTP API: its addresses, the layers that every request passes, and its OpenAPI document.

pub(crate) mod auth;
pub(crate) mod dto;
pub(crate) mod extract;
pub(crate) mod layers;
pub(crate) mod listen;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod problem;
pub(crate) mod router;
pub(crate) mod routes;
pub(crate) mod state;
