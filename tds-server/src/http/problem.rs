//! Errors of the API: `application/problem+json` (RFC 9457) with a stable `type`.

use axum::{
    Json,
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tds_core::{error::ErrorKind, hint::Hint};

use crate::{
    app::refusal::{Refusal, blanked, names, not_writable, unknown_field},
    hint::{READ_ONLY, command},
    http::dto::ProblemDocument,
};

/// Defines the kinds of problems. Each kind is written once: with its status, the last part of its `type`, its title,
/// and the explanation to which its `type` leads.
macro_rules! problem_kinds {
    ($($(#[$about:meta])* $kind:ident = $status:ident $name:literal $title:literal $meaning:literal;)*) => {
        /// The kind of a problem. Each kind has a stable `type`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProblemKind {
            $($(#[$about])* $kind,)*
        }

        impl ProblemKind {
            /// Every kind.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$kind),*];

            /// Returns the status, the last part of the `type`, the title and the explanation.
            fn facts(self) -> (StatusCode, &'static str, &'static str, &'static str) {
                match self {
                    $(Self::$kind => (StatusCode::$status, $name, $title, $meaning),)*
                }
            }
        }
    };
}

problem_kinds! {
    /// The address does not exist.
    NotFound = NOT_FOUND "not-found" "Unknown address"
        "There is nothing at this address. /docs lists all addresses.";

    /// The address exists, but does not accept the method.
    MethodNotAllowed = METHOD_NOT_ALLOWED "method-not-allowed" "Method not allowed"
        "The address exists; the header Allow names its methods.";

    /// The request has no valid bearer token.
    Unauthorized = UNAUTHORIZED "unauthorized" "Not authorized"
        "Send Authorization: Bearer <token> with one of TDS_ADMIN_TOKEN, or, to read, of TDS_VIEWER_TOKEN.";

    /// The token may only read.
    ReadOnlyToken = FORBIDDEN "read-only-token" "The token may only read"
        "The token is one of TDS_VIEWER_TOKEN. Changes need one of TDS_ADMIN_TOKEN.";

    /// A webhook has no valid signature or key.
    InvalidSignature = UNAUTHORIZED "invalid-signature" "Webhook not authentic"
        "The webhook's signature or X-Webhook-Key is missing or wrong. Nothing was stored. Compare ZOHO_WEBHOOK_SECRET \
         with the secret of the webhook in Zoho.";

    /// The request comes from another site, while the API is open on this machine.
    Forbidden = FORBIDDEN "forbidden" "Not allowed from this origin"
        "Without TDS_ADMIN_TOKEN, the API answers only pages and programs of the same machine.";

    /// The `Host` is not one that this server accepts.
    MisdirectedRequest = MISDIRECTED_REQUEST "misdirected-request" "Unknown host"
        "The Host of the request is not among ALLOWED_HOSTS.";

    /// The body is too large.
    PayloadTooLarge = PAYLOAD_TOO_LARGE "payload-too-large" "Body too large"
        "A body may have at most 8 MiB.";

    /// The body did not arrive in time.
    RequestTimeout = REQUEST_TIMEOUT "request-timeout" "Body not received in time"
        "The body took longer than 15 seconds.";

    /// The encoding of the body is not accepted.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "Encoding not accepted"
        "Bodies of webhooks are accepted only without Content-Encoding.";

    /// The request cannot be parsed.
    BadRequest = BAD_REQUEST "bad-request" "Request cannot be read"
        "The request cannot be read; usually the body is not JSON.";

    /// The request can be parsed, but a value in it is not accepted.
    InvalidValue = UNPROCESSABLE_ENTITY "invalid-value" "Value not accepted"
        "A value of the request is not accepted; the detail says which.";

    /// The entity type is not known here.
    UnknownEntityType = UNPROCESSABLE_ENTITY "unknown-entity-type" "Unknown entity type"
        "No such entity type is registered; the detail lists those that are.";

    /// No record has this id.
    UnknownId = NOT_FOUND "unknown-id" "Unknown id"
        "There is no record with this id; it may have been pruned.";

    /// The current state does not allow the request.
    Conflict = CONFLICT "conflict" "Not possible in the current state"
        "The current state does not allow the request; the detail says why. Nothing was changed.";

    /// Zoho refused the call or could not be reached.
    Upstream = BAD_GATEWAY "upstream" "Zoho did not accept the call"
        "Zoho refused the call or could not be reached; the detail quotes Zoho.";

    /// Webhooks cannot be verified: no secret is configured.
    WebhooksNotConfigured = SERVICE_UNAVAILABLE "webhooks-not-configured" "Webhooks cannot be verified"
        "No webhook secret is configured. Set ZOHO_WEBHOOK_SECRET and restart the server.";

    /// The request cannot be handled now and may be repeated.
    Unavailable = SERVICE_UNAVAILABLE "unavailable" "Not available now"
        "The database cannot be reached, or the server is stopping. Retry-After says when to try again.";

    /// The request took too long.
    Timeout = SERVICE_UNAVAILABLE "timeout" "Request took too long"
        "The request had no result within 30 seconds. It is safe to try again.";

    /// An internal error of this program.
    Internal = INTERNAL_SERVER_ERROR "internal" "Internal error"
        "TDS has a fault. The log has the details under the id of the request.";
}

impl ProblemKind {
    /// Returns the status of responses with this problem.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.facts().0
    }

    /// Returns the stable `type`, a relative reference.
    #[must_use]
    pub fn type_uri(self) -> String {
        format!("/problems/{}", self.facts().1)
    }

    /// Returns the title that every problem of the kind has.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.facts().2
    }

    /// Returns the explanation to which the `type` leads: what the kind means and what to do.
    pub(crate) fn meaning(self) -> &'static str {
        self.facts().3
    }

    /// Returns the kind for an error response that no handler made, such as the router's 405.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let same = |kind: &Self| kind.status() == status;
        let fallback = if status.is_server_error() { Self::Internal } else { Self::BadRequest };
        Self::ALL.into_iter().find(same).unwrap_or(fallback)
    }
}

