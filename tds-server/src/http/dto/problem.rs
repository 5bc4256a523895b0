//! Errors, and the error responses that many addresses share.

use serde::Serialize;
use utoipa::{ToResponse, ToSchema};

/// An error (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemDocument {
    /// The type of the problem: a stable address with an explanation
    #[schema(example = "/problems/unknown-entity-type")]
    pub(crate) r#type: String,
    /// The title of the type
    pub(crate) title: &'static str,
    /// The HTTP status
    #[schema(minimum = 400, maximum = 599)]
    pub(crate) status: u16,
    /// What is wrong with this request
    pub(crate) detail: String,
    /// The address of the request
    pub(crate) instance: String,
    /// The id of the request, as in the logs
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
    /// The token is missing or wrong
    Unauthorized,
    /// The token may only read
    ReadOnlyToken,
    /// The signature is missing or wrong; nothing was stored
    InvalidSignature,
    /// Nothing has this name or id
    NotFound,
    /// The current state does not allow the request; nothing was changed
    Conflict,
    /// A value is not accepted
    Invalid,
    /// The body is not JSON
    Unreadable,
    /// The body is larger than 8 MiB
    TooLarge,
    /// The body has a `Content-Encoding`
    Encoding,
    /// The request cannot be handled now; `Retry-After` says when to try again
    Unavailable,
    /// Zoho refused the call or could not be reached
    Upstream,
}
