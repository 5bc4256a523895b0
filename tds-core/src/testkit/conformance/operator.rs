//! Cases of [`crate::queue::QueueOperator`].
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::time::Duration;

use super::harness::*;
use crate::{
    inbox::{Disposition, EventStatus, NewEvent},
    queue::{
        Claimed, Deferred, Direction, ItemFilter, ItemStatus, ItemView, NeedsAttention, NewItem, Outcome,
        Settle, Work, WorkerId,
    },
    record::RecordId,
    runs::{Checkpoint, NewRun, PageCommit, RunEnd, RunType},
};

async fn dead(case: &Case<'_>, id: &str, error: &str) -> Claimed {
    case.enqueue(vec![new_item(id, pushed(1, "{}"))]).await;
    let item = case.claim().await;
    case.settle(&item, Settle::DeadLetter { error: error.into() }).await;
    item
}

async fn view(harness: &dyn Harness, item: &Claimed) -> ItemView {
    harness.stores().queue_operator.get(item.id).await.expect("get").expect("kept")
}

fn only(item: &Claimed) -> ItemFilter {
    ItemFilter { ids: Some(vec![item.id]), ..ItemFilter::default() }
}

pub async fn pages_of_items_come_newest_first_and_show_each_item_once(harness: &dyn Harness) {
    let case = Case(harness);
    for n in 0..5 {
        case.enqueue(vec![new_item(&n.to_string(), Work::fetch())]).await;
    }
    let done = case.claim().await;
    case.settle(&done, Settle::Complete(Outcome::Applied)).await;
    let (mut seen, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let page = harness.stores().queue_operator.list(&ItemFilter::default(), 2, cursor.as_deref()).await;
        let page = page.expect("a page");
        seen.extend(page.items.into_iter().map(|item| item.record.to_string()));
        pages += 1;
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((seen.join(" ").as_str(), pages), ("4 3 2 1 0", 3));
}

pub async fn filters_select_items_and_take_their_text_literally(harness: &dyn Harness) {
    let case = Case(harness);
    dead(&case, "a_1", "100% wrong").await;
    dead(&case, "b1", "No unit").await;
    case.enqueue(vec![NewItem { key: key(CUSTOMERS, "c1"), ..new_item("", Work::fetch()) }]).await;
    let filter = |search: &str| ItemFilter { search: Some(search.into()), ..ItemFilter::default() };
    let status = |status| ItemFilter { status: Some(status), ..ItemFilter::default() };
    let filters = [
        (filter("%"), 1),
        (filter("_"), 1),
        (filter("no UNIT"), 1),
        (filter("A_1"), 1),
        (filter("\\"), 0),
        (status(ItemStatus::DeadLetter), 2),
        (status(ItemStatus::Pending), 1),
        (ItemFilter { entity: Some(CUSTOMERS), ..ItemFilter::default() }, 1),
        (ItemFilter { older_than: Some(LONG), ..ItemFilter::default() }, 0),
        (ItemFilter { older_than: Some(Duration::ZERO), ..ItemFilter::default() }, 3),
        (ItemFilter { ids: Some(Vec::new()), ..ItemFilter::default() }, 0),
    ];
    for (filter, expected) in filters {
        let page = harness.stores().queue_operator.list(&filter, 10, None).await.expect("a page");
        assert_eq!(page.items.len(), expected, "{filter:?}");
    }
}

pub async fn one_item_is_shown_with_its_payload_and_its_attempts(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, r#"{"n":1}"#))]).await;
    let item = case.claim().await;
    case.settle(&item, Settle::Retry { after: Duration::ZERO, error: "no answer".into() }).await;
    let item = case.claim_for(SHORT).await;
    harness.advance(LONGER).await;
    case.claim().await;
    let view = view(harness, &item).await;
    assert_eq!(view.payload, Some(serde_json::json!({"n": 1})));
    let attempts = view.attempts.expect("attempts");
    let results: Vec<_> = attempts.iter().map(|attempt| attempt.result.as_str()).collect();
    assert_eq!(results, ["retry", "lease_lost"]);
    assert!(attempts[0].error.as_deref().expect("an error").contains("no answer"));
    assert_eq!(attempts[0].worker.as_deref(), Some("case"));
}

pub async fn a_retried_dead_letter_is_due_with_its_attempts_counted_anew(harness: &dyn Harness) {
    let case = Case(harness);
    let event = case.accept(event("a", vec![(product("1"), pushed(1, "{}"))])).await;
    let item = case.claim().await;
    case.settle(&item, Settle::DeadLetter { error: "broken".into() }).await;
    case.event_reaches(event, EventStatus::Failed).await;
    assert_eq!(harness.stores().queue_operator.retry(&only(&item)).await.expect("retry"), 1);
    case.event_reaches(event, EventStatus::Pending).await;
    let again = case.claim().await;
    assert_eq!((again.id, again.retry_count, again.work.clone()), (item.id, 0, pushed(1, "{}")));
    case.settle(&again, Settle::Complete(Outcome::Applied)).await;
    case.event_reaches(event, EventStatus::Completed).await;
}

pub async fn a_waiting_retry_can_be_made_due(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", pushed(1, "{}"))]).await;
    let item = case.claim().await;
    case.settle(&item, Settle::Retry { after: LONG, error: "no answer".into() }).await;
    let operator = &harness.stores().queue_operator;
    let all = ItemFilter { status: Some(ItemStatus::Failed), ..ItemFilter::default() };
    assert_eq!(operator.retry(&all).await.expect("retry"), 1);
    let again = case.claim().await;
    assert_eq!((again.id, again.retry_count), (item.id, 0));
    assert_eq!(operator.retry(&only(&item)).await.expect("retry"), 0, "a claimed item is left alone");
}

pub async fn a_dead_letter_retried_beside_newer_work_makes_no_second_live_item(harness: &dyn Harness) {
    let case = Case(harness);
    let event = case.accept(event("a", vec![(product("1"), pushed(1, "{}"))])).await;
    let old = case.claim().await;
    case.settle(&old, Settle::DeadLetter { error: "broken".into() }).await;
    case.enqueue(vec![new_item("1", pushed(2, "{}"))]).await;
    harness.stores().queue_operator.retry(&only(&old)).await.expect("retry");
    let claimed = case.claim_now(10).await;
    assert_eq!(claimed.len(), 1);
    case.settle(&claimed[0], Settle::Complete(Outcome::Applied)).await;
    case.nothing_to_claim().await;
    assert!(case.items().await.iter().all(|item| item.status == ItemStatus::Completed));
    case.event_reaches(event, EventStatus::Completed).await;
}

pub async fn dead_letters_of_a_record_are_retried_as_its_newest_one(harness: &dyn Harness) {
    let case = Case(harness);
    let mut old = Vec::new();
    for (n, name) in [(2, "a"), (1, "b"), (3, "c")] {
        let event = case.accept(event(name, vec![(product("1"), pushed(n, "{}"))])).await;
        let item = case.claim().await;
        case.settle(&item, Settle::DeadLetter { error: "broken".into() }).await;
        old.push((event, item));
    }
    assert_eq!(harness.stores().queue_operator.retry(&ItemFilter::default()).await.expect("retry"), 3);
    let claimed = case.claim_now(10).await;
    let works: Vec<_> = claimed.iter().map(|item| (item.id, item.work.clone())).collect();
    assert_eq!(works, [(old[2].1.id, pushed(3, "{}"))]);
    case.settle(&claimed[0], Settle::Complete(Outcome::Applied)).await;
    assert_eq!(case.event_reaches(old[2].0, EventStatus::Completed).await.outcome, Some(Outcome::Applied));
    assert_eq!(case.event_reaches(old[0].0, EventStatus::Completed).await.outcome, Some(Outcome::Superseded));
    assert_eq!(case.event_reaches(old[1].0, EventStatus::Completed).await.outcome, Some(Outcome::Superseded));
}

pub async fn the_event_of_a_dead_letter_whose_payload_is_the_newest_gets_the_outcome(harness: &dyn Harness) {
    let case = Case(harness);
    let newer = case.accept(event("newer", vec![(product("1"), pushed(2, "{}"))])).await;
    let dead = case.claim().await;
    case.settle(&dead, Settle::DeadLetter { error: "broken".into() }).await;
    let older = case.accept(event("older", vec![(product("1"), pushed(1, "{}"))])).await;
    harness.stores().queue_operator.retry(&only(&dead)).await.expect("retry");
    let item = case.claim().await;
    assert_eq!(item.work, pushed(2, "{}"));
    case.settle(&item, Settle::Complete(Outcome::Applied)).await;
    assert_eq!(case.event_reaches(newer, EventStatus::Completed).await.outcome, Some(Outcome::Applied));
    assert_eq!(case.event_reaches(older, EventStatus::Completed).await.outcome, Some(Outcome::Superseded));
}

pub async fn a_retried_dead_letter_passes_its_recheck_on(harness: &dyn Harness) {
    let case = Case(harness);
    let recheck = Work { recheck: true, ..pushed(1, "{}") };
    case.enqueue(vec![new_item("1", recheck.clone())]).await;
    let item = case.claim().await;
    case.settle(&item, Settle::DeadLetter { error: "broken".into() }).await;
    harness.stores().queue_operator.retry(&only(&item)).await.expect("retry");
    let item = case.claim().await;
    assert_eq!(item.work, recheck);
    case.settle(&item, Settle::DeadLetter { error: "broken".into() }).await;
    case.enqueue(vec![new_item("1", pushed(2, "{}"))]).await;
    harness.stores().queue_operator.retry(&only(&item)).await.expect("retry");
    assert_eq!(case.claim().await.work, Work { recheck: true, ..pushed(2, "{}") });
}

pub async fn dead_letters_are_resolved_and_retried_in_their_own_direction(harness: &dyn Harness) {
    let case = Case(harness);
    let operator = &harness.stores().queue_operator;
    case.enqueue(vec![outbound("7")]).await;
    let dead = case.claim().await;
    case.settle(&dead, Settle::DeadLetter { error: "refused".into() }).await;
    case.enqueue(vec![new_item("7", pushed(1, "{}"))]).await;
    let inbound = case.claim().await;
    case.settle(&inbound, Settle::Complete(Outcome::Applied)).await;
    case.enqueue(vec![new_item("7", pushed(2, "{}"))]).await;
    assert_eq!(view(harness, &dead).await.status, ItemStatus::DeadLetter);
    assert_eq!(operator.retry(&only(&dead)).await.expect("retry"), 1);
    let again = case.claim().await;
    assert_eq!((again.id, &again.key), (dead.id, &dead.key), "it is not folded into inbound work");
    case.settle(&again, Settle::DeadLetter { error: "refused".into() }).await;
    case.enqueue(vec![outbound("7")]).await;
    assert_eq!(operator.retry(&only(&dead)).await.expect("retry"), 1);
    let folded = case.claim().await;
    assert_eq!((folded.id == dead.id, &folded.key), (false, &dead.key));
    assert_eq!(view(harness, &dead).await.status, ItemStatus::Completed);
    case.settle(&folded, Settle::DeadLetter { error: "refused".into() }).await;
    case.enqueue(vec![outbound("7")]).await;
    let done = case.claim().await;
    case.settle(&done, Settle::Complete(Outcome::Applied)).await;
    let resolved =
        async || Some(view(harness, &folded).await).filter(|it| it.status == ItemStatus::Completed);
    case.until("a resolved dead letter", resolved).await;
}

pub async fn outbound_items_show_the_local_id_and_are_found_by_it(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![outbound("4711"), new_item("1", pushed(1, "{}"))]).await;
    let found = ItemFilter { search: Some("471".into()), ..ItemFilter::default() };
    for _ in 0..2 {
        let page = harness.stores().queue_operator.list(&found, 10, None).await.expect("list");
        let shown: Vec<_> = page
            .items
            .into_iter()
            .map(|item| (item.entity_id, item.direction, item.record.to_string()))
            .collect();
        assert_eq!(shown, [(Some("4711".to_owned()), Direction::Outbound, "4711".to_owned())]);
        for item in case.claim_now(10).await {
            case.settle(&item, Settle::Complete(Outcome::Applied)).await;
        }
    }
}

