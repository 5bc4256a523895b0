use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use tds_core::{clock::SystemClock, queue::Lane};
use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{method, path, path_regex},
};

use crate::{
    answer::{Api, Call},
    client::ZohoClient,
    config::{DataCenter, ZohoConfig},
};

pub(super) const TOKEN_PATH: &str = "/oauth/v2/token";

/// A simulated Zoho that counts requests.
pub(super) struct Zoho {
    pub(super) server: MockServer,
    mints: Arc<AtomicUsize>,
}

impl Zoho {
    /// Creates a Zoho with a token server that works. Its tokens are `t1`, `t2` …
    pub(super) async fn new() -> Self {
        let zoho = Self::without_tokens().await;
        zoho.tokens(|number| {
            ResponseTemplate::new(200)
                .set_body_json(json!({"access_token": format!("t{number}"), "expires_in": 3600}))
        })
        .await;
        zoho
    }

    pub(super) async fn without_tokens() -> Self {
        Self { server: MockServer::start().await, mints: Arc::default() }
    }

    /// Sets the answer to the n-th request for a token, counted from 1.
    pub(super) async fn tokens(&self, answer: impl Fn(usize) -> ResponseTemplate + Send + Sync + 'static) {
        let mints = Arc::clone(&self.mints);
        let respond = Script(move |_: &Request| answer(mints.fetch_add(1, Ordering::SeqCst) + 1));
        Mock::given(method("POST")).and(path(TOKEN_PATH)).respond_with(respond).mount(&self.server).await;
    }

    /// Sets the answer to calls of the API.
    pub(super) async fn api(&self, answer: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static) {
        let respond = Script(answer);
        Mock::given(method("GET"))
            .and(path_regex("^/(books|inventory)/v"))
            .respond_with(respond)
            .mount(&self.server)
            .await;
    }

    pub(super) fn config(&self) -> ZohoConfig {
        let mut config =
            ZohoConfig::new("1000.ID", "canary-secret", "canary-refresh", "10234695", DataCenter::Us);
        config.accounts_url = self.server.uri();
        config.api_url = Some(self.server.uri());
        config.requests_per_minute = 100_000;
        config.max_concurrency = 16;
        config
    }

    pub(super) fn client(&self) -> ZohoClient {
        client(self.config())
    }

    pub(super) fn mints(&self) -> usize {
        self.mints.load(Ordering::SeqCst)
    }

    /// Returns the number of calls of the API.
    pub(super) async fn calls(&self) -> usize {
        let requests = self.server.received_requests().await.unwrap_or_default();
        requests.iter().filter(|request| request.url.path() != TOKEN_PATH).count()
    }
}

pub(super) fn client(config: ZohoConfig) -> ZohoClient {
    ZohoClient::new(config, Arc::new(SystemClock)).expect("client")
}

pub(super) fn call(lane: Lane) -> Call {
    Call {
        api: Api::Books,
        scope: "ZohoBooks.contacts.READ",
        path: "/contacts".to_owned(),
        query: vec![("page", "1".to_owned())],
        lane,
        entity: None,
        write: None,
    }
}

pub(super) fn success() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"code": 0, "message": "success", "contacts": []}))
}

pub(super) fn refusal(status: u16, code: i64) -> ResponseTemplate {
    ResponseTemplate::new(status)
        .set_body_json(json!({"code": code, "message": format!("message of {code}")}))
}

pub(super) fn token(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// Returns the bearer token of a call, without the scheme.
pub(super) fn bearer(request: &Request) -> String {
    let header =
        request.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.strip_prefix("Zoho-oauthtoken ").unwrap_or_default().to_owned()
}

struct Script<F>(F);

impl<F: Fn(&Request) -> ResponseTemplate + Send + Sync> Respond for Script<F> {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        (self.0)(request)
    }
}
