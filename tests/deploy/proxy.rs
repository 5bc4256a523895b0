//! nginx in front of TDS: what reaches TDS, unchanged, and what does not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use reqwest::{Client, RequestBuilder, StatusCode, redirect::Policy};
use secrecy::SecretString;
use serde_json::Value;
use tds_postgres::testkit::TestDatabase;
use tds_zoho::{testkit::FakeZoho, webhook};

use crate::{
    linted::{told, tool},
    nginx::{DOMAIN, Nginx},
    server::{PATIENCE, SECRET, Server, TOKEN, free_address},
};

/// A client at an address of this machine, which knows the domain.
fn client(nginx: &Nginx, from: [u8; 4]) -> Client {
    let builder = Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE);
    let builder = builder.local_address(IpAddr::from(from)).tls_danger_accept_invalid_certs(true);
    let builder = builder.resolve(DOMAIN, SocketAddr::from((Ipv4Addr::LOCALHOST, nginx.https)));
    builder.build().expect("a client")
}

pub(crate) struct World {
    pub(crate) nginx: Nginx,
    /// Zoho, or anybody: its address is not in the list of operators.
    pub(crate) outside: Client,
    pub(crate) operator: Client,
}

impl World {
    pub(crate) fn around(nginx: Nginx) -> Self {
        let (outside, operator) = (client(&nginx, [127, 0, 0, 2]), client(&nginx, [127, 0, 0, 1]));
        Self { nginx, outside, operator }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{DOMAIN}:{}{path}", self.nginx.https)
    }

