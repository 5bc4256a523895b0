//! An hour in which Zoho answers no call, in virtual time. The client, the classification of its answers, its breakers,
//! the workers, the runs and the schedules are the real ones, over HTTP; Zoho and the store are simulated.
//!
//! In that hour, webhooks that only name a record arrive, and incremental runs start. Afterwards no item is a dead
//! letter, nothing failed, no attempt was spent, and the mirror is right without an operator.
#![expect(clippy::print_stdout, reason = "the figures are what a person looks for in the output")]

mod front;
mod shop;

use std::time::Duration;

use tds_zoho::testkit::Fault;
use tokio::time::sleep;

use self::shop::{INCREMENTAL, Shop};

const HOUR: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);
/// The network path is probed at least every minute, and an account at least every quarter of an hour. A waiter waits
/// up to a tenth longer, so that not all waiters come at the same time; then the call itself takes some time.
const OF_THE_WAY: Duration = Duration::from_secs(75);
const OF_THE_ACCOUNT: Duration = Duration::from_secs(1_000);
/// All other work is done within this time.
const REST: Duration = Duration::from_secs(1_800);

/// The fault that lasts for an hour.
enum Trouble {
    /// Every call of both products receives this answer.
    Answer(Fault),
    /// No connection is accepted.
    Refused,
    /// Answers are right, but end before their announced length.
    Cut,
}

/// Checks one hour of trouble: afterwards the first record is right within `first`, and at most `calls` calls were made
/// in the hour.
fn hour_of(trouble: &Trouble, first: Duration, calls: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut shop = Shop::open().await;
        let before = shop.calls().await;
        match trouble {
            Trouble::Answer(fault) => {
                for product in ["/books/v3/", "/inventory/v1/"] {
                    shop.fake.faults().every(product, 1, fault.clone());
                }
            }
            Trouble::Refused => shop.front.shut().await,
            Trouble::Cut => shop.front.cut(true),
        }
        for _ in 0..HOUR {
            shop.change().await;
            sleep(MINUTE).await;
        }
        let spent = shop.calls().await - before;
        assert_eq!(shop.shown().0, 0, "nothing could be read");
        match trouble {
            Trouble::Answer(_) => shop.fake.faults().clear(),
            Trouble::Refused => shop.front.reopen().await,
            Trouble::Cut => shop.front.cut(false),
        }
        let recovered = shop.until("the first record is right", first, async || shop.shown().0 > 0).await;
        let rest = shop.until("all is done", REST, async || shop.is_at_rest().await).await;
        // The next incremental runs find the changes without a webhook.
        sleep(INCREMENTAL * 2).await;
        shop.until("all is done again", REST, async || shop.is_at_rest().await).await;
        println!(
            "{spent} calls in the hour, the first record after {recovered:.0?}, the last {rest:.0?} later"
        );
        let faults = shop.faults().await;
        assert!(faults.is_empty(), "{faults:#?}");
        assert!(spent <= calls, "{spent} calls were useless");
        shop.close();
    });
}

fn answer(fault: Fault) -> Trouble {
    Trouble::Answer(fault)
}

#[test]
fn an_hour_of_401_for_everything_is_waited_out() {
    hour_of(&answer(Fault::not_authorized(Some(57))), OF_THE_ACCOUNT, 60);
}

#[test]
fn an_hour_of_401_without_a_code_is_waited_out() {
    hour_of(&answer(Fault::not_authorized(None)), OF_THE_WAY, 600);
}

#[test]
fn an_hour_without_the_user_of_the_organization_is_waited_out() {
    hour_of(&answer(Fault::user_left()), OF_THE_ACCOUNT, 60);
}

#[test]
fn an_hour_without_the_plan_is_waited_out() {
    hour_of(&answer(Fault::not_of_this_plan()), OF_THE_ACCOUNT, 60);
}

#[test]
fn an_hour_of_a_wrong_address_is_waited_out() {
    hour_of(&answer(Fault::wrong_domain()), OF_THE_ACCOUNT, 60);
}

#[test]
fn an_hour_of_a_firewalls_pages_is_waited_out() {
    hour_of(&answer(Fault::Html(403)), OF_THE_WAY, 600);
}

#[test]
fn an_hour_of_503_is_waited_out() {
    hour_of(&answer(Fault::Status(503, 1000, "Service unavailable".to_owned())), OF_THE_WAY, 600);
}

#[test]
fn an_hour_of_refused_connections_is_waited_out() {
    hour_of(&Trouble::Refused, OF_THE_WAY, 600);
}

#[test]
fn an_hour_of_empty_bodies_is_waited_out() {
    for fault in [Fault::EmptyBody, Fault::Empty(400)] {
        hour_of(&answer(fault), OF_THE_WAY, 600);
    }
}

#[test]
fn an_hour_of_bodies_that_break_off_is_waited_out() {
    hour_of(&Trouble::Cut, OF_THE_WAY, 600);
}

#[test]
fn an_hour_of_a_throttle_without_a_code_is_waited_out() {
    hour_of(&answer(Fault::throttled_without_code(1_320)), Duration::from_secs(1_470), 60);
}

#[test]
fn an_hour_of_429_is_waited_out() {
    let fault = Fault::RetryAfter429 { retry_after: "60".to_owned(), code: 44 };
    hour_of(&answer(fault), OF_THE_WAY, 300);
}