pub async fn a_later_success_of_the_record_resolves_its_older_dead_letters(harness: &dyn Harness) {
    let case = Case(harness);
    let event = case.accept(event("a", vec![(product("1"), pushed(1, "{}"))])).await;
    let old = case.claim().await;
    case.settle(&old, Settle::DeadLetter { error: "broken".into() }).await;
    case.enqueue(vec![new_item("1", pushed(2, "{}"))]).await;
    let newer = case.claim().await;
    case.settle(&newer, Settle::Complete(Outcome::Applied)).await;
    let resolved = case
        .until("a resolved dead letter", async || {
            Some(view(harness, &old).await).filter(|item| item.status == ItemStatus::Completed)
        })
        .await;
    assert_eq!(resolved.outcome, Some(Outcome::Superseded));
    assert_eq!(resolved.error_message, None, "the error is over");
    assert_eq!(resolved.attempts.expect("attempts")[0].error.as_deref(), Some("broken"), "it stays readable");
    let stored = case.event_reaches(event, EventStatus::Completed).await;
    assert_eq!(stored.outcome, Some(Outcome::Superseded));
}

pub async fn a_discarded_item_ends_with_its_error_kept(harness: &dyn Harness) {
    let case = Case(harness);
    let item = dead(&case, "1", "broken").await;
    assert_eq!(harness.stores().queue_operator.discard(&only(&item)).await.expect("discard"), 1);
    let view = view(harness, &item).await;
    assert_eq!((view.status, view.outcome), (ItemStatus::Completed, Some(Outcome::Discarded)));
    assert!(view.error_message.expect("an error").contains("broken"));
    assert_eq!(harness.stores().queue_operator.retry(&only(&item)).await.expect("retry"), 0);
}

