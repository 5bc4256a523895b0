//! Cases of [`crate::queue::Queue::settle`]: what becomes of an item.
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::time::Duration;

use super::harness::*;
use crate::{
    inbox::EventStatus,
    queue::{ItemStatus, Outcome, Settle, Settlement, Work, WorkKey},
};

const NOW: Duration = Duration::ZERO;

pub async fn a_completed_item_goes_to_the_archive_under_its_id(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    let item = case.claim().await;
    let settled = case.settle(&item, Settle::Complete(Outcome::Unchanged)).await;
    assert_eq!((settled.accepted, settled.again, settled.fenced), (1, 0, 0));
    case.nothing_to_claim().await;
    let view = harness.stores().queue_operator.get(item.id).await.expect("get").expect("kept");
    assert_eq!((view.status, view.outcome), (ItemStatus::Completed, Some(Outcome::Unchanged)));
    assert!(view.processing_completed_at.expect("ended") >= view.queued_at);
}

pub async fn work_that_arrives_meanwhile_makes_the_item_pending_again(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    let item = case.claim().await;
    case.enqueue(vec![new_item("1", pushed(2, "{}"))]).await;
    case.nothing_to_claim().await;
    let settled = case.settle(&item, Settle::Complete(Outcome::Applied)).await;
    assert_eq!((settled.accepted, settled.again), (1, 1));
    let again = case.claim().await;
    assert_eq!((again.id, again.work.clone()), (item.id, pushed(2, "{}")));
    case.settle(&again, Settle::Complete(Outcome::Applied)).await;
    case.nothing_to_claim().await;
}

pub async fn a_fetch_that_is_asked_for_while_another_is_under_way_is_not_lost(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", Work::fetch())]).await;
    let item = case.claim().await;
    case.enqueue(vec![new_item("1", Work::fetch())]).await;
    assert_eq!(case.settle(&item, Settle::Complete(Outcome::Applied)).await.again, 1);
    assert_eq!(case.claim().await.work, Work::fetch());
}

pub async fn a_recheck_that_is_asked_for_meanwhile_makes_the_item_pending_again_once(harness: &dyn Harness) {
    let case = Case(harness);
    let recheck = || Work { recheck: true, ..pushed(1, "{}") };
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    for again in [1, 0] {
        let item = case.claim().await;
        assert_eq!(item.work.recheck, again == 0);
        case.enqueue(vec![new_item("1", recheck())]).await;
        assert_eq!(case.settle(&item, Settle::Complete(Outcome::Unchanged)).await.again, again);
    }
    case.nothing_to_claim().await;
}

pub async fn work_that_arrives_during_a_failing_attempt_is_tried_at_once(harness: &dyn Harness) {
    let case = Case(harness);
    let settles = [
        Settle::DeadLetter { error: "broken".into() },
        Settle::Retry { after: LONG, error: "broken".into() },
        Settle::Release { after: LONG, fetch: false, reason: None },
    ];
    for (n, settle) in settles.into_iter().enumerate() {
        let id = n.to_string();
        case.enqueue(vec![new_item(&id, pushed(1, "{}"))]).await;
        let item = case.claim().await;
        case.enqueue(vec![new_item(&id, pushed(2, "{}"))]).await;
        assert_eq!(case.settle(&item, settle).await.again, 1);
        let again = case.claim().await;
        assert_eq!((again.work.clone(), again.retry_count), (pushed(2, "{}"), 0));
        case.settle(&again, Settle::Complete(Outcome::Applied)).await;
    }
}

pub async fn a_retry_waits_for_its_delay_and_spends_an_attempt(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    let item = case.claim().await;
    case.settle(&item, Settle::Retry { after: LONG, error: "no answer".into() }).await;
    case.nothing_to_claim().await;
    let view = harness.stores().queue_operator.get(item.id).await.expect("get").expect("kept");
    assert_eq!((view.status, view.retry_count), (ItemStatus::Failed, 1));
    assert!(view.error_message.expect("an error").contains("no answer"));
    case.enqueue(vec![new_item("2", pushed(1, "{}"))]).await;
    let item = case.claim().await;
    case.settle(&item, Settle::Retry { after: SHORT, error: "no answer".into() }).await;
    let again = case.claim().await;
    assert_eq!((again.id, again.retry_count), (item.id, 1));
}

