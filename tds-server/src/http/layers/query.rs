//! Refuses query parameters that an address does not have. A mistyped filter would otherwise be ignored, and the
//! request would apply to everything.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{MatchedPath, Query, Request, State},
    middleware::Next,
    response::Response,
};
use utoipa::openapi::{OpenApi, RefOr, path::ParameterIn};

use crate::{http::problem::Problem, nearest::ending};

/// The query parameters of each address, according to the OpenAPI document.
pub(crate) struct Queries(BTreeMap<String, Vec<String>>);

impl Queries {
    /// Collects the query parameters of the addresses in a document.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let parameters = |item: &utoipa::openapi::PathItem| {
            let operations = [&item.get, &item.put, &item.post, &item.delete, &item.patch];
            let parameters =
                operations.into_iter().flatten().filter_map(|operation| operation.parameters.clone());
            let query = parameters.flatten().filter_map(|parameter| match parameter {
                RefOr::T(one) if one.parameter_in == ParameterIn::Query => Some(one.name),
                _ => None,
            });
            query.collect()
        };
        Self(document.paths.paths.iter().map(|(path, item)| (path.clone(), parameters(item))).collect())
    }
}

/// Answers 422 if the query has a parameter that the address does not have.
pub(crate) async fn refuse_unknown_parameters(
    State(queries): State<Arc<Queries>>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let given = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
        .map_err(|error| Problem::invalid(error.body_text()))?;
    let known = queries.0.get(path.as_str()).map(Vec::as_slice).unwrap_or_default();
    match given.0.iter().find(|(name, _)| !known.contains(name)) {
        None => Ok(next.run(request).await),
        Some((name, _)) if known.is_empty() => {
            Err(Problem::invalid(format!("{name:?} is not accepted: this address has no query parameters.")))
        }
        Some((name, _)) => {
            let ending = ending(name, known.iter().map(String::as_str));
            Err(Problem::invalid(format!(
                "{name:?} is not one of the query parameters {}{ending}",
                known.join(", ")
            )))
        }
    }
}
