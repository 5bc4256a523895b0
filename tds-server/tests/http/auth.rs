//! Tests the tokens of the operator API, and the accepted hosts.

use axum::{body::Body, http::Request};
use secrecy::SecretString;
use tds_server::{
    Health,
    config::{Access, ApiToken},
};

use tds_zoho::entities::Catalogue;

use super::common::{no_zoho, operator, server, server_with, settings};

#[tokio::test]
async fn every_documented_operator_address_demands_a_token() {
    let server = server();
    let document =
        serde_json::to_value(tds_server::openapi_document(&Catalogue::default())).expect("a document");
    let mut protected = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let webhook = path.ends_with("/webhooks/{entity}") || path == "/api/zoho/sync-{entity}";
            let open = webhook || !path.starts_with("/api/");
            assert_eq!(operation.get("security").is_none(), open, "{method} {path}");
            if open {
                continue;
            }
            protected += 1;
            let concrete = path.replace("{id}", "1");
            for token in [None, Some("Bearer wrong"), Some("Basic b3BlcmF0b3I=")] {
                let mut request = Request::builder().method(method.to_uppercase().as_str()).uri(&concrete);
                if let Some(token) = token {
                    request = request.header("Authorization", token);
                }
                let answer = server.send(request.body(Body::empty()).expect("a request")).await;
                answer.is_problem(401, "unauthorized");
                assert!(answer.headers["www-authenticate"].to_str().expect("text").starts_with("Bearer"));
            }
        }
    }
    assert!(protected >= 20, "{protected} addresses");
}

fn ask(method: &str, uri: &str) -> Request<Body> {
    operator(&method.to_uppercase(), uri).body(Body::empty()).expect("a request")
}

#[tokio::test]
async fn no_documented_operator_address_takes_a_parameter_that_it_does_not_have() {
    let server = server();
    let document =
        serde_json::to_value(tds_server::openapi_document(&Catalogue::default())).expect("a document");
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            if operation.get("security").is_none() {
                continue;
            }
            let uri = format!("{}?limit=5&foo=bar&entity_typ=products", path.replace("{id}", "1"));
            let answer = server.send(ask(method, &uri)).await;
            answer.is_problem(422, "invalid-value");
            let detail = answer.json()["detail"].as_str().expect("a text").to_owned();
            assert!(detail.contains("\"foo\"") || detail.contains("\"limit\""), "{method} {path}: {detail}");
            asked += 1;
        }
    }
    assert!(asked >= 20, "{asked} addresses");
    let slip = server.send(ask("get", "/api/zoho/sync/queue?entity_typ=products")).await.json();
    assert!(slip["detail"].as_str().expect("a text").ends_with("did you mean entity_type?"), "{slip}");
    let slip = server.send(ask("get", "/api/zoho/sync/queue?entity_type=product")).await;
    slip.is_problem(422, "unknown-entity-type");
    assert!(slip.text.contains("did you mean products?"), "{}", slip.text);
    let slip = server.send(ask("get", "/api/zoho/webhooks/inbox?entity_type=product")).await;
    slip.is_problem(422, "unknown-entity-type");
}

#[tokio::test]
async fn a_viewer_reads_everything_and_changes_nothing() {
    let mut settings = settings();
    let token = SecretString::from("looks".to_owned());
    settings.auth.tokens.push(ApiToken { name: "vera".to_owned(), token, access: Access::Viewer });
    let server = server_with(settings, Health::default(), no_zoho());
    let document =
        serde_json::to_value(tds_server::openapi_document(&Catalogue::default())).expect("a document");
    let (mut read, mut refused) = (0, 0);
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            if operation.get("security").is_none() {
                continue;
            }
            let uri = path.replace("{entity}", "products").replace("{id}", "1").replace("{zoho_id}", "1");
            let request = Request::builder().method(method.to_uppercase().as_str()).uri(&uri);
            let request = request.header("Authorization", "Bearer looks").body(Body::empty());
            let answer = server.send(request.expect("a request")).await;
            if method == "get" {
                assert!(![401, 403].contains(&answer.status.as_u16()), "{uri}: {}", answer.text);
                read += 1;
            } else {
                answer.is_problem(403, "read-only-token");
                assert!(answer.text.contains("vera"), "{}", answer.text);
                refused += 1;
            }
        }
    }
    assert!(read >= 15 && refused >= 10, "{read} read, {refused} refused");
}

#[tokio::test]
async fn without_tokens_only_this_machines_own_pages_are_answered() {
    let mut open = settings();
    open.auth.tokens.clear();
    let server = server_with(open, Health::default(), no_zoho());
    let ask = |host: &'static str, origin: Option<&'static str>| {
        let mut request = Request::get("/api/zoho/sync/stats").header("Host", host);
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        server.send(request.body(Body::empty()).expect("a request"))
    };
    assert_eq!(ask("localhost:8000", None).await.status, 200);
    assert_eq!(ask("127.0.0.1:8000", Some("http://127.0.0.1:8000")).await.status, 200);
    ask("localhost:8000", Some("https://evil.example")).await.is_problem(403, "forbidden");
    ask("rebound.example", None).await.is_problem(403, "forbidden");
}

#[tokio::test]
async fn a_foreign_host_is_refused_but_for_the_health_addresses() {
    let mut settings = settings();
    settings.allowed_hosts = Some(vec!["tds.example".to_owned()]);
    let server = server_with(settings, Health::default(), no_zoho());
    let ask = |path: &'static str, host: &'static str| {
        let request = operator("GET", path).header("Host", host).body(Body::empty()).expect("a request");
        server.send(request)
    };
    assert_eq!(ask("/api/zoho/sync/stats", "tds.example:443").await.status, 200);
    ask("/api/zoho/sync/stats", "evil.example").await.is_problem(421, "misdirected-request");
    ask("/", "").await.is_problem(421, "misdirected-request");
    for path in ["/health", "/livez", "/readyz"] {
        assert_eq!(ask(path, "10.0.0.1").await.status, 200, "{path}");
    }
}