    /// A signed webhook from outside; the path may have a query.
    pub(crate) fn webhook(&self, path: &str, body: &str) -> RequestBuilder {
        let pairs: Vec<(String, String)> = path
            .split_once('?')
            .into_iter()
            .flat_map(|(_, query)| query.split('&').filter_map(|pair| pair.split_once('=')))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let signature = webhook::sign(&SecretString::from(SECRET), &pairs, body.as_bytes());
        self.outside
            .post(self.url(path))
            .header("content-type", "application/json")
            .header("x-zoho-webhook-signature", signature)
            .body(body.to_owned())
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    (status, serde_json::from_str(&answer.text().await.expect("a body")).unwrap_or(Value::Null))
}

async fn inbox(database: &TestDatabase) -> i64 {
    let count = "SELECT count(*) FROM tds_inbox_events";
    sqlx::query_scalar(count).fetch_one(database.database().pool()).await.expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_pass_unchanged_and_everything_else_needs_the_list() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    let server = Server::start(&zoho, &database).await;
    // One of the two processes is being replaced: nobody notices.
    let world = World::around(Nginx::start(&[free_address().await, server.address]));

    // The signature covers every byte of the body and the query.
    let body = "{ \"organization_id\" : \"0\",\r\n\t\"item\":{\"item_id\":\"1\",\"name\":\"\u{643}\u{64a}\u{628}\u{644} 2 m\"} }\n";
    for number in 0..8 {
        let (status, receipt) =
            answer(world.webhook("/api/zoho/webhooks/products?event=updated", &format!("{body}{number:>3}")))
                .await;
        assert_eq!(status, StatusCode::OK, "{number}: {receipt}");
    }
    for path in [
        "/api/zoho/webhooks/products",
        "/api/zoho/webhooks/credit-notes/",
        "/api/tds/webhooks/products",
        "/api/zoho/sync-products",
    ] {
        let (status, receipt) = answer(world.webhook(path, body)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {receipt}");
    }
    let stored = inbox(&database).await;
    let forged =
        world.webhook("/api/zoho/webhooks/products", body).header("x-zoho-webhook-signature", "0".repeat(64));
    assert_eq!(answer(forged).await.0, StatusCode::UNAUTHORIZED);
    let large = format!("{{\"organization_id\":\"0\",\"notes\":\"{}\"}}", "x".repeat(1_000_000));
    assert_eq!(answer(world.webhook("/api/zoho/webhooks/invoices", &large)).await.0, StatusCode::OK);
    let larger = large.replace("\"notes\"", &format!("\"more\":\"{}\",\"notes\"", "x".repeat(60_000)));
    assert_eq!(
        answer(world.webhook("/api/zoho/webhooks/invoices", &larger)).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(inbox(&database).await, stored + 1, "only the large one was stored");

    refused_outside(&world).await;
    plain_http(&world).await;

    // The smoke test of deploy/bin/deploy: accepted, and nothing follows from it.
    let file = world.nginx.stage.path("smoke.json");
    std::fs::write(&file, r#"{"organization_id":"0","item":{"item_id":"1","name":"smoke test"}}"#)
        .expect("a file");
    let local = format!("http://localhost:{}", world.nginx.local);
    let smoke = ["webhook", "send", "products", "--file", &file.display().to_string(), "--url", &local];
    let (status, said) = server.command(&smoke).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("\"ignored\""), "{said}");

    // daily-check reads the certificate from nginx itself.
    world.nginx.stage.configure(&format!("HTTPS_PORT={}", world.nginx.https));
    let checked = world.nginx.stage.run("daily-check", &[]);
    // A part of the last day may be over.
    let whole =
        ["29", "30"].map(|days| checked.said.contains(&format!("ok    certificate: {days} days left")));
    assert!(whole.contains(&true), "{}", checked.said);
}

/// Whatever is for operators is refused outside, and reaches TDS, which asks for the token, inside.
async fn refused_outside(world: &World) {
    let operators = [
        "/",
        "/docs",
        "/metrics",
        "/health",
        "/api/zoho/sync/stats",
        "/api/zoho/webhooks/inbox",
        "/api/zoho/webhooks/inbox/stats",
    ];
    for path in operators {
        for path in [path.to_owned(), format!("//{}", path.trim_start_matches('/'))] {
            let outside = world.outside.get(world.url(&path)).bearer_auth(TOKEN);
            assert_eq!(answer(outside).await.0, StatusCode::FORBIDDEN, "{path}");
        }
        let inside = answer(world.operator.get(world.url(path)).bearer_auth(TOKEN)).await.0;
        assert!(inside.is_success() || inside.is_redirection(), "{path}: {inside}");
    }
    // The address of webhooks is open for the methods of webhooks only.
    let read = world.outside.get(world.url("/api/zoho/webhooks/products"));
    assert_eq!(answer(read).await.0, StatusCode::FORBIDDEN);
    let replay = world.outside.post(world.url("/api/zoho/webhooks/inbox/1/replay")).bearer_auth(TOKEN);
    assert_eq!(answer(replay).await.0, StatusCode::FORBIDDEN);
    // nginx sees an address of webhooks, TDS would see one of operators. (Clients of this library resolve the dots.)
    let port = world.nginx.https;
    let resolve = format!("{DOMAIN}:{port}:127.0.0.1");
    for path in [
        "records/%2e%2e/webhooks/history",
        "records/../webhooks/history",
        "webhooks/x%2f..%2f..%2fsync%2fpause",
    ] {
        let url = format!("https://{DOMAIN}:{port}/api/zoho/{path}");
        let sent = ["-sk", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST"];
        let output =
            tool("curl", &[&sent[..], &["--interface", "127.0.0.2", "--resolve", &resolve, &url]].concat());
        assert_eq!(told(&output), "403", "{path}");
    }

    let ready = world.outside.get(world.url("/readyz")).send().await.expect("an answer");
    assert_eq!(ready.status(), StatusCode::OK);
    let page = world.operator.get(world.url("/")).send().await.expect("an answer");
    let refused = world.outside.get(world.url("/")).send().await.expect("an answer");
    for answer in [&ready, &page, &refused] {
        for (name, part) in [
            ("strict-transport-security", "max-age=31536000"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
        ] {
            let values: Vec<_> = answer.headers().get_all(name).iter().collect();
            assert!(
                values.len() == 1 && values[0].to_str().is_ok_and(|value| value == part),
                "{name}: {values:?}"
            );
        }
    }
    assert!(page.headers().contains_key("content-security-policy"), "the dashboard's own header is kept");
    assert!(
        ready.headers().get("server").is_none_or(|server| server == "nginx"),
        "the version is nobody's business"
    );
}

/// Port 80 answers certbot's questions and sends everything else to HTTPS, under our own name.
async fn plain_http(world: &World) {
    let base = format!("http://127.0.0.1:{}", world.nginx.http);
    let moved = world
        .outside
        .post(format!("{base}/api/zoho/webhooks/products?event=updated"))
        .header("host", "evil.example.test");
    let moved = moved.send().await.expect("an answer");
    assert_eq!(moved.status(), StatusCode::MOVED_PERMANENTLY);
    let location = moved.headers()["location"].to_str().expect("a text").to_owned();
    assert_eq!(location, format!("https://{DOMAIN}/api/zoho/webhooks/products?event=updated"));
    let directory = world.nginx.stage.path("state/acme/.well-known/acme-challenge");
    std::fs::create_dir_all(&directory).expect("a directory");
    std::fs::write(directory.join("token"), "the answer").expect("a file");
    let challenge = world
        .outside
        .get(format!("{base}/.well-known/acme-challenge/token"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(challenge.text().await.expect("a text"), "the answer");
    // Another name gets no certificate.
    let other = format!("https://127.0.0.1:{}/readyz", world.nginx.https);
    assert!(world.outside.get(other).send().await.is_err(), "a handshake for no name succeeded");
}
