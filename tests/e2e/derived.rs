//! Derived values: stock, balances and statuses follow the documents that move them, without a schedule.

pub(crate) mod documents;
pub(crate) mod values;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tds_core::{handler::SAVING_CALLS, queue::Lane};
use tokio::{sync::mpsc, time::Instant};

use self::{
    documents::{Delivery, ITEMS, PARTIES, Parties},
    values::{Sent, Values, ages, assert_equal, expected},
};
use crate::shop::{Shop, budget_of};

/// The number of documents of each kind.
const EACH: u64 = 38;
/// The length of a gathering, in seconds.
const GATHERING: u64 = 1;
/// What the contract promises from a delivery to the values that follow from it.
const PROMISED: Duration = Duration::from_secs(10);
/// The plan of the organization, in calls a day. The test needs a small part of it.
const PLAN: u32 = 1_000_000;
/// The work that is open, except the second looks at what showed no change. They count as enqueued a minute later.
const OPEN: &str = "status IN ('pending','processing','failed') AND queued_at <= now()";

/// Sends deliveries at the same time.
async fn deliver(shop: &Shop, deliveries: &[Delivery], sent: &mpsc::UnboundedSender<Sent>) {
    let state: Arc<Values> = Arc::new(expected(&shop.zoho));
    let send = |delivery: &Delivery| {
        let one = Sent { moves: delivery.moves.clone(), at: Instant::now(), state: Arc::clone(&state) };
        let (path, body) = (delivery.path.clone(), delivery.body.clone());
        async move {
            let (status, answer) = shop.webhook(&path, &body).await;
            assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("accepted")), "{answer}");
            sent.send(one).expect("somebody measures");
        }
    };
    stream::iter(deliveries).map(send).buffer_unordered(16).collect::<Vec<()>>().await;
}

/// Waits until all work is done except the second looks.
async fn rest(shop: &Shop) {
    shop.until(&format!("SELECT count(*)::text FROM tds_sync_queue WHERE {OPEN}"), "0").await;
}

