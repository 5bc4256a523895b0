//! 10,000 local changes that are pending at once, and how fast they come to Zoho compared with what the limit of calls
//! permits.

use std::time::Duration;

use tds_zoho::{sim::SimulatedZoho, testkit::Module};
use tokio::time::Instant;

use crate::{
    cluster::{Cluster, count, run as execute},
    report::{Report, say},
    server::Server,
};

/// The number of new customers. Each of them takes one call: a create that is an upsert.
const PUSHES: u32 = 10_000;
/// The ceiling of calls in any minute. It is higher than that of any plan, so that the bench ends soon.
const CEILING: u32 = 2_400;
/// The duration of every answer.
const ANSWER: Duration = Duration::from_millis(10);

pub(crate) async fn run(report: &mut Report) {
    let mut cluster = Cluster::start().await;
    let zoho = SimulatedZoho::start().await.expect("a simulated organization");
    zoho.set_latency(ANSWER);
    let (url, credentials, address) = (cluster.migrated().await, zoho.credentials(), zoho.url());
    execute(
        &url,
        "INSERT INTO tds_modes (entity_type, mode) VALUES ('customers', 'bidirectional')".to_owned(),
    )
    .await;
    let ceiling = CEILING.to_string();
    let settings = [
        ("ZOHO_CLIENT_ID", credentials.client_id.as_str()),
        ("ZOHO_CLIENT_SECRET", &credentials.client_secret),
        ("ZOHO_REFRESH_TOKEN", &credentials.refresh_token),
        ("ZOHO_ORGANIZATION_ID", &credentials.organization_id),
        ("ZOHO_ACCOUNTS_URL", &address),
        ("ZOHO_API_URL", &address),
        ("ZOHO_REQUESTS_PER_MINUTE", &ceiling),
        ("TDS_VERIFY_EVERY", "off"),
        ("TDS_DERIVED_WAIT", "off"),
    ];
    let server = Server::start(&url, &settings).await;
    let before = zoho.calls();
    let insert = format!(
        "INSERT INTO erp.customers (name, notes) SELECT 'Customer ' || n, 'new' FROM generate_series(1, {PUSHES}) AS n"
    );
    execute(&url, insert).await;
    let began = Instant::now();
    loop {
        let pending = count(&url, "SELECT count(*) FROM tds_outbox WHERE status = 'pending'").await;
        if pending == 0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(600), "{pending} pushes are left after ten minutes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let elapsed = began.elapsed().as_secs_f64();
    let (calls, written) = (zoho.calls() - before, zoho.count(Module::CONTACTS));
    assert_eq!(u32::try_from(written).expect("small"), PUSHES, "every customer is in Zoho once");
    let linked = count(&url, "SELECT count(*) FROM erp.customers WHERE zoho_id IS NOT NULL").await;
    assert_eq!(linked, i64::from(PUSHES), "every customer knows its id");
    assert!(zoho.max_in_any_minute() <= CEILING as usize, "{} calls in a minute", zoho.max_in_any_minute());
    let (rate, permitted) = (f64::from(PUSHES) / elapsed, f64::from(CEILING) / 60.0);
    say(&format!("pushes: {PUSHES} in {elapsed:.1} s with {calls} calls, {rate:.0}/s of {permitted:.0}/s"));
    report.figure("pushes_per_s", rate, "pushes/s");
    report.figure(
        "pushes_calls_each",
        f64::from(u32::try_from(calls).expect("few")) / f64::from(PUSHES),
        "calls",
    );
    report.at_least("pushes_vs_permitted", rate / permitted, 0.9);
    server.stop().await;
    cluster.stop().await;
}