/// The answer of a handler: a document or an error.
pub(crate) type Answer<T> = Result<Json<T>, Problem>;

/// An error on its way to the client. The outermost layer writes it, with the id of the request.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: ProblemKind,
    detail: String,
    retry_after: Option<u32>,
    status: Option<StatusCode>,
}

impl Problem {
    /// Creates a problem with a human-readable sentence.
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), retry_after: None, status: None }
    }

    /// Creates a problem for a value that is not accepted.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidValue, detail)
    }

    /// Creates a problem for a request that cannot be handled now and may be repeated in five seconds.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Unavailable, detail).retry_after(5)
    }

    /// Sets the time after which to try again, in seconds.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
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
        match error.kind() {
            ErrorKind::NotFound => Self::new(ProblemKind::UnknownId, error.to_string()),
            ErrorKind::Invalid => Self::invalid(error.to_string()),
            ErrorKind::Conflict => Self::new(ProblemKind::Conflict, error.to_string()),
            ErrorKind::Unavailable => {
                tracing::warn!(error = %error.explain(command), "not available");
                match error.hint() {
                    Some(Hint::AcceptWrites) => {
                        Self::unavailable(format!("The database is read-only; {READ_ONLY}."))
                    }
                    _ => Self::unavailable("The database cannot be reached; try again."),
                }
            }
            ErrorKind::Locked => {
                tracing::warn!(error = %error.explain(command), "locked");
                Self::unavailable("Another session of the database holds a lock; try again.")
            }
            // The cause of an internal error is for the log, not for the client.
            _ => {
                tracing::error!(error = %error.explain(command), "request failed");
                Self::new(ProblemKind::Internal, "The log has the details under this request id.")
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(what, id) => {
                Self::new(ProblemKind::UnknownId, format!("There is no {what} {id}."))
            }
            Refusal::NoRecord(key) => Self::new(
                ProblemKind::UnknownId,
                format!("Nothing is known of a record {} of {}.", key.id, key.entity),
            ),
            Refusal::Blanked(id, at) => Self::new(ProblemKind::Conflict, format!("{}.", blanked(id, at))),
            Refusal::Store(error) => error.into(),
            Refusal::EveryItem(_) => {
                Self::invalid("State which items: ids, status, entity_type, search or older_than.")
            }
            Refusal::NoEntity => Self::invalid("entity_type names no entity type."),
            Refusal::Run(error) => Self::invalid(format!("{error}.")),
            Refusal::NotSynced(entity) => {
                Self::invalid(format!("{entity} are not synced: TDS_ENTITIES does not name them."))
            }
            Refusal::Selection(reason) => Self::invalid(format!("{reason}.")),
            Refusal::IdsOfSeveral => Self::invalid("ids require exactly one entity type."),
            Refusal::NoDates { refused, possible } => Self::invalid(format!(
                "Zoho documents no filter by date for {}. Use from and to for {}, or use ids, since or the mode full.",
                names(&refused),
                names(&possible)
            )),
            Refusal::NotWritable { entity, mode } => {
                Self::invalid(format!("{}.", not_writable(&entity, mode)))
            }
            Refusal::UnknownField { entity, field, known } => {
                Self::invalid(unknown_field(&entity, &field, &known))
            }
            Refusal::NoModeChange => Self::invalid("State mode, conflict_policy or field_policies."),
            Refusal::SinceOfFullRun => {
                Self::invalid("since requires the mode incremental: a full sync reads everything.")
            }
        }
    }
}
