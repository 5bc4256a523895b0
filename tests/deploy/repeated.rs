//! Which requests nginx gives to the other process after the first one failed, and what becomes of them there.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use reqwest::StatusCode;
use tds_core::lock::lock;
use tds_postgres::testkit::TestDatabase;
use tds_zoho::{
    sim::Module,
    testkit::{FakeZoho, sample},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    nginx::{DOMAIN, Nginx},
    proxy::{World, answer},
    server::{Server, TOKEN, until_it_is},
};

/// What a process does with a request.
#[derive(Clone, Copy)]
enum Process {
    /// Closes the connection without an answer.
    Cuts,
    /// Answers this status.
    Answers(&'static str),
    /// Gives the request to TDS, and closes the connection in the place of its answer.
    Swallows(SocketAddr),
}

/// The requests that arrived.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<String>>>);

impl Received {
    /// Returns them and forgets them.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// Starts a process in the place of one of TDS.
async fn start(process: Process, received: Received) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read(&mut stream).await;
            lock(&received.0).push(String::from_utf8_lossy(&request).into_owned());
            match process {
                Process::Cuts => {}
                Process::Answers(status) => {
                    let answer =
                        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
                Process::Swallows(to) => {
                    let mut server = TcpStream::connect(to).await.expect("TDS");
                    server.write_all(&request).await.expect("sent");
                    let mut answer = [0; 1024];
                    let length = server.read(&mut answer).await.expect("an answer");
                    assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "TDS has stored it");
                }
            }
            let _ = stream.shutdown().await;
        }
    });
    address
}

/// Reads one request with its body.
async fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    let mut part = vec![0; 64 * 1024];
    while let Ok(length) = stream.read(&mut part).await {
        request.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if length == 0 {
                break;
            }
            continue;
        };
        let head = head.to_ascii_lowercase();
        let wanted = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        if length == 0 || body.len() >= wanted.unwrap_or(0) {
            break;
        }
    }
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn only_webhooks_are_sent_twice_and_the_claims_of_clients_are_replaced() {
    let received = Received::default();
    let both = [start(Process::Cuts, received.clone()).await, start(Process::Cuts, received.clone()).await];
    let world = World::around(Nginx::start(&both));
    let webhook = || {
        world
            .webhook("/api/zoho/webhooks/products?event=updated", "{\"a\":1}")
            .header("x-forwarded-for", "127.0.0.1")
            .header("x-forwarded-proto", "http")
            .header("forwarded", "for=127.0.0.1")
            .header("x-real-ip", "127.0.0.1")
    };
    assert_eq!(answer(webhook()).await.0, StatusCode::BAD_GATEWAY);
    let requests = received.take();
    assert_eq!(requests.len(), 2, "each process is tried once: {requests:?}");
    for head in requests.iter().map(|request| request.to_ascii_lowercase()) {
        assert!(head.starts_with("post /api/zoho/webhooks/products?event=updated http/1.1\r\n"), "{head}");
        for line in [
            format!("host: {DOMAIN}:{}", world.nginx.https),
            "x-forwarded-for: 127.0.0.2".to_owned(),
            "x-real-ip: 127.0.0.2".to_owned(),
            "x-forwarded-proto: https".to_owned(),
            format!("x-forwarded-host: {DOMAIN}"),
        ] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} is missing in {head}");
        }
        assert!(!head.contains("\r\nforwarded:") && head.matches("x-forwarded-for").count() == 1, "{head}");
    }
    // An order of an operator may have been executed before the connection was cut.
    for url in [
        world.url("/api/zoho/bulk-sync"),
        format!("http://127.0.0.1:{}/api/zoho/bulk-sync", world.nginx.local),
    ] {
        let order = world.operator.post(&url).bearer_auth(TOKEN).body("{}");
        assert_eq!(answer(order).await.0, StatusCode::BAD_GATEWAY);
        assert_eq!(received.take().len(), 1, "{url}: a POST that had arrived was repeated");
    }
    // A GET changes nothing.
    assert_eq!(answer(world.outside.get(world.url("/readyz"))).await.0, StatusCode::BAD_GATEWAY);
    assert_eq!(received.take().len(), 2);

    // A process that is taken out of the list gets nothing, as while it is replaced.
    world.nginx.route(&both[1..]);
    assert_eq!(answer(webhook()).await.0, StatusCode::BAD_GATEWAY);
    assert_eq!(received.take().len(), 1);
    // Only answers that say that nothing was done are repeated.
    for (status, tries) in [
        ("503 Service Unavailable", 2),
        ("502 Bad Gateway", 2),
        ("500 Internal Server Error", 1),
        ("401 Unauthorized", 1),
    ] {
        let answering = Process::Answers(status);
        world
            .nginx
            .route(&[start(answering, received.clone()).await, start(answering, received.clone()).await]);
        let told = answer(webhook()).await.0;
        assert!(status.starts_with(told.as_str()), "{status}: {told}");
        assert_eq!(received.take().len(), tries, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_one_process_refuses_or_swallows_is_stored_by_the_other_one_and_applied_once() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    let server = Server::start(&zoho, &database).await;
    let (refused, swallowed) = (Received::default(), Received::default());
    let busy = start(Process::Answers("503 Service Unavailable"), refused.clone()).await;
    let world = World::around(Nginx::start(&[busy, server.address]));
    let mut duplicates = 0;
    let mut send = async |seed: u64| {
        let id = zoho.put(Module::ITEMS, sample::item(seed));
        let body = zoho.webhook_body(Module::ITEMS, &id).to_string();
        let (status, receipt) =
            answer(world.webhook("/api/zoho/webhooks/products?event=created", &body)).await;
        assert_eq!(status, StatusCode::OK, "{seed}: {receipt}");
        duplicates += usize::from(receipt["duplicate"] == true);
    };
    // nginx takes the processes in turn.
    for seed in 1..=4 {
        send(seed).await;
    }
    let (asked, swallows) = (refused.take().len(), Process::Swallows(server.address));
    assert!(asked >= 1, "the busy process was never asked");
    world.nginx.route(&[start(swallows, swallowed.clone()).await, server.address]);
    for seed in 5..=8 {
        send(seed).await;
    }
    let twice = swallowed.take().len();
    assert!(
        twice >= 1 && duplicates == twice,
        "{twice} were stored and sent again, {duplicates} were recognized"
    );
    for sql in ["SELECT count(*) FROM tds_inbox_events", "SELECT count(*) FROM erp.products"] {
        until_it_is(&database, sql, 8).await;
    }
    let ended = "SELECT count(*) FROM tds_sync_queue WHERE status = 'completed'";
    until_it_is(&database, ended, 8).await;
}
