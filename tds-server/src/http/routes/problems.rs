//! The explanation to which the `type` of a problem leads.

use axum::extract::Path;

use crate::http::{
    dto,
    problem::{Problem, ProblemKind},
};

/// The explanation of a problem type
#[utoipa::path(get, path = "/problems/{kind}", tag = "health", operation_id = "get_problem_type",
    params(("kind" = String, Path, description = "The last part of a problem's `type`", pattern = "^[a-z-]+$")), responses(
    (status = 200, description = "what the type means and what to do", body = String, content_type = "text/plain"),
    (status = 404, response = dto::NotFound),
))]
pub(crate) async fn show(Path(kind): Path<String>) -> Result<String, Problem> {
    let uri = format!("/problems/{kind}");
    let found = ProblemKind::ALL.into_iter().find(|known| known.type_uri() == uri);
    let known = found
        .ok_or_else(|| Problem::new(ProblemKind::NotFound, "There is no problem type with this name."))?;
    Ok(format!("{} ({})\n\n{}\n", known.title(), known.status(), meaning(known)))
}

fn meaning(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::NotFound => "There is nothing at this address. /docs lists all addresses.",
        ProblemKind::MethodNotAllowed => "The address exists; the header Allow names its methods.",
        ProblemKind::Unauthorized => "Send Authorization: Bearer <token> with one of TDS_ADMIN_TOKEN.",
        ProblemKind::InvalidSignature => {
            "The webhook's signature or X-Webhook-Key is missing or wrong. Nothing was stored. Compare \
             ZOHO_WEBHOOK_SECRET with the secret of the webhook in Zoho."
        }
        ProblemKind::Forbidden => {
            "Without TDS_ADMIN_TOKEN, the API answers only pages and programs of the same machine."
        }
        ProblemKind::MisdirectedRequest => "The Host of the request is not among ALLOWED_HOSTS.",
        ProblemKind::PayloadTooLarge => "A body may have at most 8 MiB.",
        ProblemKind::RequestTimeout => "The body took longer than 15 seconds.",
        ProblemKind::UnsupportedMediaType => "Bodies of webhooks are accepted only without Content-Encoding.",
        ProblemKind::BadRequest => "The request cannot be read; usually the body is not JSON.",
        ProblemKind::InvalidValue => "A value of the request is not accepted; the detail says which.",
        ProblemKind::UnknownEntityType => {
            "No such entity type is registered; the detail lists those that are."
        }
        ProblemKind::UnknownId => "There is no record with this id; it may have been pruned.",
        ProblemKind::Conflict => {
            "The current state does not allow the request; the detail says why. Nothing was changed."
        }
        ProblemKind::Upstream => "Zoho refused the call or could not be reached; the detail quotes Zoho.",
        ProblemKind::WebhooksNotConfigured => {
            "No webhook secret is configured. Set ZOHO_WEBHOOK_SECRET and restart the server."
        }
        ProblemKind::Unavailable => {
            "The database cannot be reached, or the server is stopping. Retry-After says when to try again."
        }
        ProblemKind::Timeout => "The request had no result within 30 seconds. It is safe to try again.",
        ProblemKind::Internal => "TDS has a fault. The log has the details under the id of the request.",
    }
}
