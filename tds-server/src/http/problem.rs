//! Errors of the API: `application/problem+json` (RFC 9457) with a stable `type`.

use std::fmt;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tds_core::error::ErrorKind;

use crate::{app::refusal::Refusal, http::dto::ProblemDocument};

/// The kind of a problem. Each kind has a stable `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The address does not exist.
    NotFound,
    /// The address exists, but does not accept the method.
    MethodNotAllowed,
    /// The request has no valid bearer token.
    Unauthorized,
    /// A webhook has no valid signature or key.
    InvalidSignature,
    /// The request comes from another site, while the API is open on this machine.
    Forbidden,
    /// The `Host` is not one that this server accepts.
    MisdirectedRequest,
    /// The body is too large.
    PayloadTooLarge,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The encoding of the body is not accepted.
    UnsupportedMediaType,
    /// The request cannot be parsed.
    BadRequest,
    /// The request can be parsed, but a value in it is not accepted.
    InvalidValue,
    /// The entity type is not known here.
    UnknownEntityType,
    /// No record has this id.
    UnknownId,
    /// The current state does not allow the request.
    Conflict,
    /// Zoho refused the call or could not be reached.
    Upstream,
    /// Webhooks cannot be verified: no secret is configured.
    WebhooksNotConfigured,
    /// The request cannot be handled now and may be repeated.
    Unavailable,
    /// The request took too long.
    Timeout,
    /// An internal error of this program.
    Internal,
}

impl ProblemKind {
    /// Every kind.
    pub const ALL: [Self; 19] = [
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Unauthorized,
        Self::InvalidSignature,
        Self::Forbidden,
        Self::MisdirectedRequest,
        Self::PayloadTooLarge,
        Self::RequestTimeout,
        Self::UnsupportedMediaType,
        Self::BadRequest,
        Self::InvalidValue,
        Self::UnknownEntityType,
        Self::UnknownId,
        Self::Conflict,
        Self::Upstream,
        Self::WebhooksNotConfigured,
        Self::Unavailable,
        Self::Timeout,
        Self::Internal,
    ];

    /// Returns the last part of the `type`, the title, and the status.
    fn facts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::NotFound => ("not-found", "Unknown address", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => {
                ("method-not-allowed", "Method not allowed", StatusCode::METHOD_NOT_ALLOWED)
            }
            Self::Unauthorized => ("unauthorized", "Not authorized", StatusCode::UNAUTHORIZED),
            Self::InvalidSignature => {
                ("invalid-signature", "Webhook not authentic", StatusCode::UNAUTHORIZED)
            }
            Self::Forbidden => ("forbidden", "Not allowed from this origin", StatusCode::FORBIDDEN),
            Self::MisdirectedRequest => {
                ("misdirected-request", "Unknown host", StatusCode::MISDIRECTED_REQUEST)
            }
            Self::PayloadTooLarge => ("payload-too-large", "Body too large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::RequestTimeout => {
                ("request-timeout", "Body not received in time", StatusCode::REQUEST_TIMEOUT)
            }
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", "Encoding not accepted", StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::BadRequest => ("bad-request", "Request cannot be read", StatusCode::BAD_REQUEST),
            Self::InvalidValue => ("invalid-value", "Value not accepted", StatusCode::UNPROCESSABLE_ENTITY),
            Self::UnknownEntityType => {
                ("unknown-entity-type", "Unknown entity type", StatusCode::UNPROCESSABLE_ENTITY)
            }
            Self::UnknownId => ("unknown-id", "Unknown id", StatusCode::NOT_FOUND),
            Self::Conflict => ("conflict", "Not possible in the current state", StatusCode::CONFLICT),
            Self::Upstream => ("upstream", "Zoho did not accept the call", StatusCode::BAD_GATEWAY),
            Self::WebhooksNotConfigured => {
                ("webhooks-not-configured", "Webhooks cannot be verified", StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::Unavailable => ("unavailable", "Not available now", StatusCode::SERVICE_UNAVAILABLE),
            Self::Timeout => ("timeout", "Request took too long", StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal => ("internal", "Internal error", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// Returns the status of responses with this problem.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.facts().2
    }

    /// Returns the stable `type`, a relative reference.
    #[must_use]
    pub fn type_uri(self) -> String {
        format!("/problems/{}", self.facts().0)
    }

    /// Returns the title that every problem of the kind has.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.facts().1
    }

    /// Returns the kind for an error response that no handler made, such as the router's 405.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let same = |kind: &Self| kind.status() == status;
        let fallback = if status.is_server_error() { Self::Internal } else { Self::BadRequest };
        Self::ALL.into_iter().find(same).unwrap_or(fallback)
    }
}

/// An error on its way to the client. The outermost layer writes it, with the id of the request.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: ProblemKind,
    detail: String,
    retry_after: Option<u32>,
    status: Option<StatusCode>,
}

impl Problem {
    /// Creates a problem with a sentence for a person.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), retry_after: None, status: None }
    }

    /// Creates a problem for a value that is not accepted.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidValue, detail)
    }

    /// Sets the time after which to try again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Keeps the status of a response that no kind has exactly.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// Returns the body of the response.
    pub(crate) fn render(&self, request_id: &str, path: &str) -> Vec<u8> {
        let document = ProblemDocument {
            r#type: self.kind.type_uri(),
            title: self.kind.title(),
            status: self.status.unwrap_or(self.kind.status()).as_u16(),
            detail: self.detail.clone(),
            instance: path.to_owned(),
            request_id: request_id.to_owned(),
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind.title(), self.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status.unwrap_or(self.kind.status());
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let challenge = match self.kind {
            ProblemKind::Unauthorized => Some("Bearer realm=\"tds\""),
            ProblemKind::InvalidSignature => Some("X-Zoho-Webhook-Signature realm=\"webhooks\""),
            _ => None,
        };
        if let Some(challenge) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<tds_core::error::Error> for Problem {
    fn from(error: tds_core::error::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotFound => ProblemKind::UnknownId,
            ErrorKind::Invalid => ProblemKind::InvalidValue,
            ErrorKind::Conflict => ProblemKind::Conflict,
            ErrorKind::Unavailable => {
                tracing::warn!(error = %error.chain(), "not available");
                return Self::new(ProblemKind::Unavailable, "The database cannot be reached; try again.")
                    .retry_after(5);
            }
            ErrorKind::Locked => {
                tracing::warn!(error = %error.chain(), "locked");
                return Self::new(
                    ProblemKind::Unavailable,
                    "Another session of the database holds a lock; try again.",
                )
                .retry_after(5);
            }
            // The cause of an internal error is for the log, not for the client.
            _ => {
                tracing::error!(error = %error.chain(), "request failed");
                return Self::new(ProblemKind::Internal, "The log has the details under this request id.");
            }
        };
        Self::new(kind, error.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = match refusal {
            Refusal::Unknown(what, id) => {
                return Self::new(ProblemKind::UnknownId, format!("There is no {what} {id}."));
            }
            Refusal::Store(error) => return error.into(),
            Refusal::EveryItem(_) => {
                "State which items: ids, status, entity_type, search or older_than.".to_owned()
            }
            Refusal::NoEntity => "entity_type names no entity type.".to_owned(),
            Refusal::Run(error) => format!("{error}."),
            Refusal::SinceOfFullRun => {
                "since requires the mode incremental: a full sync reads everything.".to_owned()
            }
        };
        Self::invalid(detail)
    }
}
