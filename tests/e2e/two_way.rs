//! Both sides write, from outside: edits of both sides meet, answers get lost, and the program is killed in the middle of
//! pushes. Nothing vanishes, and nothing is created twice.

pub(crate) mod both;
pub(crate) mod conflicts;
pub(crate) mod doubt;
pub(crate) mod entries;
pub(crate) mod examples;
pub(crate) mod losses;

use std::time::Duration;

use serde_json::json;
use tds_zoho::testkit::Module;
use tokio::time::Instant;

use self::both::Both;

/// The duration of every answer of Zoho while latencies are measured.
const ANSWER: Duration = Duration::from_millis(20);
/// The number of measured changes of each kind.
const MEASURED: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_both_sides_meet_and_lost_answers_and_kills_double_nothing() {
    let shop = Both::open(5).await;
    shop.set_modes("bidirectional").await;
    conflicts::fields_merge(&shop).await;
    conflicts::lines_merge(&shop).await;
    conflicts::policies_decide(&shop).await;
    conflicts::a_person_decides(&shop).await;
    examples::psql(&shop).await;
    latency(&shop).await;
    losses::refusals(&shop).await;
    losses::answers(&shop).await;
    losses::kills(&shop).await;
    shop.server.kill().await;
}

/// Measures how long a committed change takes to Zoho. The figures are printed; nothing depends on the machine.
async fn latency(shop: &Both) {
    shop.zoho.set_latency(ANSWER);
    let (customer, remote) = shop.known("customers", 0).await;
    let (mut creates, mut updates) = (Vec::new(), Vec::new());
    for n in 0..MEASURED {
        let name = format!("Fast {n}");
        let sql =
            format!("INSERT INTO erp.customers (name, currency_code) VALUES ('{name}', 'IQD') RETURNING id");
        let has_it = || {
            shop.zoho.read(|all| all.records(Module::CONTACTS).any(|one| one["contact_name"] == json!(name)))
        };
        creates.push(after(shop, &sql, has_it).await);
        let sql = format!("UPDATE erp.customers SET notes = '{name}' WHERE id = {customer}");
        updates.push(
            after(shop, &sql, || shop.in_zoho(Module::CONTACTS, &remote, "notes") == json!(name)).await,
        );
    }
    shop.zoho.set_latency(Duration::ZERO);
    shop.arrived("measured changes").await;
    tell("creates", creates);
    tell("updates", updates);
}

/// Writes, and returns the time from the commit until Zoho has it.
async fn after(shop: &Both, sql: &str, has_it: impl Fn() -> bool) -> Duration {
    shop.write(sql).await;
    let committed = Instant::now();
    while !has_it() {
        assert!(committed.elapsed() < Duration::from_secs(60), "{sql}: it does not arrive");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    committed.elapsed()
}

#[expect(clippy::print_stdout, reason = "the figures of the pushes")]
fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
    println!(
        "{what}: {} changes were at Zoho after p50 {:.0?}, p99 {:.0?}, answers taking {ANSWER:?}",
        times.len(),
        at(50),
        at(99)
    );
}
