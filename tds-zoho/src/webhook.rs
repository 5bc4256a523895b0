//! What Zoho pushes: is it authentic, and what follows from it.
//!
//! A delivery takes one way: [`verify`] makes it [`Authentic`], and [`parse`] reads an authentic delivery once and says
//! everything that the inbox has to know, an [`Event`].
//!
//! Zoho signs neither a time nor a delivery id, so an old delivery verifies for ever: that a replay does no
//! harm is the guard's business, not the signature's.

mod address;
mod body;
mod diagnosis;
mod envelope;
mod form;
mod parse;
mod signature;

pub use self::{
    diagnosis::{Mismatch, diagnose},
    parse::{Event, Received, parse, parse_id},
    signature::{Authentic, Encoding, SignatureError, Verified, sign, verify},
};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "X-Zoho-Webhook-Signature";

/// The event type that the address of a webhook states as `?event=`: `created`, `updated` or `deleted`.
///
/// Anything else, and no statement, is `updated`. It is a hint and decides nothing but whether a body may be
/// taken as it is: query pairs can be shifted into each other without breaking the signature.
#[must_use]
pub fn event_type(query_value: Option<&str>) -> &'static str {
    match query_value {
        Some("created") => "created",
        Some("deleted") => "deleted",
        _ => "updated",
    }
}

/// The decoded pairs of an address's query, in their order: what [`verify`] wants.
#[must_use]
pub fn query_pairs(raw_query: Option<&str>) -> Vec<(String, String)> {
    form::pairs(raw_query.unwrap_or_default().as_bytes())
}
