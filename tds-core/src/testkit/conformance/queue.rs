//! Cases of [`crate::queue::Queue`]: folding and claiming.
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::harness::*;
use crate::{
    inbox::EventStatus,
    queue::{
        ClaimRequest, Claimed, Direction, ItemStatus, Lane, Lease, NewItem, Outcome, Settle, Waiter, Work,
        fold,
    },
    record::{Observed, Payload, Shape, SourcePayload},
};

pub async fn at_most_one_live_item_per_record_exists(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}")), new_item("1", pushed(2, "{}"))]).await;
    case.enqueue(vec![new_item("1", pushed(3, "{}"))]).await;
    let claimed = case.claim_now(10).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].work, pushed(3, "{}"));
    assert_eq!(case.items().await.len(), 1);
}

pub async fn fold_in_the_store_equals_the_pure_function(harness: &dyn Harness) {
    let case = Case(harness);
    let list = |version: i64, began: i64, json: &str| Work {
        version: Some(at(version)),
        payload: Some(SourcePayload { shape: Shape::List, observed: call(began), json: Payload::new(json) }),
        recheck: false,
    };
    let unversioned = Work {
        version: None,
        payload: Some(SourcePayload {
            shape: Shape::Detail,
            observed: Observed::Push(at(5)),
            json: Payload::new(r#"{"n":0}"#),
        }),
        recheck: false,
    };
    let works = [
        Work::fetch(),
        Work { version: Some(at(3)), ..Work::fetch() },
        unversioned,
        pushed(1, r#"{"n":1}"#),
        pushed(2, r#"{"n":2}"#),
        pushed(2, r#"{"n":3}"#),
        list(1, 100, r#"{"n":1}"#),
        list(2, 0, r#"{"n":2}"#),
        list(2, 200, r#"{"n":3}"#),
        Work { recheck: true, ..Work::fetch() },
        Work { recheck: true, ..list(1, 0, r#"{"n":1}"#) },
        Work { recheck: true, ..pushed(2, r#"{"n":2}"#) },
    ];
    let (mut items, mut expected) = (Vec::new(), Vec::new());
    for (row, waiting) in works.iter().enumerate() {
        for (column, incoming) in works.iter().enumerate() {
            let id = format!("{row}-{column}");
            items.push((new_item(&id, waiting.clone()), new_item(&id, incoming.clone())));
            expected.push((product(&id), fold(waiting, incoming)));
        }
    }
    let (waiting, incoming): (Vec<NewItem>, Vec<NewItem>) = items.into_iter().unzip();
    case.enqueue(waiting).await;
    case.enqueue(incoming).await;
    let claimed = case.claim_now(expected.len() + 1).await;
    assert_eq!(claimed.len(), expected.len());
    for (key, work) in expected {
        let item = claimed.iter().find(|item| item.key == key).expect("one item per record");
        assert_eq!(item.work, work, "{key}");
    }
}

/// Returns work with a row of a list, as a full sync enqueues it.
fn listed(version: i64) -> Work {
    let payload = SourcePayload { shape: Shape::List, observed: call(0), json: Payload::new("{}") };
    Work { version: Some(at(version)), payload: Some(payload), recheck: true }
}

pub async fn a_recheck_is_asked_for_whichever_work_came_first(harness: &dyn Harness) {
    let case = Case(harness);
    // The versions of the pushed body are older than, equal to and newer than the version of the row.
    for pushed_version in 1..=3 {
        for row_first in [true, false] {
            let event = event(
                &format!("{pushed_version} {row_first}"),
                vec![(product("1"), pushed(pushed_version, "{}"))],
            );
            let row = NewItem { lane: Lane::Full, ..new_item("1", listed(2)) };
            let event = if row_first {
                case.enqueue(vec![row]).await;
                case.accept(event).await
            } else {
                let event = case.accept(event).await;
                case.enqueue(vec![row]).await;
                event
            };
            let item = case.claim().await;
            assert_eq!((item.lane, item.work.recheck), (Lane::Webhook, true));
            case.settle(&item, Settle::Complete(Outcome::Applied)).await;
            let ended = case.event_reaches(event, EventStatus::Completed).await;
            let used = item.work.payload.is_none_or(|payload| payload.shape == Shape::Webhook);
            assert_eq!(ended.outcome, Some(if used { Outcome::Applied } else { Outcome::Superseded }));
        }
    }
}

pub async fn a_folded_item_takes_the_more_urgent_lane(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![NewItem { lane: Lane::Full, ..new_item("1", pushed(1, "{}")) }]).await;
    case.enqueue(vec![NewItem { lane: Lane::Webhook, ..new_item("1", pushed(2, "{}")) }]).await;
    case.enqueue(vec![NewItem { lane: Lane::Verify, ..new_item("1", pushed(3, "{}")) }]).await;
    assert_eq!(case.claim().await.lane, Lane::Webhook);
}

pub async fn an_item_is_claimed_by_one_worker_at_a_time(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", Work::fetch())]).await;
    case.claim().await;
    case.nothing_to_claim().await;
    assert_eq!(case.items().await[0].status, ItemStatus::Processing);
}

pub async fn concurrent_claims_never_share_an_item(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue((0..60).map(|n| new_item(&n.to_string(), Work::fetch())).collect()).await;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let queue = Arc::clone(&harness.stores().queue);
        workers.spawn(async move {
            let mut mine = Vec::new();
            for _ in 0..10 {
                mine.extend(queue.claim(&request(5, LONG)).await.expect("claim"));
            }
            mine
        });
    }
    let mut claimed: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    // Concurrent workers may skip items that another worker holds for a moment. These items can be claimed
    // afterwards.
    for _ in claimed.len()..60 {
        claimed.push(case.claim().await);
    }
    assert_eq!(claimed.iter().map(|item| item.id).collect::<HashSet<_>>().len(), 60);
    assert_eq!(claimed.iter().map(|item| item.token).collect::<HashSet<_>>().len(), 60);
    case.nothing_to_claim().await;
}

pub async fn more_urgent_lanes_are_claimed_first(harness: &dyn Harness) {
    let case = Case(harness);
    for lane in [Lane::Full, Lane::Webhook, Lane::Verify, Lane::Operator, Lane::Incremental] {
        let id = lane.priority().to_string();
        case.enqueue(vec![NewItem { lane, ..new_item(&id, Work::fetch()) }]).await;
    }
    let mut order = Vec::new();
    for _ in 0..5 {
        order.push(case.claim().await.lane);
    }
    assert_eq!(order, [Lane::Operator, Lane::Webhook, Lane::Incremental, Lane::Full, Lane::Verify]);
}

pub async fn within_a_lane_what_is_due_longest_is_claimed_first(harness: &dyn Harness) {
    let case = Case(harness);
    for id in ["3", "1", "2"] {
        case.enqueue(vec![new_item(id, Work::fetch())]).await;
        harness.advance(Duration::from_millis(5)).await;
    }
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(case.claim().await.key.id.to_string());
    }
    assert_eq!(order, ["3", "1", "2"]);
}

pub async fn a_claim_takes_only_lanes_as_urgent_as_asked_for_and_no_more_than_the_limit(
    harness: &dyn Harness,
) {
    let case = Case(harness);
    for (id, lane) in [("1", Lane::Webhook), ("2", Lane::Webhook), ("3", Lane::Incremental)] {
        case.enqueue(vec![NewItem { lane, ..new_item(id, Work::fetch()) }]).await;
    }
    let urgent = |limit| ClaimRequest { up_to: Lane::Webhook, ..request(limit, LONG) };
    let queue = &harness.stores().queue;
    assert_eq!(queue.claim(&urgent(1)).await.expect("claim").len(), 1);
    assert_eq!(
        case.until("the second", async || queue.claim(&urgent(10)).await.expect("claim").pop()).await.lane,
        Lane::Webhook
    );
    assert!(queue.claim(&urgent(10)).await.expect("claim").is_empty());
    assert_eq!(case.claim().await.lane, Lane::Incremental);
}

pub async fn tokens_grow_with_every_claim(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", Work::fetch()), new_item("2", Work::fetch())]).await;
    let mut last = case.claim().await.token;
    for _ in 0..3 {
        let item = case.claim().await;
        assert!(item.token > last);
        last = item.token;
        case.settle(&item, Settle::Release { after: Duration::ZERO, fetch: false, reason: None }).await;
    }
}

pub async fn an_expired_lease_makes_the_item_claimable_and_costs_no_attempt(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    let first = case.claim_for(SHORT).await;
    assert_eq!((first.retry_count, first.lost_leases), (0, 0));
    harness.advance(LONGER).await;
    let second = case.claim().await;
    assert_eq!((second.id, second.retry_count, second.lost_leases), (first.id, 0, 1));
    assert_eq!(second.work, first.work);
    assert_ne!(second.token, first.token);
}

/// Claims the one due item and loses its lease, `times` times.
async fn lose(case: &Case<'_>, times: u32) {
    for _ in 0..times {
        case.claim_for(Duration::ZERO).await;
        case.0.advance(Duration::from_millis(2)).await;
    }
}

pub async fn leases_lost_in_a_row_are_counted_until_any_settling(harness: &dyn Harness) {
    let case = Case(harness);
    let ends = [
        Settle::Release { after: Duration::ZERO, fetch: false, reason: None },
        Settle::Retry { after: Duration::ZERO, error: "no answer".into() },
    ];
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    for end in ends {
        lose(&case, 3).await;
        let item = case.claim().await;
        assert_eq!((item.retry_count, item.lost_leases), (0, 3));
        case.settle(&item, end).await;
        let item = case.claim_for(Duration::ZERO).await;
        assert_eq!(item.lost_leases, 0);
        case.settle(&item, Settle::Release { after: Duration::ZERO, fetch: false, reason: None }).await;
    }
}

pub async fn an_item_that_lost_ten_leases_in_a_row_is_claimed_alone(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    lose(&case, Claimed::SUSPECT_AFTER).await;
    case.enqueue(vec![new_item("2", pushed(1, "{}")), new_item("3", pushed(1, "{}"))]).await;
    let mut others = Vec::new();
    while others.len() < 2 {
        others.extend(case.claim_now(10).await);
    }
    assert!(others.iter().all(|item| !item.is_suspect()), "{others:?}");
    let alone =
        case.until("the suspect", async || Some(case.claim_now(10).await).filter(|it| !it.is_empty())).await;
    assert_eq!((alone.len(), &alone[0].key), (1, &product("1")));
    assert!(alone[0].is_suspect() && !alone[0].ends_its_worker());
    case.settle(&alone[0], Settle::Release { after: Duration::ZERO, fetch: false, reason: None }).await;
    assert!(!case.claim().await.is_suspect());
}

fn of(lane: Lane, work: Work) -> NewItem {
    NewItem { lane, ..new_item("1", work) }
}

/// Enqueues one item of the lane and settles it, so that the item waits for a long time.
async fn put_off(case: &Case<'_>, lane: Lane, end: Settle) {
    case.enqueue(vec![of(lane, pushed(5, "{}"))]).await;
    let item = case.claim().await;
    case.settle(&item, end).await;
    case.nothing_to_claim().await;
}

pub async fn more_urgent_work_makes_a_waiting_item_due_now(harness: &dyn Harness) {
    let case = Case(harness);
    let ends = [
        Settle::Release { after: LONG, fetch: false, reason: Some("its lane is closed".into()) },
        Settle::Retry { after: LONG, error: "no answer".into() },
    ];
    for end in ends {
        // The versions are newer, the same and older.
        for version in [6, 5, 4] {
            put_off(&case, Lane::Full, end.clone()).await;
            case.enqueue(vec![of(Lane::Webhook, pushed(version, "{}"))]).await;
            let item = case.claim().await;
            assert_eq!(item.lane, Lane::Webhook);
            case.settle(&item, Settle::Complete(Outcome::Applied)).await;
        }
    }
}

pub async fn work_that_is_no_more_urgent_leaves_a_waiting_item_where_it_is(harness: &dyn Harness) {
    let case = Case(harness);
    put_off(&case, Lane::Webhook, Settle::Release { after: LONG, fetch: false, reason: None }).await;
    for lane in [Lane::Webhook, Lane::Full] {
        case.enqueue(vec![of(lane, pushed(6, "{}"))]).await;
        case.nothing_to_claim().await;
    }
}

pub async fn more_urgent_work_that_arrives_during_a_claim_does_not_sit_out_its_delay(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![of(Lane::Full, pushed(5, "{}"))]).await;
    let item = case.claim().await;
    case.enqueue(vec![of(Lane::Webhook, pushed(5, "{}"))]).await;
    let later = || Settle::Release { after: LONG, fetch: false, reason: None };
    assert_eq!(case.settle(&item, later()).await.again, 0, "it brought nothing new");
    let item = case.claim().await;
    assert_eq!(item.lane, Lane::Webhook);
    case.settle(&item, later()).await;
    case.nothing_to_claim().await;
}

pub async fn claims_that_are_held_are_distinguished_from_those_that_were_lost(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", Work::fetch()), new_item("2", Work::fetch())]).await;
    let (one, other) = (case.claim().await, case.claim().await);
    let leases = [&one, &other].map(|item| item.lease());
    let held = async || {
        let held = harness.stores().queue.held(&leases).await.expect("held");
        held.into_iter().collect::<HashSet<Lease>>()
    };
    assert_eq!(held().await, leases.into_iter().collect());
    case.settle(&one, Settle::Complete(Outcome::Applied)).await;
    assert_eq!(held().await, HashSet::from([leases[1]]));
    case.settle(&other, Settle::Release { after: Duration::ZERO, fetch: false, reason: None }).await;
    assert!(held().await.is_empty());
}

pub async fn settling_with_an_old_token_changes_nothing(harness: &dyn Harness) {
    let case = Case(harness);
    let event = case.accept(event("a", vec![(product("1"), pushed(1, "{}"))])).await;
    let old = case.claim_for(SHORT).await;
    harness.advance(LONGER).await;
    let current = case.claim().await;
    let settles = [
        Settle::Complete(Outcome::Applied),
        Settle::Retry { after: Duration::ZERO, error: "old".into() },
        Settle::Release { after: Duration::ZERO, fetch: true, reason: None },
        Settle::DeadLetter { error: "old".into() },
        Settle::Redirect { to: VENDORS, work: Work::fetch() },
    ];
    for settle in settles {
        let settled = case.settle(&old, settle).await;
        assert_eq!((settled.accepted, settled.fenced), (0, 1));
    }
    case.nothing_to_claim().await;
    assert_eq!(case.items().await[0].status, ItemStatus::Processing);
    assert_ne!(case.event(event).await.status, crate::inbox::EventStatus::Completed);
    assert_eq!(case.settle(&current, Settle::Complete(Outcome::Applied)).await.accepted, 1);
}

pub async fn a_claim_is_settled_once(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", Work::fetch())]).await;
    let item = case.claim().await;
    let release = || Settle::Release { after: LONG, fetch: false, reason: None };
    assert_eq!(case.settle(&item, release()).await.accepted, 1);
    let again = case.settle(&item, Settle::DeadLetter { error: "twice".into() }).await;
    assert_eq!((again.accepted, again.fenced), (0, 1));
    assert_eq!(case.items().await[0].status, ItemStatus::Pending);
}

pub async fn a_renewed_lease_keeps_the_item(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", Work::fetch())]).await;
    let queue = &harness.stores().queue;
    // A slow machine may lose the short lease before the renewal. The case then tries again.
    let held = case.until("a renewed lease", async || {
        let item = case.claim_for(Duration::from_secs(1)).await;
        let lease = item.lease();
        queue.renew(&[lease], LONG).await.expect("renew").pop()
    });
    let held = held.await;
    harness.advance(Duration::from_millis(1_200)).await;
    case.nothing_to_claim().await;
    assert_eq!(queue.renew(&[held], LONG).await.expect("renew"), [held]);
}

pub async fn a_lost_lease_is_missing_from_the_renewed_ones(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", Work::fetch()), new_item("2", Work::fetch())]).await;
    let lost = case.claim_for(SHORT).await;
    harness.advance(LONGER).await;
    let one = case.claim().await;
    let other = case.claim().await;
    let leases = [&lost, &one, &other].map(|item| item.lease());
    let kept: HashSet<Lease> =
        harness.stores().queue.renew(&leases, LONG).await.expect("renew").into_iter().collect();
    assert_eq!(kept, leases[1..].iter().copied().collect());
}

pub async fn nothing_of_a_paused_entity_type_is_claimed(harness: &dyn Harness) {
    let case = Case(harness);
    let operator = &harness.stores().queue_operator;
    operator.set_paused(&PRODUCTS, true).await.expect("pause");
    case.enqueue(vec![new_item("1", Work::fetch())]).await;
    case.enqueue(vec![NewItem { key: key(CUSTOMERS, "2"), ..new_item("2", Work::fetch()) }]).await;
    assert_eq!(case.claim().await.key.entity, CUSTOMERS);
    case.nothing_to_claim().await;
    assert!(operator.paused().await.expect("paused").contains_key(&PRODUCTS));
    operator.set_paused(&PRODUCTS, false).await.expect("resume");
    assert_eq!(case.claim().await.key.entity, PRODUCTS);
    assert!(operator.paused().await.expect("paused").is_empty());
}

pub async fn waiting_for_work_ends_with_the_timeout(harness: &dyn Harness) {
    let queue = &harness.stores().queue;
    let wait = queue.wait(Duration::from_millis(20));
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the wait has an end");
}

pub async fn one_call_may_queue_work_for_the_same_record_of_two_entity_types(harness: &dyn Harness) {
    let case = Case(harness);
    let of =
        |entity, waiter| NewItem { key: key(entity, "1"), lane: Lane::Webhook, work: Work::fetch(), waiter };
    case.enqueue(vec![of(CUSTOMERS, Waiter::Operator), of(VENDORS, Waiter::Operator)]).await;
    assert_eq!(case.claim_now(10).await.len(), 2);
}

pub async fn outbound_work_is_one_item_for_each_local_record(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![outbound("7"), outbound("7"), outbound("8")]).await;
    case.enqueue(vec![outbound("7")]).await;
    let mut claimed = case.claim_now(10).await;
    claimed.sort_by(|one, other| one.key.cmp(&other.key));
    let found: Vec<_> = claimed.iter().map(|item| (item.key.clone(), item.lane, item.work.clone())).collect();
    let expected = ["7", "8"].map(|id| (outbound(id).key, Lane::Outbound, Work::fetch()));
    assert_eq!(found, expected);
    // The record may have been read before it changed again.
    case.enqueue(vec![outbound("7")]).await;
    assert_eq!(case.settle(&claimed[0], Settle::Complete(Outcome::Applied)).await.again, 1);
    assert_eq!(case.settle(&claimed[1], Settle::Complete(Outcome::Applied)).await.again, 0);
    let again = case.claim().await;
    assert_eq!((again.id, &again.key), (claimed[0].id, &claimed[0].key));
    case.settle(&again, Settle::Complete(Outcome::Applied)).await;
    case.nothing_to_claim().await;
}

pub async fn work_of_one_id_in_both_directions_is_two_items(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("7", pushed(1, "{}")), outbound("7")]).await;
    case.enqueue(vec![outbound("7"), new_item("7", pushed(2, "{}"))]).await;
    let (first, second) = (case.claim().await, case.claim().await);
    assert_eq!((first.key.direction, first.work.clone()), (Direction::Outbound, Work::fetch()));
    assert_eq!((second.key.direction, second.work.clone()), (Direction::Inbound, pushed(2, "{}")));
    case.nothing_to_claim().await;
    assert_eq!(case.settle(&second, Settle::Complete(Outcome::Applied)).await.accepted, 1);
    assert_eq!(
        case.settle(&first, Settle::Retry { after: Duration::ZERO, error: "away".into() }).await.accepted,
        1
    );
    let again = case.claim().await;
    assert_eq!((again.id, again.retry_count, again.key), (first.id, 1, first.key));
}