pub async fn waiting_items_can_be_discarded_and_claimed_items_are_left_alone(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", Work::fetch())]).await;
    let claimed = case.claim().await;
    let event = case.accept(event("a", vec![(product("2"), Work::fetch())])).await;
    let operator = &harness.stores().queue_operator;
    assert_eq!(operator.discard(&ItemFilter::default()).await.expect("discard"), 1);
    case.nothing_to_claim().await;
    case.event_reaches(event, EventStatus::Completed).await;
    assert_eq!(case.settle(&claimed, Settle::Complete(Outcome::Applied)).await.accepted, 1);
}

pub async fn stats_count_items_by_status_and_entity_type(harness: &dyn Harness) {
    let case = Case(harness);
    dead(&case, "1", "broken").await;
    for n in 0..3 {
        case.enqueue(vec![new_item(&format!("done{n}"), Work::fetch())]).await;
        let item = case.claim().await;
        harness.advance(Duration::from_millis(5)).await;
        case.settle(&item, Settle::Complete(Outcome::Applied)).await;
    }
    case.enqueue(vec![new_item("claimed", Work::fetch())]).await;
    case.claim().await;
    case.enqueue(vec![NewItem { key: key(CUSTOMERS, "1"), ..new_item("", Work::fetch()) }]).await;
    let stats = harness.stores().queue_operator.stats().await.expect("stats");
    let all = stats.queue;
    let counts = (all.pending, all.processing, all.completed, all.failed, all.dead_letter);
    assert_eq!(counts, (1, 1, 3, 0, 1));
    assert_eq!(stats.by_entity.get(&PRODUCTS).expect("products").completed, 3);
    assert_eq!(stats.by_entity.get(&CUSTOMERS).expect("customers").pending, 1);
    let (median, top) = (stats.overall.p50, stats.overall.p99);
    assert!(median.expect("a median") > 0.0 && top >= median && stats.overall.avg <= top);
    assert!(stats.overall.oldest.expect("one is due") >= 0.0);
    let (products, customers) = (stats.delays[&PRODUCTS], stats.delays[&CUSTOMERS]);
    assert_eq!((products.avg, products.p50, products.p99), (stats.overall.avg, median, top));
    assert_eq!((products.oldest, customers.avg), (None, None));
    assert_eq!(customers.oldest, stats.overall.oldest);
}

