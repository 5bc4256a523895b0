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
    let known = ProblemKind::ALL
        .into_iter()
        .find(|known| known.type_uri() == uri)
        .ok_or_else(|| Problem::new(ProblemKind::NotFound, "There is no problem type with this name."))?;
    Ok(format!("{} ({})\n\n{}\n", known.title(), known.status(), known.meaning()))
}
