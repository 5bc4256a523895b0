//! Cases of [`crate::inbox::Inbox`] and [`crate::inbox::InboxOperator`].
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::{collections::HashSet, sync::Arc};

use super::harness::*;
use crate::{
    inbox::{Disposition, EventFilter, EventStatus, NewEvent},
    queue::{Claimed, Lane, Outcome, Settle, Work},
};

fn with(event_id: &str, disposition: Disposition) -> NewEvent {
    NewEvent { disposition, ..event(event_id, Vec::new()) }
}

pub async fn an_accepted_event_and_its_work_are_there_when_accept_returns(harness: &dyn Harness) {
    let case = Case(harness);
    let work = pushed(1, r#"{"n":1}"#);
    let id = case.accept(event("a", vec![(product("1"), work.clone())])).await;
    let stored = case.event(id).await;
    assert_eq!((stored.status, stored.event_id.as_str()), (EventStatus::Pending, "a"));
    let item = case.claim().await;
    assert_eq!((item.key, item.work), (product("1"), work));
}

pub async fn a_delivery_that_is_there_already_changes_nothing_and_queues_nothing(harness: &dyn Harness) {
    let case = Case(harness);
    let first = harness.stores().inbox.accept(event("a", vec![(product("1"), Work::fetch())])).await;
    let first = first.expect("accept");
    let item = case.claim().await;
    case.settle(&item, Settle::Complete(Outcome::Applied)).await;
    let second = harness.stores().inbox.accept(event("a", vec![(product("1"), Work::fetch())])).await;
    let second = second.expect("accept");
    assert!(!first.duplicate && second.duplicate);
    assert_eq!(second.id, first.id);
    case.nothing_to_claim().await;
    assert_eq!(case.items().await.len(), 1);
    case.event_reaches(first.id, EventStatus::Completed).await;
}

pub async fn a_delivery_that_comes_back_after_another_of_its_record_is_read_again(harness: &dyn Harness) {
    let case = Case(harness);
    let inbox = &harness.stores().inbox;
    let deliver = async |name: &str, records: &[&str]| {
        let work =
            records.iter().map(|id| (product(id), pushed(1, &format!(r#"{{"of":"{name}"}}"#)))).collect();
        inbox.accept(event(name, work)).await.expect("accept")
    };
    let end = async || {
        let item = case.claim().await;
        case.settle(&item, Settle::Complete(Outcome::Applied)).await;
        item
    };
    let first = deliver("a", &["1"]).await;
    end().await;
    deliver("of another record", &["2"]).await;
    end().await;
    assert!(deliver("a", &["1"]).await.duplicate);
    case.nothing_to_claim().await;

    deliver("b", &["1"]).await;
    end().await;
    let back = deliver("a", &["1"]).await;
    assert_eq!((back.id, back.duplicate), (first.id, true));
    case.event_reaches(first.id, EventStatus::Pending).await;
    let item = end().await;
    assert_eq!((item.key, item.work.payload, item.lane), (product("1"), None, Lane::Webhook));
    let stored = case.event_reaches(first.id, EventStatus::Completed).await;
    assert_eq!(stored.outcome, Some(Outcome::Applied));
    assert!(deliver("a", &["1"]).await.duplicate, "now it is the newest one known");
    case.nothing_to_claim().await;
    assert!(deliver("b", &["1"]).await.duplicate, "it comes back as well");
    assert_eq!(end().await.work.payload, None);
    assert_eq!(case.items().await.len(), 5);
}

pub async fn a_delivery_about_several_records_that_comes_back_reads_those_that_others_were_about(
    harness: &dyn Harness,
) {
    let case = Case(harness);
    let inbox = &harness.stores().inbox;
    let deliver = async |name: &str, records: &[&str]| {
        let work = records.iter().map(|id| (product(id), Work::fetch())).collect();
        inbox.accept(NewEvent { entity_id: Some(name.into()), ..event(name, work) }).await.expect("accept")
    };
    let end_all = async || {
        let items = case.claim_now(10).await;
        for item in &items {
            case.settle(item, Settle::Complete(Outcome::Applied)).await;
        }
        items.into_iter().map(|item| item.key.id.to_string()).collect::<HashSet<_>>()
    };
    let first = deliver("adjustment", &["1", "2", "3"]).await;
    end_all().await;
    deliver("bill", &["2", "4"]).await;
    end_all().await;
    assert!(deliver("adjustment", &["1", "2", "3"]).await.duplicate);
    assert_eq!(end_all().await, HashSet::from(["2".to_owned()]));
    case.event_reaches(first.id, EventStatus::Completed).await;
    assert!(deliver("bill", &["2", "4"]).await.duplicate);
    assert_eq!(end_all().await, HashSet::from(["2".to_owned()]));
}

pub async fn one_delivery_accepted_many_times_at_once_is_stored_once(harness: &dyn Harness) {
    let case = Case(harness);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let inbox = Arc::clone(&harness.stores().inbox);
        tasks.spawn(async move { inbox.accept(event("a", vec![(product("1"), Work::fetch())])).await });
    }
    let accepted: Vec<_> = tasks.join_all().await.into_iter().map(|result| result.expect("accept")).collect();
    assert_eq!(accepted.iter().filter(|accepted| !accepted.duplicate).count(), 1);
    assert_eq!(accepted.iter().map(|accepted| accepted.id).collect::<HashSet<_>>().len(), 1);
    assert_eq!(case.items().await.len(), 1);
}

pub async fn the_body_is_kept_byte_for_byte_with_its_headers(harness: &dyn Harness) {
    let case = Case(harness);
    let body: Vec<u8> = (0..=255).collect();
    let sent = NewEvent { raw_payload: body.clone(), ..event("a", vec![(product("1"), Work::fetch())]) };
    let headers = sent.headers.clone();
    let id = case.accept(sent).await;
    let stored = case.event(id).await;
    assert_eq!(stored.raw_payload, Some(body));
    assert_eq!(stored.headers, Some(headers));
}

pub async fn an_ignored_event_is_completed_and_queues_nothing(harness: &dyn Harness) {
    let case = Case(harness);
    let id = case.accept(with("a", Disposition::Ignored("another organization".into()))).await;
    let stored = case.event_reaches(id, EventStatus::Completed).await;
    assert_eq!(stored.outcome, Some(Outcome::Ignored));
    case.nothing_to_claim().await;
}

pub async fn an_event_that_was_not_understood_is_failed_with_the_reason(harness: &dyn Harness) {
    let case = Case(harness);
    let id = case.accept(with("a", Disposition::Unparsed("no record in it".into()))).await;
    let stored = case.event_reaches(id, EventStatus::Failed).await;
    assert!(stored.error_message.expect("a reason").contains("no record in it"));
    assert!(stored.processed_at.expect("it ended at once") >= stored.received_at, "it ended before it came");
    case.nothing_to_claim().await;
}

pub async fn an_event_gets_the_outcome_of_its_item(harness: &dyn Harness) {
    let case = Case(harness);
    for (name, outcome) in [("a", Outcome::Applied), ("b", Outcome::Stale), ("c", Outcome::Deleted)] {
        let id = case.accept(event(name, vec![(product(name), pushed(1, "{}"))])).await;
        let item = case.claim().await;
        case.settle(&item, Settle::Complete(outcome)).await;
        let stored = case.event_reaches(id, EventStatus::Completed).await;
        assert_eq!(stored.outcome, Some(outcome));
        assert!(stored.processed_at.is_some());
    }
}

pub async fn events_folded_into_a_newer_one_are_superseded(harness: &dyn Harness) {
    let case = Case(harness);
    let old = case.accept(event("a", vec![(product("1"), pushed(1, "{}"))])).await;
    let new = case.accept(event("b", vec![(product("1"), pushed(2, "{}"))])).await;
    let stale = case.accept(event("c", vec![(product("1"), pushed(0, "{}"))])).await;
    let item = case.claim().await;
    case.settle(&item, Settle::Complete(Outcome::Applied)).await;
    case.nothing_to_claim().await;
    for (id, outcome) in [(old, Outcome::Superseded), (new, Outcome::Applied), (stale, Outcome::Superseded)] {
        let stored = case.event_reaches(id, EventStatus::Completed).await;
        assert_eq!(stored.outcome, Some(outcome), "{}", stored.event_id);
    }
}

pub async fn an_event_of_several_records_ends_with_its_last_item(harness: &dyn Harness) {
    let case = Case(harness);
    let work = vec![(product("1"), Work::fetch()), (product("2"), Work::fetch())];
    let id = case.accept(event("a", work)).await;
    let (first, second) = (case.claim().await, case.claim().await);
    case.settle(&first, Settle::Complete(Outcome::Applied)).await;
    harness.advance(LONGER).await;
    assert_ne!(case.event(id).await.status, EventStatus::Completed);
    case.settle(&second, Settle::Complete(Outcome::Unchanged)).await;
    let stored = case.event_reaches(id, EventStatus::Completed).await;
    assert_eq!(stored.outcome, Some(Outcome::Applied));
}

pub async fn an_event_whose_item_became_a_dead_letter_is_failed_with_the_error(harness: &dyn Harness) {
    let case = Case(harness);
    let id = case.accept(event("a", vec![(product("1"), Work::fetch())])).await;
    let item = case.claim().await;
    case.settle(&item, Settle::DeadLetter { error: "the unit is unknown".into() }).await;
    let stored = case.event_reaches(id, EventStatus::Failed).await;
    assert!(stored.error_message.expect("a reason").contains("the unit is unknown"));
}

pub async fn an_event_is_processed_only_with_its_own_work(harness: &dyn Harness) {
    let case = Case(harness);
    let first = case.accept(event("a", vec![(product("1"), pushed(1, "{}"))])).await;
    let item = case.claim().await;
    let second = case.accept(event("b", vec![(product("1"), pushed(2, "{}"))])).await;
    assert_eq!(case.settle(&item, Settle::Complete(Outcome::Applied)).await.again, 1);
    harness.advance(LONGER).await;
    assert_ne!(case.event(second).await.status, EventStatus::Completed, "its work was not handled yet");
    let item = case.claim().await;
    assert_eq!(item.work, pushed(2, "{}"));
    case.settle(&item, Settle::Complete(Outcome::Applied)).await;
    case.event_reaches(first, EventStatus::Completed).await;
    let stored = case.event_reaches(second, EventStatus::Completed).await;
    assert_eq!(stored.outcome, Some(Outcome::Applied));
}

pub async fn an_event_is_processing_while_a_claim_that_is_held_shows_its_work(harness: &dyn Harness) {
    let case = Case(harness);
    let id = case.accept(event("a", vec![(product("1"), Work::fetch())])).await;
    let old = case.claim_for(SHORT).await;
    harness.advance(LONGER).await;
    let item = case.claim().await;
    let show = async |item: &Claimed| {
        let lease = item.lease();
        harness.stores().queue.mark_processing(&[lease]).await.expect("shown");
    };
    show(&old).await;
    assert_eq!(case.event(id).await.status, EventStatus::Pending, "the claim was lost");
    show(&item).await;
    show(&item).await;
    assert_eq!(case.event(id).await.status, EventStatus::Processing);
    let retry = Settle::Retry { after: LONG, error: "not now".into() };
    case.settle(&item, retry).await;
    case.event_reaches(id, EventStatus::Pending).await;
    show(&item).await;
    assert_eq!(case.event(id).await.status, EventStatus::Pending, "the claim is over");
}

pub async fn a_replayed_event_is_pending_again_and_follows_its_items(harness: &dyn Harness) {
    let case = Case(harness);
    let id = case.accept(with("a", Disposition::Unparsed("no record in it".into()))).await;
    case.event_reaches(id, EventStatus::Failed).await;
    let again = disposition(vec![(product("1"), Work::fetch())]);
    harness.stores().inbox_operator.replay(id, again).await.expect("replay");
    case.event_reaches(id, EventStatus::Pending).await;
    let item = case.claim().await;
    case.settle(&item, Settle::Complete(Outcome::Applied)).await;
    let stored = case.event_reaches(id, EventStatus::Completed).await;
    assert_eq!((stored.outcome, stored.error_message), (Some(Outcome::Applied), None));
}

pub async fn pages_of_events_come_newest_first_and_show_each_event_once(harness: &dyn Harness) {
    let case = Case(harness);
    let mut expected = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        expected.insert(0, case.accept(with(name, Disposition::Ignored("test".into()))).await);
    }
    let operator = &harness.stores().inbox_operator;
    let (mut seen, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let page = operator.list_events(&EventFilter::default(), 2, cursor.as_deref()).await.expect("a page");
        seen.extend(page.items.into_iter().map(|event| event.id));
        pages += 1;
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((seen, pages), (expected, 3));
}

pub async fn the_search_for_events_takes_its_text_literally_and_without_regard_to_case(
    harness: &dyn Harness,
) {
    let case = Case(harness);
    case.accept(with("Delivery_1%", Disposition::Unparsed("cut off".into()))).await;
    case.accept(with("another", Disposition::Ignored("test".into()))).await;
    for (search, expected) in [("delivery_1%", 1), ("%", 1), ("CUT OFF", 1), ("_", 1), ("nowhere", 0)] {
        let filter = EventFilter { search: Some(search.into()), ..EventFilter::default() };
        let page = harness.stores().inbox_operator.list_events(&filter, 10, None).await.expect("a page");
        assert_eq!(page.items.len(), expected, "{search}");
    }
}

pub async fn inbox_stats_count_by_status_and_entity_type(harness: &dyn Harness) {
    let case = Case(harness);
    case.accept(with("a", Disposition::Ignored("test".into()))).await;
    case.accept(with("b", Disposition::Unparsed("test".into()))).await;
    case.accept(event("c", vec![(product("1"), Work::fetch())])).await;
    let stats = harness.stores().inbox_operator.inbox_stats().await.expect("stats");
    assert_eq!(stats.total, 3);
    let of = |status| stats.by_status.get(&status).copied().unwrap_or_default();
    let counted = (of(EventStatus::Completed), of(EventStatus::Failed), of(EventStatus::Pending));
    assert_eq!(counted, (1, 1, 1));
    assert_eq!(stats.by_entity.get(&PRODUCTS), Some(&3));
    assert_eq!((stats.last_24h.total, stats.last_24h.completed, stats.last_24h.failed), (3, 1, 1));
    assert_eq!(stats.last_24h.success_rate_percent(), Some(33.33));
    assert!(stats.last_received_at.is_some());
    let hour = std::time::Duration::from_secs(3_600);
    let lately = harness.stores().inbox_operator.deliveries(hour).await.expect("deliveries");
    assert_eq!(lately.by_entity, stats.by_entity);
    assert!(lately.span < hour, "{:?}", lately.span);
}
