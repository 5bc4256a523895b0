//! Two real processes share one database and have a backlog. The simulated Zoho counts every window of 60 seconds.

use std::{process::Stdio, time::Duration};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, Limits, Module};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::Instant,
};

use crate::shop::{TOKEN, program, settings};

const CEILING: u64 = 100;
/// A key of 32 bytes, base64.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns how long the test watches: `TDS_BUDGET_SECONDS`, or a little more than one window.
fn seconds() -> u64 {
    std::env::var("TDS_BUDGET_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(75)
}

struct Program {
    _child: Child,
    base: String,
    client: Client,
}

impl Program {
    async fn start(zoho: &FakeZoho, database: &TestDatabase) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let bind = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let ceiling = CEILING.to_string();
        let more = [
            ("TDS_BIND", bind.as_str()),
            ("ENCRYPTION_KEY", KEY),
            ("ZOHO_REQUESTS_PER_MINUTE", &ceiling),
            ("TDS_INCREMENTAL_EVERY", "off"),
        ];
        let mut command = Command::new(program());
        command.arg("serve").env_clear().envs(settings(zoho, database.url(), &more));
        command.current_dir(std::env::temp_dir()).kill_on_drop(true);
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("it starts");
        let client = Client::builder().no_proxy().build().expect("a client");
        let program = Self { _child: child, base: format!("http://{bind}"), client };
        let deadline = Instant::now() + PATIENCE;
        while !program.ready().await {
            assert!(Instant::now() < deadline, "the program does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        program
    }

    async fn ready(&self) -> bool {
        let answer = self.client.get(format!("{}/readyz", self.base)).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    async fn budget(&self) -> Value {
        let request = self.client.get(format!("{}/api/zoho/sync/stats", self.base)).bearer_auth(TOKEN);
        let stats: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        stats["api_budget"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_minute_the_places_and_the_token() {
    let zoho = FakeZoho::start().await;
    zoho.generate(Module::INVOICES, 600);
    let per_minute = usize::try_from(CEILING).ok();
    zoho.set_limits(Limits { per_minute, concurrent: Some(5), ..Limits::default() });
    zoho.set_latency(Duration::from_millis(200));
    let database = TestDatabase::new().await;
    let (one, other) = (Program::start(&zoho, &database).await, Program::start(&zoho, &database).await);

    let request = json!({"entity_type": "invoices", "mode": "full"});
    let request =
        one.client.post(format!("{}/api/zoho/bulk-sync", one.base)).bearer_auth(TOKEN).json(&request);
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::ACCEPTED);

    let before = zoho.calls();
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(seconds())).await;
    let made = zoho.calls() - before;
    let elapsed = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "some hundred calls")]
    let share = made as f64 * 60.0 / elapsed / CEILING as f64;
    println!(
        "{elapsed:.0} s: {made} calls, {:.1} % of the ceiling; at most {} in 60 s, {} in flight, {} answers 429, {} mints",
        share * 100.0,
        zoho.max_in_any_minute(),
        zoho.max_concurrent(),
        zoho.refused(),
        zoho.mints()
    );
    assert_eq!(zoho.refused(), 0);
    assert!(zoho.max_in_any_minute() <= 100 && zoho.max_concurrent() <= 5);
    assert!(share >= 0.9, "{share}");
    assert_eq!(zoho.mints(), 1, "the token is shared");
    let (first, second) = (one.budget().await, other.budget().await);
    for budget in [&first, &second] {
        let spent = budget["day_spent"].as_u64().expect("a number");
        assert!(spent >= before + made && spent <= zoho.calls() + 20, "{budget:#}");
    }
}
