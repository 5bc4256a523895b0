use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::json;
use tds_core::{
    error::{Error, ErrorKind, Retry},
    queue::Lane,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wiremock::ResponseTemplate;

use super::support::{Zoho, bearer, call, client, refusal, success};
use crate::health::ZohoState;

async fn fault(zoho: &Zoho) -> Error {
    zoho.client().get(call(Lane::Full)).await.expect_err("a fault")
}

#[tokio::test]
async fn a_call_carries_organization_bearer_and_name_and_its_answer_says_when() {
    let zoho = Zoho::new().await;
    zoho.api(|_| success().insert_header("date", "Sun, 01 Mar 2026 12:00:00 GMT")).await;
    let answer = zoho.client().get(call(Lane::Full)).await.expect("answer");
    assert!(answer.body.contains_key("contacts") && answer.interval.began <= answer.interval.ended);
    assert_eq!(answer.server_time, Some(time::macros::datetime!(2026-03-01 12:00 UTC)));
    let requests = zoho.server.received_requests().await.expect("requests");
    let request = &requests[1];
    assert_eq!(
        (request.url.path(), request.url.query()),
        ("/books/v3/contacts", Some("organization_id=10234695&page=1"))
    );
    assert_eq!(bearer(request), "t1");
    let agent = request.headers.get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(agent, concat!("tds/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_fault_that_passes_is_tried_three_times_and_no_more() {
    let broken = [
        (ResponseTemplate::new(500), ErrorKind::Unavailable),
        (ResponseTemplate::new(503).set_body_string("<html>"), ErrorKind::Unavailable),
        (ResponseTemplate::new(200), ErrorKind::Protocol),
        (ResponseTemplate::new(200).set_body_string("<html>busy</html>"), ErrorKind::Protocol),
        (ResponseTemplate::new(200).set_body_string("{\"code\":0,\"contacts\":[{"), ErrorKind::Protocol),
        (ResponseTemplate::new(404).set_body_string("<html>"), ErrorKind::Protocol),
        (refusal(500, 1000), ErrorKind::Unavailable),
    ];
    for (answer, kind) in broken {
        let zoho = Zoho::new().await;
        zoho.api(move |_| answer.clone()).await;
        let error = fault(&zoho).await;
        assert_eq!(error.kind(), kind);
        assert!(matches!(error.retry(), Retry::Throttled { .. }), "no attempt is spent: {error:?}");
        assert_eq!(zoho.calls().await, 3);
    }
}

#[tokio::test]
async fn a_second_try_that_works_is_a_success() {
    let zoho = Zoho::new().await;
    let count = AtomicUsize::new(0);
    zoho.api(
        move |_| {
            if count.fetch_add(1, Ordering::SeqCst) == 0 { ResponseTemplate::new(502) } else { success() }
        },
    )
    .await;
    let client = zoho.client();
    client.get(call(Lane::Full)).await.expect("answer");
    assert_eq!((zoho.calls().await, client.health().await.state), (2, ZohoState::Ok));
}

#[tokio::test]
async fn what_zoho_refuses_is_not_repeated() {
    for (answer, kind) in [
        (refusal(404, 1002), ErrorKind::NotFound),
        (refusal(200, 1002), ErrorKind::NotFound),
        (refusal(400, 2), ErrorKind::Invalid),
        (refusal(200, 2), ErrorKind::Invalid),
    ] {
        let zoho = Zoho::new().await;
        zoho.api(move |_| answer.clone()).await;
        let error = fault(&zoho).await;
        assert_eq!((error.kind(), error.retry()), (kind, Retry::Permanent));
        assert!(error.to_string().contains("message of"), "{error}");
        assert_eq!(zoho.calls().await, 1);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Zoho::new().await;
    let zoho = Zoho::new().await;
    let target = format!("{}/books/v3/contacts", elsewhere.server.uri());
    zoho.api(move |_| ResponseTemplate::new(302).insert_header("location", target.as_str())).await;
    assert_eq!(fault(&zoho).await.kind(), ErrorKind::Protocol);
    assert_eq!(elsewhere.calls().await, 0);
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_refused() {
    let zoho = Zoho::new().await;
    let long = json!({"code": 0, "padding": "x".repeat(100_000)});
    zoho.api(move |_| ResponseTemplate::new(200).set_body_json(long.clone())).await;
    let mut config = zoho.config();
    config.max_body_bytes = 10_000;
    let error = client(config).get(call(Lane::Full)).await.expect_err("too long");
    assert!(error.to_string().contains("longer than 10000 bytes"), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_or_hangs_spends_no_attempt() {
    for half in ["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"code\":0", "HTTP/1.1 200", ""] {
        let zoho = Zoho::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let mut config = zoho.config();
        config.api_url = Some(format!("http://{}", listener.local_addr().expect("address")));
        config.request_timeout = Duration::from_millis(500);
        let serving = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _read = socket.read(&mut request).await;
                let _written = socket.write_all(half.as_bytes()).await;
                if half.is_empty() {
                    held.push(socket);
                }
            }
        });
        let client = client(config);
        let error = client.get(call(Lane::Full)).await.expect_err("broken");
        serving.abort();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(matches!(error.retry(), Retry::Throttled { .. }));
        assert!(matches!(client.health().await.state, ZohoState::Unreachable { .. }));
    }
}

#[tokio::test]
async fn an_answer_that_comes_byte_by_byte_or_is_cut_in_a_chunk_is_given_up_in_time() {
    let slow = "HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{\"code\":0,\"contacts\":[";
    let cut = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1f4\r\n{\"code\":0";
    for (text, byte_by_byte) in [(slow, true), (cut, false)] {
        let zoho = Zoho::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let mut config = zoho.config();
        config.api_url = Some(format!("http://{}", listener.local_addr().expect("address")));
        config.request_timeout = Duration::from_millis(400);
        let serving = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _read = socket.read(&mut request).await;
                let _written = socket.write_all(text.as_bytes()).await;
                // Each byte arrives within the time limit, but the body never ends.
                while byte_by_byte && socket.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
        let began = tokio::time::Instant::now();
        let error = client(config).get(call(Lane::Full)).await.expect_err("broken");
        serving.abort();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(matches!(error.retry(), Retry::Throttled { .. }));
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn no_secret_is_in_any_error_or_debug_output() {
    let zoho = Zoho::without_tokens().await;
    zoho.tokens(|_| {
        ResponseTemplate::new(200).set_body_json(json!({"access_token": "canary-token", "expires_in": 3600}))
    })
    .await;
    zoho.api(|_| {
        ResponseTemplate::new(200)
            .set_body_json(json!({"code": 9, "message": "no", "email": "canary-person"}))
    })
    .await;
    let client = zoho.client();
    let refused = client.get(call(Lane::Full)).await.expect_err("refused");
    let token = client.inner.tokens.token().await.expect("token");
    let mut config = zoho.config();
    config.api_url = Some("http://127.0.0.1:9".to_owned());
    let unreachable = super::support::client(config).get(call(Lane::Full)).await.expect_err("unreachable");
    let texts = format!(
        "{refused:?} {unreachable:?} {token:?} {client:?} {:?} {:?}",
        client.health().await,
        zoho.config()
    );
    assert!(!texts.contains("canary"), "{texts}");
}

#[tokio::test]
async fn good_credentials_show_the_organization_and_wrong_ones_what_to_do() {
    let zoho = Zoho::new().await;
    zoho.api(|request| {
        assert_eq!((request.url.path(), request.url.query()), ("/books/v3/organizations", None));
        let organization = json!({"organization_id": "10234695", "name": "Zylker", "currency_code": "USD", "time_zone": "PST"});
        ResponseTemplate::new(200).set_body_json(json!({"code": 0, "organizations": [organization]}))
    })
    .await;
    let report = zoho.client().check_credentials().await.expect("report");
    assert_eq!((report.organization.name.as_str(), report.calls_left_today), ("Zylker", None));
    assert!((3590..=3600).contains(&report.expires_in));
    let mut config = zoho.config();
    config.organization_id = "1".to_owned();
    let error = client(config).check_credentials().await.expect_err("another organization");
    assert!(error.to_string().contains("10234695 (Zylker)"), "{error}");
}
