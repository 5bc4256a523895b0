use secrecy::ExposeSecret;
use tds_core::{error::Retry, hint::Hint};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{Duration, MintFault, Minted, NoToken, mint, read};
use crate::config::{DataCenter, ZohoConfig};

fn answer(status: u16, body: &str) -> Result<Minted, NoToken> {
    read(status, body.as_bytes(), &ZohoConfig::new("id", "secret", "refresh", "1", DataCenter::Us))
}

fn fault(status: u16, body: &str) -> MintFault {
    answer(status, body).map(|_| ()).expect_err("a fault").fault
}

#[test]
fn a_token_is_a_success_whatever_the_status() {
    for status in [200, 400, 500] {
        let minted = answer(status, r#"{"access_token":"1000.aa","expires_in":60,"token_type":"Bearer"}"#);
        let minted = minted.map_err(|none| none.fault.reason()).expect("token");
        assert_eq!(minted.value.expose_secret(), "1000.aa");
        assert_eq!(minted.expires_in, Duration::from_secs(60));
    }
}

#[test]
fn an_odd_lifetime_of_a_token_becomes_an_hour_at_most() {
    for (life, seconds) in [("3600000", 3600), ("\"120\"", 120), ("null", 3600), ("0", 1), ("-5", 3600)] {
        let minted = answer(200, &format!(r#"{{"access_token":"t","expires_in":{life}}}"#))
            .map_err(|_| ())
            .expect("token");
        assert_eq!(minted.expires_in.as_secs(), seconds, "{life}");
    }
}

#[test]
fn the_recorded_refusals_of_the_token_server_have_their_class() {
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../../tests/data/zoho-samples/errors.json")).expect("samples");
    let classes: Vec<_> = rows
        .iter()
        .filter(|row| row["where"].as_str().is_some_and(|place| place.starts_with("token")))
        .flat_map(|row| [200, 400].map(|status| fault(status, &row["body"].to_string())))
        .map(|fault| match fault {
            MintFault::TooMany(_) => "too many",
            MintFault::Refused { .. } => "refused",
            MintFault::Passing(_) => "passing",
        })
        .collect();
    assert_eq!(classes, ["too many", "too many", "refused", "refused"]);
}

#[test]
fn wrong_credentials_pause_and_say_what_to_do() {
    const CASES: [(&str, &str, &[&str]); 4] = [
        ("invalid_code", "make a new one", &["refresh_token"]),
        ("invalid_client", "one data center", &["client_id", "data_center"]),
        ("invalid_client_secret", "the secret of the client", &["client_secret"]),
        (
            "something_new",
            "check the credentials",
            &["client_id", "client_secret", "refresh_token", "data_center"],
        ),
    ];
    for (error, words, settings) in CASES {
        let fault = fault(200, &format!(r#"{{"error":"{error}"}}"#));
        let error_for_engine = fault.error_after(fault.pause());
        assert_eq!(error_for_engine.retry(), Retry::AuthPaused { retry_after: Duration::from_secs(60) });
        let message = error_for_engine.to_string();
        assert!(message.contains(error) && message.contains(words), "{message}");
        assert_eq!(error_for_engine.hint(), Some(&Hint::Settings(settings)));
    }
}

#[test]
fn an_answer_that_is_not_of_the_token_server_is_a_transient_fault() {
    for (status, body) in [
        (200, ""),
        (200, "<html>"),
        (500, "{}"),
        (503, r#"{"error":"x"}"#),
        (200, r#"{"access_token":""}"#),
        (200, "[]"),
        (200, r#"{"access_token":"a b\n"}"#),
    ] {
        assert!(matches!(fault(status, body), MintFault::Passing(_)), "{status} {body}");
    }
    assert!(matches!(fault(429, "<html>"), MintFault::TooMany(_)));
    let blocked = fault(429, r#"{"code":44,"message":"blocked"}"#);
    assert_eq!(blocked, MintFault::TooMany("HTTP 429, code 44: blocked".to_owned()));
}

#[test]
fn an_answer_that_is_no_token_made_none() {
    for (status, body, counts) in [
        (200, "<html>", false),
        (200, r#"{"error":"invalid_code"}"#, false),
        (500, "", false),
        (503, r#"{"error":"server_error"}"#, false),
        (404, "<html>", false),
        (400, r#"{"error":"Access Denied"}"#, true),
        (429, "<html>", true),
        (200, r#"{"access_token":"a b\n"}"#, true),
    ] {
        let none = answer(status, body).map(|_| ()).expect_err("no token");
        assert_eq!(none.counts, counts, "{status} {body}");
    }
}

/// Requests a token from a server that does this with its only connection. Returns true if the request counts.
async fn counts_at(scheme: &str, serve: impl AsyncFnOnce(TcpListener)) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut config = ZohoConfig::new("id", "secret", "refresh", "1", DataCenter::Us);
    config.accounts_url = format!("{scheme}://{}", listener.local_addr().expect("an address"));
    let http = crate::client::http(&config).expect("a client");
    let (none, ()) = tokio::join!(mint(&http, &config), serve(listener));
    none.map(|_| ()).expect_err("no token").counts
}

#[tokio::test]
async fn a_request_counts_if_it_left_and_its_answer_got_lost() {
    let refused = counts_at("http", async |listener| drop(listener)).await;
    let without_tls = counts_at("https", async |listener| {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
    });
    let lost = counts_at("http", async |listener| {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        assert!(connection.read(&mut [0; 1024]).await.expect("a request") > 0);
    });
    let broken_off = counts_at("http", async |listener| {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        assert!(connection.read(&mut [0; 1024]).await.expect("a request") > 0);
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{").await.expect("written");
    });
    assert_eq!((refused, without_tls.await), (false, false));
    assert_eq!((lost.await, broken_off.await), (true, true));
}
