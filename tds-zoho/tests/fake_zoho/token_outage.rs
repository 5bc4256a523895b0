//! An outage of Zoho's token server costs none of the tokens that Zoho allows.

use std::{net::TcpListener, sync::Arc, time::Duration};

use tds_core::{
    clock::{Clock, SystemClock},
    error::{Error, Retry},
    limits::shared_state::{LocalState, SharedState},
    memory::MemoryStore,
};
use tds_zoho::{
    TokenRefresh, ZohoClient, ZohoConfig, ZohoState,
    testkit::{FakeZoho, Fault},
};
use tokio::time::{Instant, advance, pause, resume};

use crate::writer::config;

/// Creates processes that share their record of tokens, as those of one database do.
struct Processes {
    config: ZohoConfig,
    shared: Arc<dyn SharedState>,
}

impl Processes {
    fn of(fake: &FakeZoho) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let shared = Arc::new(LocalState::new(&clock));
        Self { config: ZohoConfig { outage_probe: Duration::from_secs(60), ..config(fake) }, shared }
    }

    fn start(&self) -> ZohoClient {
        let clock = Arc::new(SystemClock);
        let calls = Arc::new(MemoryStore::new(clock.clone()));
        ZohoClient::shared(self.config.clone(), clock, Arc::clone(&self.shared), calls).expect("a client")
    }
}

/// Returns the number of requests for a token that this process made without a result.
fn failed(client: &ZohoClient) -> u64 {
    let refreshes = client.token_figures().refreshes;
    refreshes.iter().find(|(result, _)| *result == TokenRefresh::Failed).map_or(0, |(_, count)| *count)
}

/// Returns the pause after an error that spends no attempt.
fn pause_of(error: &Error) -> Duration {
    match error.retry() {
        Retry::Throttled { retry_after } => retry_after,
        other => panic!("{other:?}: {error}"),
    }
}

/// Lets two processes call for an hour of an outage, one of which is replaced again and again. Returns the number of
/// requests for a token.
async fn an_hour_of_outage(processes: &Processes, cause: &str, is_refused: bool) -> u64 {
    let (mut restarted, steady) = (processes.start(), processes.start());
    let (end, mut requests) = (Instant::now() + Duration::from_secs(3600), 0);
    while Instant::now() < end {
        let mut wait = Duration::MAX;
        for client in [&restarted, &steady] {
            if !is_refused {
                resume();
            }
            let error = client.check_credentials().await.expect_err("an outage");
            if !is_refused {
                pause();
            }
            assert!(error.to_string().contains(cause), "{error}");
            let ZohoState::Unreachable { reason } = client.health().await.state else { panic!("{error}") };
            assert!(reason.contains(cause), "{reason}");
            assert!(client.token_figures().is_missing);
            wait = wait.min(pause_of(&error));
        }
        requests += failed(&restarted);
        restarted = processes.start();
        advance(wait).await;
    }
    requests + failed(&steady)
}

/// Ten tokens may be minted at once after the outage, and no more.
async fn ten_tokens_are_left(processes: &Processes, fake: &FakeZoho) {
    for mint in 1..=10 {
        processes.start().check_credentials().await.unwrap_or_else(|error| panic!("{mint}: {error}"));
    }
    let error = processes.start().check_credentials().await.expect_err("one too many");
    assert!(error.to_string().contains("10 access tokens were minted"), "{error}");
    assert!(pause_of(&error) > Duration::from_secs(590), "{error:?}");
    assert_eq!(fake.mints(), 10);
}

#[tokio::test]
async fn an_hour_of_refused_connections_costs_no_token_and_few_attempts() {
    let fake = FakeZoho::start().await;
    let mut processes = Processes::of(&fake);
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    processes.config.accounts_url = format!("http://{address}");
    pause();
    let requests = an_hour_of_outage(&processes, "cannot be reached", true).await;
    assert!((60..=70).contains(&requests), "{requests}");
    resume();
    let fake = FakeZoho::start_on(TcpListener::bind(address).expect("the port again")).await;
    processes.config.api_url = Some(fake.api_url());
    ten_tokens_are_left(&processes, &fake).await;
}

#[tokio::test]
async fn an_hour_of_server_errors_costs_no_token_and_few_attempts() {
    let fake = FakeZoho::start().await;
    let processes = Processes::of(&fake);
    fake.faults().every("/oauth", 1, Fault::Html(500));
    pause();
    let requests = an_hour_of_outage(&processes, "HTTP 500", false).await;
    assert!((60..=70).contains(&requests), "{requests}");
    fake.faults().clear();
    resume();
    ten_tokens_are_left(&processes, &fake).await;
}
