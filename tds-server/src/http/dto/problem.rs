//! Errors, and the error responses that many addresses share.

use serde::Serialize;
use utoipa::{ToResponse, ToSchema};

/// An error (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemDocument {
    /// Stable; leads to an explanation
    #[schema(example = "/problems/unknown-entity-type")]
    pub(crate) r#type: String,
    /// The type in words
    pub(crate) title: &'static str,
    /// The HTTP status
    #[schema(minimum = 400, maximum = 599)]
    pub(crate) status: u16,
    /// This case in words
    pub(crate) detail: String,
    /// The address that was asked
    pub(crate) instance: String,
    /// The request's id, as in the logs
    pub(crate) request_id: String,
}

macro_rules! problem_responses {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        $($(#[$meta])*
        #[derive(ToResponse)]
        #[response(content_type = "application/problem+json")]
        #[expect(dead_code, reason = "a name for the document; the layer of the request context writes every problem")]
        pub(crate) struct $name(ProblemDocument);)*
    };
}

problem_responses! {
    /// No token, or a wrong one
    Unauthorized,
    /// No signature, or a wrong one; nothing was stored
    InvalidSignature,
    /// There is nothing of that name or id
    NotFound,
    /// The state does not allow it now; nothing was changed
    Conflict,
    /// A value is not accepted
    Invalid,
    /// The body is not JSON
    Unreadable,
    /// The body is larger than 8 MiB
    TooLarge,
    /// The body is packed
    Encoding,
    /// Not now; `Retry-After` says when
    Unavailable,
    /// Zoho refused or could not be reached
    Upstream,
}
