//! Bearer tokens of the operator API.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use secrecy::ExposeSecret;
use subtle::{Choice, ConstantTimeEq};

use crate::{
    config::{Access, ApiToken, AuthConfig},
    http::{
        layers::hosts,
        problem::{Problem, ProblemKind},
        state::AppState,
    },
};

/// The name of the operator who made a request. Every request of the operator API has it.
#[derive(Clone, Debug)]
pub(crate) struct Operator(pub(crate) String);

/// Forwards a request if it carries a valid token that permits it, and refuses it otherwise. Logs every call that
/// changes something as one line.
pub(crate) async fn require_token(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (operator, access) = identify(&state.settings.auth, request.headers())?;
    let (method, path) = (request.method(), request.uri().path());
    if !method.is_safe() {
        if access == Access::Viewer {
            return Err(Problem::new(
                ProblemKind::ReadOnlyToken,
                format!("{operator} may not {method} {path}."),
            ));
        }
        tracing::info!(target: "tds_server::audit", %operator, %method, path, "operator action");
    }
    request.extensions_mut().insert(Operator(operator));
    Ok(next.run(request).await)
}

/// Returns the name of the operator who made a request, and what this operator may do.
fn identify(auth: &AuthConfig, headers: &HeaderMap) -> Result<(String, Access), Problem> {
    if auth.tokens.is_empty() {
        return open(headers).map(|name| (name, Access::Admin));
    }
    let given = bearer(headers).ok_or_else(|| refused("Send the header Authorization: Bearer <token>."))?;
    let mut found: Option<&ApiToken> = None;
    // Every token is compared, whichever one matches, so that the response time reveals nothing.
    for token in &auth.tokens {
        let same: Choice = token.token.expose_secret().as_bytes().ct_eq(given.as_bytes());
        if bool::from(same) {
            found = Some(token);
        }
    }
    found.map(|token| (token.name.clone(), token.access)).ok_or_else(|| refused("The token is not valid."))
}

fn refused(detail: &str) -> Problem {
    Problem::new(ProblemKind::Unauthorized, detail)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Checks a request while no tokens are configured, which is possible only on a loopback address in development. The
/// user of this machine may do everything. Pages of other sites that the user has open in a browser may do nothing.
fn open(headers: &HeaderMap) -> Result<String, Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("?"));
    let own_host = host.is_none_or(hosts::is_loopback);
    let own_origin = origin.is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some() && authority == host
    });
    if own_host && own_origin {
        Ok("local".to_owned())
    } else {
        let detail = "Without TDS_ADMIN_TOKEN, the API answers only pages and programs of this machine.";
        Err(Problem::new(ProblemKind::Forbidden, detail))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};
    use secrecy::SecretString;

    use super::identify;
    use crate::config::{Access, ApiToken, AuthConfig};

    fn tokens() -> AuthConfig {
        let token = |name: &str, token: &str, access| ApiToken {
            name: name.to_owned(),
            token: SecretString::from(token.to_owned()),
            access,
        };
        AuthConfig {
            tokens: vec![token("ann", "first", Access::Admin), token("bob", "second", Access::Viewer)],
        }
    }

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn every_token_names_its_operator() {
        for (value, name, access) in
            [("Bearer first", "ann", Access::Admin), ("bearer second", "bob", Access::Viewer)]
        {
            let operator = identify(&tokens(), &headers(&[(header::AUTHORIZATION, value)])).expect(value);
            assert_eq!(operator, (name.to_owned(), access));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for value in
            ["", "first", "Bearer", "Bearer firs", "Bearer firstt", "Basic first", "Bearer ann:first"]
        {
            assert!(identify(&tokens(), &headers(&[(header::AUTHORIZATION, value)])).is_err(), "{value}");
        }
        assert!(identify(&tokens(), &HeaderMap::new()).is_err());
    }

    #[test]
    fn an_open_api_refuses_pages_of_other_sites() {
        let auth = AuthConfig::default();
        let own = [(header::HOST, "localhost:8000"), (header::ORIGIN, "http://localhost:8000")];
        assert!(identify(&auth, &headers(&own)).is_ok());
        let foreign = [(header::HOST, "localhost:8000"), (header::ORIGIN, "https://evil.example")];
        assert!(identify(&auth, &headers(&foreign)).is_err());
        assert!(identify(&auth, &headers(&[(header::HOST, "rebound.example:8000")])).is_err());
    }
}