pub async fn deferred_items_are_counted_with_their_age_and_the_most_frequent_reason(harness: &dyn Harness) {
    let case = Case(harness);
    let operator = &harness.stores().queue_operator;
    assert_eq!(operator.stats().await.expect("stats").deferred, Deferred::default());
    let release = |seconds: u64| Settle::Release {
        after: LONG,
        fetch: false,
        reason: Some(format!("no new token for now (next try in {seconds} s)")),
    };
    let items: Vec<NewItem> = (0..4).map(|n| new_item(&n.to_string(), Work::fetch())).collect();
    case.enqueue(items).await;
    let claimed = case.claim_now(10).await;
    for (item, seconds) in claimed.iter().zip([60, 7]) {
        case.settle(item, release(seconds)).await;
    }
    case.settle(&claimed[2], Settle::Retry { after: LONG * 2, error: "HTTP 500".into() }).await;
    case.settle(&claimed[3], Settle::Complete(Outcome::Applied)).await;
    harness.advance(LONGER).await;
    let stats = operator.stats().await.expect("stats");
    let deferred = stats.deferred;
    assert_eq!(deferred.count, 3);
    // Texts that differ only in numbers count as one reason.
    assert_eq!(deferred.reason.as_deref(), Some("no new token for now (next try in 60 s)"));
    let latest = case.items().await.into_iter().filter(|item| item.status == ItemStatus::Failed);
    assert_eq!(deferred.until, latest.filter_map(|item| item.run_at).max(), "when the last of them is due");
    assert!(stats.overall.oldest.expect("three wait") >= LONGER.as_secs_f64());
    assert!(stats.delays[&PRODUCTS].oldest.expect("three wait") >= LONGER.as_secs_f64());
    let motion = operator.motion().await.expect("motion");
    let held_up = motion.held_up.expect("two webhooks wait, and no attempt of theirs failed");
    assert!(held_up.reason.contains("no new token") && held_up.age >= LONGER, "{held_up:?}");
    assert_eq!((motion.overdue, motion.is_worked_on), (None, true));
}