pub async fn a_release_spends_no_attempt(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    let item = case.claim().await;
    let reason = Some("too many requests".to_owned());
    case.settle(&item, Settle::Release { after: NOW, fetch: false, reason }).await;
    let view = &case.items().await[0];
    assert_eq!(view.status, ItemStatus::Pending);
    assert!(view.error_message.as_deref().expect("a reason").contains("too many requests"));
    let again = case.claim().await;
    assert_eq!((again.retry_count, again.work), (0, pushed(1, "{}")));
}

pub async fn a_release_waits_for_its_delay(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    let item = case.claim().await;
    case.settle(&item, Settle::Release { after: LONG, fetch: false, reason: None }).await;
    case.nothing_to_claim().await;
}

pub async fn a_release_that_asks_for_a_fetch_drops_the_payload(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    let item = case.claim().await;
    case.settle(&item, Settle::Release { after: NOW, fetch: true, reason: None }).await;
    assert_eq!(case.claim().await.work.payload, None);
}

pub async fn a_dead_letter_is_kept_and_does_not_block_newer_work_of_its_record(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    let item = case.claim().await;
    case.settle(&item, Settle::DeadLetter { error: "broken".into() }).await;
    case.nothing_to_claim().await;
    let view = harness.stores().queue_operator.get(item.id).await.expect("get").expect("kept");
    assert_eq!(view.status, ItemStatus::DeadLetter);
    assert!(view.error_message.expect("an error").contains("broken"));
    case.enqueue(vec![new_item("1", pushed(2, "{}"))]).await;
    let newer = case.claim().await;
    assert_eq!((newer.work, newer.retry_count), (pushed(2, "{}"), 0));
}

pub async fn a_redirected_item_moves_with_its_event_to_the_other_entity_type(harness: &dyn Harness) {
    let case = Case(harness);
    let event = case.accept(event("a", vec![(key(CUSTOMERS, "1"), Work::fetch())])).await;
    let item = case.claim().await;
    case.settle(&item, Settle::Redirect { to: VENDORS, work: pushed(5, "{}") }).await;
    let moved = case.claim().await;
    assert_eq!((moved.key.clone(), moved.work.clone()), (key(VENDORS, "1"), pushed(5, "{}")));
    case.nothing_to_claim().await;
    assert_ne!(case.event(event).await.status, EventStatus::Completed);
    case.settle(&moved, Settle::Complete(Outcome::Applied)).await;
    let stored = case.event_reaches(event, EventStatus::Completed).await;
    assert_eq!(stored.outcome, Some(Outcome::Applied));
}

pub async fn a_redirected_item_keeps_its_direction(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![outbound("7")]).await;
    let item = case.claim().await;
    case.settle(&item, Settle::Redirect { to: VENDORS, work: Work::fetch() }).await;
    assert_eq!(case.claim().await.key, WorkKey::outbound(VENDORS, "7"));
    case.nothing_to_claim().await;
}

pub async fn settlements_of_one_call_are_judged_one_by_one(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue((0..3).map(|n| new_item(&n.to_string(), pushed(1, "{}"))).collect()).await;
    let claimed = [case.claim().await, case.claim().await, case.claim().await];
    case.settle(&claimed[0], Settle::Complete(Outcome::Applied)).await;
    let settles =
        claimed.iter().map(|item| Settlement::new(item, Settle::Complete(Outcome::Applied))).collect();
    let settled = harness.stores().queue.settle(settles).await.expect("settle");
    assert_eq!((settled.accepted, settled.fenced), (2, 1));
}

pub async fn an_item_redirected_to_its_own_entity_type_stays_and_asks_the_source(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    let claimed = case.claim().await;
    let itself = Settle::Redirect { to: PRODUCTS, work: pushed(2, "{}") };
    assert_eq!(case.settle(&claimed, itself).await.accepted, 1);
    let again = case.claim().await;
    assert_eq!((again.id, again.retry_count, again.work.payload), (claimed.id, 0, None));
}

pub async fn an_item_that_ends_well_after_failures_shows_no_error(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    let claimed = case.claim().await;
    case.settle(&claimed, Settle::Retry { after: Duration::ZERO, error: "away".to_owned() }).await;
    let claimed = case.claim().await;
    case.settle(&claimed, Settle::Complete(Outcome::Applied)).await;
    let [item] = case.items().await.try_into().expect("one item");
    assert_eq!((item.status, item.retry_count, item.error_message), (ItemStatus::Completed, 1, None));
}