#[expect(clippy::print_stdout, reason = "the figures of the deliveries")]
fn tell(what: &str, ages: &[Duration]) -> Duration {
    let at = |percent: usize| ages[(ages.len() * percent).div_ceil(100) - 1];
    let (p50, p99, max) = (at(50), at(99), at(100));
    println!("{what}: {} deliveries, right after p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}", ages.len());
    p99
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_balances_and_applied_documents_follow_the_documents_without_a_schedule() {
    let (wait, plan) = (format!("{GATHERING}s"), PLAN.to_string());
    let shop = Shop::open_with(&[("TDS_DERIVED_WAIT", &wait), ("ZOHO_DAILY_LIMIT", &plan)]).await;
    let parties = Parties::enter(&shop.zoho);
    for entity in ["customers", "vendors", "stock"] {
        shop.sync(entity, "full").await;
    }
    let before = (shop.zoho.calls_to("/itemdetails"), shop.zoho.calls_to("/contacts/"));
    let began = Instant::now();
    let (sender, sent) = mpsc::unbounded_channel();
    let send = async {
        let mut created = 0;
        for n in 1..=EACH {
            let deliveries = parties.trade(&shop.zoho, n);
            created += deliveries.len();
            deliver(&shop, &deliveries, &sender).await;
        }
        assert_eq!(created, 304);
        deliver(&shop, &parties.change(&shop.zoho, EACH), &sender).await;
        drop(sender);
    };
    let ((), ages) = tokio::join!(send, ages(&shop.zoho, &shop.database, sent));
    let p99 = tell("derived values", &ages);
    assert!(p99 <= PROMISED, "{p99:?}");
    rest(&shop).await;
    assert_equal(&shop.zoho, &shop.database).await;

    // One call for 100 items and one for each contact in each gathering. The first and the last gathering may be
    // shorter than the others.
    let gatherings = began.elapsed().as_secs() / GATHERING + 2;
    let after = (shop.zoho.calls_to("/itemdetails") - before.0, shop.zoho.calls_to("/contacts/") - before.1);
    println!("{} calls for items and {} for contacts in at most {gatherings} gatherings", after.0, after.1);
    assert!(after.0 <= gatherings * ITEMS.div_ceil(100), "{after:?}");
    assert!(after.1 <= gatherings * 2 * PARTIES, "{after:?}");
    assert!(after.1 >= 2 * PARTIES && after.0 >= 2, "the values were read because of the documents");

    // The age of a value is that of the read that last showed it.
    let seen = "erp.customers WHERE balance_seen_at IS NULL OR balance_seen_at < now() - interval '1 hour'";
    assert_eq!(shop.count(seen).await, 0);
    assert_eq!(shop.count("erp.stock_levels WHERE synced_at IS NULL").await, 0);
    nothing_is_read_for_what_did_not_change(&shop, &parties).await;
    values_are_late_but_right_while_calls_are_saved(&shop, &parties).await;
}

/// The same document in another spelling moves nothing.
async fn nothing_is_read_for_what_did_not_change(shop: &Shop, parties: &Parties) {
    let deliveries = parties.trade(&shop.zoho, EACH + 1);
    let (sender, _sent) = mpsc::unbounded_channel();
    deliver(shop, &deliveries, &sender).await;
    rest(shop).await;
    let calls = shop.zoho.calls();
    let again: Value = serde_json::from_str(&deliveries[1].body).expect("JSON");
    let spelled = serde_json::to_string_pretty(&again).expect("JSON");
    shop.webhook(&deliveries[1].path, &spelled).await;
    rest(shop).await;
    assert!(shop.zoho.calls() - calls <= 1, "at most the document itself was read");
}

/// While the calls of the day do not suffice, reads of derived values wait longer. At rest all values are right.
#[expect(clippy::print_stdout, reason = "says that there was nothing to show")]
async fn values_are_late_but_right_while_calls_are_saved(shop: &Shop, parties: &Parties) {
    let Some(spent) = spent_too_soon(shop).await else {
        println!("the first hour of a day is never frugal, so nothing is put off");
        return;
    };
    spend(shop, spent).await;
    step_is(shop, "frugal").await;
    let derived = format!("tds_sync_queue WHERE priority = {} AND {OPEN}", Lane::Derived.priority());
    let put_off = format!("{derived} AND error_message = '{SAVING_CALLS}'");
    let not_handled =
        format!("SELECT count(*)::text FROM {derived} AND error_message IS DISTINCT FROM '{SAVING_CALLS}'");
    let (sender, sent) = mpsc::unbounded_channel();
    let send = async {
        // What is gathered at the end of a slot is read at once, so the first documents may be too early or too late.
        for n in EACH + 2.. {
            assert!(n < EACH + 40, "nothing is put off");
            deliver(shop, &parties.trade(&shop.zoho, n), &sender).await;
            shop.until(&not_handled, "0").await;
            if shop.count(&put_off).await > 0 {
                break;
            }
        }
        drop(sender);
    };
    let ((), ages) = tokio::join!(send, ages(&shop.zoho, &shop.database, sent));
    tell("derived values while calls are saved", &ages);
    rest(shop).await;
    assert_equal(&shop.zoho, &shop.database).await;
    step_is(shop, "frugal").await;

    spend(shop, 0).await;
    step_is(shop, "normal").await;
    let (sender, _sent) = mpsc::unbounded_channel();
    deliver(shop, &parties.trade(&shop.zoho, EACH + 41), &sender).await;
    rest(shop).await;
    assert_equal(&shop.zoho, &shop.database).await;
}

/// Returns the number of calls after which, at this time of the day, a quarter more calls are expected than are left.
/// `None` means that the day is too young.
async fn spent_too_soon(shop: &Shop) -> Option<u32> {
    let passed = "SELECT (extract(epoch FROM clock_timestamp())::bigint % 86400)::text";
    let passed: f64 = shop.text(passed).await?.parse().ok()?;
    // The budget counts the rest of a day as at least half an hour.
    let expected = (86_400.0 - passed).max(1_800.0) / passed;
    let ours = f64::from(PLAN) * 0.8;
    // The solution of `spent · expected = 1.25 · (0.95 · ours - spent)`. A twentieth is for operators.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "less than the plan")]
    let spent = (1.25 * 0.95 * ours / (expected + 1.25)) as u32;
    (passed >= 3_600.0).then_some(spent)
}

/// Acts as if so many calls had been made today for webhooks.
async fn spend(shop: &Shop, calls: u32) {
    let lane = Lane::ALL.iter().position(|lane| *lane == Lane::Webhook).expect("a lane");
    let sql = format!(
        "UPDATE tds_shared_states SET version = version + 1,
           state = jsonb_set(state::jsonb, '{{day,spent,{lane}}}', '{calls}')::text
          WHERE name = '{}' RETURNING name",
        budget_of(&shop.zoho)
    );
    shop.text(&sql).await.expect("the budget is known");
}

/// Waits until the server saves calls as this step says.
async fn step_is(shop: &Shop, step: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (_, stats) = shop.get("/api/zoho/sync/stats").await;
        if stats["api_budget"]["step"] == step {
            return;
        }
        assert!(Instant::now() < deadline, "{:#}", stats["api_budget"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