pub async fn items_of_a_paused_entity_type_count_as_deferred_too(harness: &dyn Harness) {
    let case = Case(harness);
    let operator = &harness.stores().queue_operator;
    operator.set_paused(&CUSTOMERS, true).await.expect("set_paused");
    case.enqueue(vec![NewItem { key: key(CUSTOMERS, "1"), ..new_item("", Work::fetch()) }]).await;
    case.enqueue(vec![new_item("1", Work::fetch())]).await;
    harness.advance(LONGER).await;
    let stats = operator.stats().await.expect("stats");
    assert_eq!((stats.deferred.count, stats.deferred.until), (1, None));
    assert!(stats.deferred.reason.expect("a reason").starts_with("customers is paused"));
    assert!(stats.overall.oldest.expect("two wait") > 0.0);
    let motion = operator.motion().await.expect("motion");
    assert_eq!(motion.paused.into_iter().collect::<Vec<_>>(), [(CUSTOMERS, 1)]);
    assert!(motion.overdue.expect("the product is due") >= LONGER);
    assert!(!motion.is_worked_on && motion.held_up.is_none());
}

pub async fn items_that_a_dead_process_had_claimed_count_as_waiting(harness: &dyn Harness) {
    let case = Case(harness);
    let operator = &harness.stores().queue_operator;
    case.enqueue(vec![new_item("1", Work::fetch())]).await;
    case.claim_for(SHORT).await;
    harness.advance(LONGER).await;
    let stats = operator.stats().await.expect("stats");
    assert!(stats.overall.oldest.expect("it waits") >= SHORT.as_secs_f64());
    let motion = operator.motion().await.expect("motion");
    assert!(
        motion.overdue.expect("since the end of the lease") < LONGER + SHORT && !motion.is_worked_on,
        "{motion:?}"
    );
    operator.set_paused(&PRODUCTS, true).await.expect("set_paused");
    let deferred = operator.stats().await.expect("stats").deferred;
    assert_eq!(deferred.count, 1, "{deferred:?}");
    let motion = operator.motion().await.expect("motion");
    assert_eq!((motion.overdue, motion.paused.get(&PRODUCTS)), (None, Some(&1)));
}

