//! Cases of [`crate::limits::credentials::CredentialLeases`].
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::time::Duration;

use super::harness::*;
use crate::limits::credentials::{Claim, Cooldown, RenewalResult, RenewalRule};

const NAME: &str = "shop";
const RULE: RenewalRule = RenewalRule { most: 3, within: LONG, time: LONG };

async fn turn(harness: &dyn Harness, rule: &RenewalRule, rejected: Option<u64>) -> Claim {
    harness.stores().leases().claim(NAME, rule, true, rejected).await.expect("turn")
}

async fn ticket(harness: &dyn Harness, rule: &RenewalRule) -> u64 {
    match turn(harness, rule, None).await {
        Claim::Yours(ticket) => ticket,
        other => panic!("not my turn: {other:?}"),
    }
}

/// Ends a renewal. Returns the number of the credential.
async fn finish(harness: &dyn Harness, ticket: u64, outcome: RenewalResult) -> u64 {
    harness.stores().leases().finish(NAME, &RULE, ticket, outcome).await.expect("finish");
    ticket
}

fn renewed(sealed: Option<&str>) -> RenewalResult {
    RenewalResult::Renewed { sealed: sealed.map(str::to_owned), renew_in: LONG, expires_in: LONG * 2 }
}

pub async fn one_process_renews_at_a_time(harness: &dyn Harness) {
    let ticket = ticket(harness, &RULE).await;
    assert!(matches!(turn(harness, &RULE, None).await, Claim::Another(_)));
    finish(harness, ticket, renewed(None)).await;
    assert!(matches!(turn(harness, &RULE, None).await, Claim::Yours(_)));
}

pub async fn a_renewal_whose_holder_died_is_begun_again(harness: &dyn Harness) {
    let short = RenewalRule { time: SHORT, ..RULE };
    let first = ticket(harness, &short).await;
    harness.advance(LONGER).await;
    let second = ticket(harness, &RULE).await;
    assert_ne!(first, second);
    finish(harness, first, renewed(Some("late"))).await;
    assert!(matches!(turn(harness, &RULE, None).await, Claim::Another(_)), "the late one changes nothing");
}

pub async fn a_stored_credential_is_found_by_all_who_share_it(harness: &dyn Harness) {
    let ticket = ticket(harness, &RULE).await;
    let number = finish(harness, ticket, renewed(Some("sealed"))).await;
    let Claim::Ready(found) = turn(harness, &RULE, None).await else { panic!("not found") };
    assert_eq!((found.number, found.sealed.as_str()), (number, "sealed"));
    assert!(found.renew_in <= LONG && found.expires_in > LONG);
    let alone = harness.stores().leases().claim(NAME, &RULE, false, None).await.expect("turn");
    assert!(matches!(alone, Claim::Yours(_)), "who cannot open it renews its own");
}

pub async fn a_rejected_credential_is_renewed_once(harness: &dyn Harness) {
    let first = ticket(harness, &RULE).await;
    let number = finish(harness, first, renewed(Some("old"))).await;
    let Claim::Yours(second) = turn(harness, &RULE, Some(number)).await else { panic!("not renewed") };
    finish(harness, second, renewed(Some("new"))).await;
    let Claim::Ready(found) = turn(harness, &RULE, Some(number)).await else { panic!("renewed again") };
    assert_eq!(found.sealed, "new");
}

pub async fn no_more_renewals_are_begun_than_the_rule_allows(harness: &dyn Harness) {
    for _renewal in 0..RULE.most {
        let ticket = ticket(harness, &RULE).await;
        finish(harness, ticket, renewed(None)).await;
    }
    let Claim::TooOften(wait) = turn(harness, &RULE, None).await else { panic!("one too many") };
    assert!(wait > LONG - Duration::from_secs(60) && wait < LONG + Duration::from_secs(60));
}

pub async fn renewals_that_made_no_credential_do_not_count(harness: &dyn Harness) {
    let none = || Cooldown { kind: "passing".to_owned(), reason: String::new(), wait: Duration::ZERO };
    for _renewal in 0..=RULE.most {
        let ticket = ticket(harness, &RULE).await;
        let failed = RenewalResult::Failed { cooldown: none(), longest: Duration::ZERO, counts: false };
        finish(harness, ticket, failed).await;
    }
    assert!(matches!(turn(harness, &RULE, None).await, Claim::Yours(_)));
}

pub async fn a_cooldown_keeps_every_process_from_renewing_until_it_ends(harness: &dyn Harness) {
    let ticket = ticket(harness, &RULE).await;
    let block = Cooldown { kind: "refused".to_owned(), reason: "revoked".to_owned(), wait: LONGER * 8 };
    let longest = block.wait;
    finish(harness, ticket, RenewalResult::Failed { cooldown: block, longest, counts: false }).await;
    let Claim::Blocked(block) = turn(harness, &RULE, None).await else { panic!("not blocked") };
    assert_eq!((block.kind.as_str(), block.reason.as_str()), ("refused", "revoked"));
    harness.advance(LONGER * 9).await;
    assert!(matches!(turn(harness, &RULE, None).await, Claim::Yours(_)));
}
