//! The `Host` values that a request may name.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::http::{
    problem::{Problem, ProblemKind},
    state::AppState,
};

/// The addresses that orchestrators request by IP address, whatever the public name is.
const EXEMPT: [&str; 3] = ["/health", "/livez", "/readyz"];

/// Refuses requests that were not meant for this server.
pub(crate) async fn check(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Some(allowed) = &state.settings.allowed_hosts else { return next.run(request).await };
    // An absolute-form target takes precedence over the header (RFC 9112, 3.2.2).
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(|authority| authority.as_str()).or(header);
    let single = request.headers().get_all(header::HOST).iter().count() <= 1;
    if EXEMPT.contains(&request.uri().path())
        || (single && host.is_some_and(|host| is_allowed(host, allowed)))
    {
        return next.run(request).await;
    }
    Problem::new(ProblemKind::MisdirectedRequest, "This server does not accept this Host.").into_response()
}

/// Returns `true` if the host is allowed. An allowed host without a port stands for every port.
fn is_allowed(host: &str, allowed: &[String]) -> bool {
    let host = host.to_ascii_lowercase();
    let name = without_port(&host);
    allowed.iter().any(|entry| *entry == host || *entry == name)
}

/// Returns `true` for names of this machine itself.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = without_port(host).trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_allowed, is_loopback};

    #[test]
    fn a_host_is_compared_without_case_and_with_or_without_port() {
        let allowed = ["tds.example".to_owned(), "other.example:8443".to_owned()];
        for host in ["tds.example", "TDS.example:80", "other.example:8443"] {
            assert!(is_allowed(host, &allowed), "{host}");
        }
        for host in ["example", "evil.example", "tds.example.evil", "other.example", "other.example:1", ""] {
            assert!(!is_allowed(host, &allowed), "{host}");
        }
    }

    #[test]
    fn loopback_names_are_known() {
        for host in ["localhost", "localhost:1", "127.0.0.1:8000", "[::1]:8000", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.evil", "10.0.0.1", "127.0.0.1.evil.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
