//! Extractors whose errors are problems.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use tds_core::{engine::Registry, record::EntityType};

use crate::{
    config::parse_duration,
    http::problem::{Problem, ProblemKind},
    nearest::ending,
};

/// A JSON body. The answer is 400 if the body is not JSON, and 422 if the fields are wrong.
pub(crate) struct ApiJson<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let unreadable = |detail: String| Problem::new(ProblemKind::BadRequest, detail);
        let body =
            Bytes::from_request(request, state).await.map_err(|error| unreadable(error.body_text()))?;
        let value: serde_json::Value = serde_json::from_slice(&body)
            .map_err(|error| unreadable(format!("The body is not JSON: {error}")))?;
        serde_json::from_value(value)
            .map(Self)
            .map_err(|error| Problem::invalid(format!("The body is not accepted: {error}")))
    }
}

/// A JSON body that may be missing. An empty body and `null` are the default.
pub(crate) struct ApiOptionalJson<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for ApiOptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let unreadable = |detail: String| Problem::new(ProblemKind::BadRequest, detail);
        let body = Bytes::from_request(request, &()).await.map_err(|error| unreadable(error.body_text()))?;
        if body.trim_ascii().is_empty() {
            return Ok(Self(T::default()));
        }
        let value: serde_json::Value = serde_json::from_slice(&body)
            .map_err(|error| unreadable(format!("The body is not JSON: {error}")))?;
        serde_json::from_value::<Option<T>>(value)
            .map(|value| Self(value.unwrap_or_default()))
            .map_err(|error| Problem::invalid(format!("The body is not accepted: {error}")))
    }
}

/// Whether to say only what a request would do.
#[derive(Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DryRunBody {
    /// True: nothing is written, and the answer says what would change
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// Query parameters. The answer is 422 if a value is wrong.
pub(crate) struct ApiQuery<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Query::<T>::from_request_parts(parts, state)
            .await
            .map(|Query(query)| Self(query))
            .map_err(|error| Problem::invalid(error.body_text()))
    }
}

/// The `{id}` of the path. The answer is 422 if it is not a number.
pub(crate) struct ApiId(pub(crate) i64);

impl<S: Send + Sync> FromRequestParts<S> for ApiId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::<i64>::from_request_parts(parts, state)
            .await
            .map(|Path(id)| Self(id))
            .map_err(|_| Problem::invalid("The id in the address must be a whole number."))
    }
}

/// Returns the entity type of this name, if it is registered.
pub(crate) fn known_entity(registry: &Registry, text: &str) -> Result<EntityType, Problem> {
    let is_known = |entity: &EntityType| registry.entities().any(|known| known == entity);
    let entity = text.parse::<EntityType>().ok().filter(is_known);
    entity.ok_or_else(|| {
        let names: Vec<&str> = registry.entities().map(EntityType::as_str).collect();
        let ending = ending(text, names.iter().copied());
        let detail = format!("{text:?} is not one of: {}{ending}", names.join(", "));
        Problem::new(ProblemKind::UnknownEntityType, detail)
    })
}

/// Parses `limit`, which must be within `1..=200`.
pub(crate) fn limit(text: Option<&str>, default: usize) -> Result<usize, Problem> {
    let Some(text) = filled(text) else { return Ok(default) };
    text.parse()
        .ok()
        .filter(|limit| (1..=200).contains(limit))
        .ok_or_else(|| Problem::invalid(format!("limit must be a whole number from 1 to 200, not {text:?}.")))
}

/// Parses `older_than` as a duration.
pub(crate) fn older_than(text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let Some(text) = filled(text) else { return Ok(None) };
    parse_duration(text).map(Some).ok_or_else(|| {
        Problem::invalid(format!("older_than must be a duration such as 90s, 1h or 30d, not {text:?}."))
    })
}

/// Returns a query value that is present and not empty.
pub(crate) fn filled(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// Returns the value with this name out of a few values.
pub(crate) fn one_of<T: Copy>(
    name: &str,
    text: Option<&str>,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Problem> {
    let Some(text) = filled(text) else { return Ok(None) };
    all.iter().copied().find(|value| as_str(*value) == text).map(Some).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|value| as_str(*value)).collect();
        let ending = ending(text, names.iter().copied());
        Problem::invalid(format!("{name} must be one of {}, not {text:?}{ending}", names.join(", ")))
    })
}