pub async fn everything_that_needs_an_operator_is_counted(harness: &dyn Harness) {
    let case = Case(harness);
    let stores = harness.stores();
    // A dead letter and its event count once.
    case.accept(event("a", vec![(product("1"), pushed(1, "{}"))])).await;
    let item = case.claim().await;
    case.settle(&item, Settle::DeadLetter { error: "broken".into() }).await;
    let odd = NewEvent { disposition: Disposition::Unparsed("no record".into()), ..event("b", Vec::new()) };
    let odd = case.accept(odd).await;
    case.accept(NewEvent { disposition: Disposition::Ignored("a test".into()), ..event("c", Vec::new()) })
        .await;
    let counted = case
        .until("the counts", async || {
            let attention = stores.queue_operator.stats().await.expect("stats").needs_attention;
            (attention.dead_letters == 1).then_some(attention)
        })
        .await;
    let expected = NeedsAttention { dead_letters: 1, unparsed_events: 1, ..NeedsAttention::default() };
    assert_eq!(counted, expected);
    // A replay that understands the event removes it from the count.
    stores
        .inbox_operator
        .replay(odd, disposition(vec![(product("2"), Work::fetch())]))
        .await
        .expect("replay");
    let after = stores.queue_operator.stats().await.expect("stats").needs_attention;
    assert_eq!(after.unparsed_events, 0);
}

pub async fn deletions_that_the_newest_full_list_holds_back_need_an_operator(harness: &dyn Harness) {
    let case = Case(harness);
    let (runs, operator) = (&harness.stores().runs, &harness.stores().queue_operator);
    let held = async || operator.stats().await.expect("stats").needs_attention.held_deletions;
    let request = || NewRun {
        entity: PRODUCTS,
        run_type: RunType::Full,
        source_type: "zoho".into(),
        since: None,
        selection: None,
        verify: None,
        requested_by: "case".into(),
    };
    let last = || PageCommit {
        listed: Vec::new(),
        items: Vec::new(),
        checkpoint: Checkpoint { pages: 1, listed: true, ..Checkpoint::default() },
        last: true,
    };
    let worker = WorkerId("case".into());
    runs.create(request()).await.expect("a run");
    let lease = runs.claim_run(&worker, LONG, None).await.expect("claim").expect("a run");
    let lacking = vec![RecordId::new("1"), RecordId::new("2")];
    runs.end_run(
        lease.run.id,
        lease.token,
        RunEnd::DeletionsHeld { ids: lacking, reason: "2 are missing".to_owned() },
    )
    .await
    .expect("held");
    assert_eq!(held().await, 0, "the run has not ended");
    runs.commit_page(lease.run.id, lease.token, last()).await.expect("the last page");
    case.until("held deletions", async || (held().await == 2).then_some(())).await;
    // The next full list replaces the decision of the previous one.
    runs.create(request()).await.expect("a run");
    let lease = runs.claim_run(&worker, LONG, None).await.expect("claim").expect("a run");
    runs.commit_page(lease.run.id, lease.token, last()).await.expect("the last page");
    case.until("no held deletions", async || (held().await == 0).then_some(())).await;
}

