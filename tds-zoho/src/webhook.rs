//! What Zoho pushes: whether a delivery is authentic, and what follows from it.
//!
//! A delivery takes two steps: [`verify`] turns the delivery into an [`Authentic`], and [`parse`](fn@parse) reads an
//! authentic delivery once and returns an [`Event`], which has everything that the inbox has to know.
//!
//! Zoho signs neither a time nor a delivery id, so an old delivery verifies for ever. The guard, and not the
//! signature, ensures that a replay does no harm.

mod address;
mod body;
mod diagnosis;
mod envelope;
mod form;
mod hidden;
mod parse;
mod signature;

pub use self::{
    diagnosis::{Mismatch, diagnose},
    hidden::{kept_body, kept_of_unparsed},
    parse::{Event, Received, parse, parse_id},
    signature::{Authentic, Encoding, SignatureError, Verified, sign, verify},
};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "X-Zoho-Webhook-Signature";

/// The event types that the address of a webhook may state as `?event=`.
pub const EVENT_TYPES: [&str; 3] = ["created", "updated", "deleted"];

/// Returns the event type that the address of a webhook states as `?event=`, one of [`EVENT_TYPES`].
///
/// Any other value, or no value, means `updated`. The event type is only a hint. It decides only whether a body may be
/// used as it is, because query pairs can be shifted into each other without breaking the signature.
#[must_use]
pub fn event_type(query_value: Option<&str>) -> &'static str {
    EVENT_TYPES.into_iter().find(|known| Some(*known) == query_value).unwrap_or("updated")
}

/// Returns the decoded pairs of an address's query, in their order, as [`verify`] expects them.
#[must_use]
pub fn query_pairs(raw_query: Option<&str>) -> Vec<(String, String)> {
    form::pairs(raw_query.unwrap_or_default().as_bytes())
}