pub async fn blanking_empties_the_bodies_of_what_ended_and_keeps_the_events(harness: &dyn Harness) {
    let case = Case(harness);
    let letter = case.accept(event("letter", vec![(product("1"), Work::fetch())])).await;
    let claimed = case.claim().await;
    case.settle(&claimed, Settle::DeadLetter { error: "broken".to_owned() }).await;
    case.event_reaches(letter, EventStatus::Failed).await;
    let ended = case.accept(event("a", vec![(product("2"), Work::fetch())])).await;
    let done = case.claim().await;
    case.settle(&done, Settle::Complete(Outcome::Applied)).await;
    case.event_reaches(ended, EventStatus::Completed).await;
    let waiting = case.accept(event("b", vec![(product("3"), Work::fetch())])).await;
    harness.advance(LONGER).await;
    let upkeep = &harness.stores().queue_maintenance;
    assert_eq!(upkeep.blank(LONG).await.expect("blank"), 0, "nothing is that old");
    assert_eq!(upkeep.blank(SHORT).await.expect("blank"), 1);
    assert_eq!(upkeep.blank(SHORT).await.expect("blank"), 0, "a body is blanked once");
    let event_of = async |id| case.event(id).await;
    let blanked = event_of(ended).await;
    assert_eq!(blanked.raw_payload.as_deref(), Some(&b""[..]));
    assert!(blanked.blanked_at.is_some() && blanked.outcome == Some(Outcome::Applied), "{blanked:?}");
    for kept in [letter, waiting] {
        let kept = event_of(kept).await;
        assert!(kept.blanked_at.is_none() && kept.raw_payload.is_some_and(|body| !body.is_empty()));
    }
    // The same delivery is still recognized.
    let again = harness.stores().inbox.accept(event("a", vec![(product("2"), Work::fetch())])).await;
    let again = again.expect("accept");
    assert_eq!((again.id, again.duplicate), (ended, true));
}

pub async fn pruning_deletes_what_ended_and_dead_letters_only_where_asked(harness: &dyn Harness) {
    let case = Case(harness);
    let dead = dead(&case, "1", "broken").await;
    let event = case.accept(event("a", vec![(product("2"), Work::fetch())])).await;
    let done = case.claim().await;
    case.settle(&done, Settle::Complete(Outcome::Applied)).await;
    case.event_reaches(event, EventStatus::Completed).await;
    case.enqueue(vec![new_item("3", Work::fetch())]).await;
    harness.advance(LONGER).await;
    let (operator, upkeep) = (&harness.stores().queue_operator, &harness.stores().queue_maintenance);
    assert_eq!(upkeep.prunable(LONG, true).await.expect("prunable"), 0, "nothing is that old");
    assert_eq!(upkeep.prune(LONG, true).await.expect("prune"), 0, "nothing is that old");
    let counts = [upkeep.prunable(SHORT, false).await, upkeep.prunable(SHORT, true).await];
    let [without, with] = counts.map(|counts| counts.expect("prunable"));
    assert_eq!(upkeep.prune(SHORT, false).await.expect("prune"), without);
    assert_eq!((without, with), (2, 3), "an item and its event, and the dead letter if it is asked for");
    assert!(operator.get(done.id).await.expect("get").is_none());
    assert!(operator.get(dead.id).await.expect("get").is_some());
    assert!(harness.stores().inbox_operator.get_event(event).await.expect("get_event").is_none());
    assert!(upkeep.prune(SHORT, true).await.expect("prune") >= 1);
    assert!(operator.get(dead.id).await.expect("get").is_none());
    assert_eq!(case.claim().await.key, product("3"));
}
