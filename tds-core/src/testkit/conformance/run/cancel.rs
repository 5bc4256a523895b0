//! Cases of runs that are cancelled, fail, and continue.
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use super::*;

pub async fn a_cancelled_run_takes_no_more_pages_and_keeps_what_was_done(harness: &dyn Harness) {
    let lease = started(harness, LONG).await;
    let (runs, id) = (&harness.stores().runs, lease.run.id);
    commit(harness, &lease, page(id, &["1"], 0, false)).await;
    assert_eq!(runs.cancel(id).await.expect("cancel").status, RunStatus::Cancelled);
    let refused = runs.commit_page(id, lease.token, page(id, &["2"], 0, true)).await;
    assert_eq!(refused.expect_err("refused").kind(), ErrorKind::Conflict);
    let refused = runs.renew_run(id, lease.token, LONG, None).await;
    assert_eq!(refused.expect_err("refused").kind(), ErrorKind::Conflict);
    assert_eq!(runs.cancel(id).await.expect_err("it has ended").kind(), ErrorKind::Conflict);
    assert_eq!(run(harness, id).await.total_items, 1);
}

pub async fn a_failed_or_cancelled_run_goes_on_at_its_checkpoint_under_its_id(harness: &dyn Harness) {
    let runs = &harness.stores().runs;
    let mut lease = started(harness, LONG).await;
    let id = lease.run.id;
    commit(harness, &lease, page(id, &["1"], 0, false)).await;
    for cancelled in [false, true] {
        match cancelled {
            true => drop(runs.cancel(id).await.expect("cancel")),
            false => {
                runs.end_run(id, lease.token, RunEnd::Failed { error: "no answer".to_owned() })
                    .await
                    .expect("fail");
                let failed = run(harness, id).await;
                assert_eq!(failed.status, RunStatus::Failed);
                assert!(failed.error_log.expect("a reason").contains("no answer"));
            }
        }
        assert!(claimed(harness, LONG).await.is_none());
        assert_eq!(runs.resume(id).await.expect("resume").id, id);
        lease = claimed(harness, LONG).await.expect("the resumed run");
        assert_eq!((lease.run.id, lease.checkpoint.pages, lease.run.total_items), (id, 1, 1));
    }
    commit(harness, &lease, second(page(id, &["2"], 0, true))).await;
    reaches(harness, id, RunStatus::Completed).await;
}

pub async fn cancelling_takes_out_what_only_the_run_wanted_even_if_it_is_claimed(harness: &dyn Harness) {
    let case = Case(harness);
    let lease = started(harness, LONG).await;
    let (runs, id) = (&harness.stores().runs, lease.run.id);
    commit(harness, &lease, page(id, &["1", "2", "3", "4"], 4, false)).await;
    let (claimed, failed) = (case.claim().await, case.claim().await);
    case.settle(&failed, Settle::Retry { after: LONG, error: "no answer".into() }).await;
    finish_one(harness).await;
    runs.cancel(id).await.expect("cancel");
    case.nothing_to_claim().await;
    let left = case.items().await;
    assert!(left.iter().all(|item| item.status == ItemStatus::Completed), "{left:?}");
    assert_eq!(left.len(), 1, "what was done stays");
    let held = claimed.lease();
    assert!(harness.stores().queue.held(&[held]).await.expect("held").is_empty());
    assert_eq!(
        case.settle(&claimed, Settle::Release { after: Duration::ZERO, fetch: false, reason: None })
            .await
            .fenced,
        1
    );
    case.nothing_to_claim().await;
    let now = run(harness, id).await;
    assert_eq!((now.status, now.total_items, now.processed_items), (RunStatus::Cancelled, 4, 1));
}

pub async fn cancelling_leaves_items_that_an_event_waits_for_too(harness: &dyn Harness) {
    let case = Case(harness);
    let lease = started(harness, LONG).await;
    let (runs, id) = (&harness.stores().runs, lease.run.id);
    commit(harness, &lease, page(id, &["1", "2", "3"], 3, true)).await;
    let event = case.accept(event("a", vec![(product("2"), pushed(9, "{}"))])).await;
    runs.cancel(id).await.expect("cancel");
    let item = case.claim().await;
    assert_eq!(item.key, product("2"));
    case.nothing_to_claim().await;
    case.settle(&item, Settle::Complete(Outcome::Applied)).await;
    case.event_reaches(event, EventStatus::Completed).await;
    let now = run(harness, id).await;
    assert_eq!((now.status, now.processed_items), (RunStatus::Cancelled, 1));
}

pub async fn cancelling_leaves_items_that_an_operator_asked_for_too(harness: &dyn Harness) {
    let case = Case(harness);
    let operator = &harness.stores().queue_operator;
    for id in ["dead", "dead beside work"] {
        case.enqueue(vec![new_item(id, pushed(1, "{}"))]).await;
        let item = case.claim().await;
        case.settle(&item, Settle::DeadLetter { error: "broken".into() }).await;
    }
    case.enqueue(vec![new_item("read", Work::fetch())]).await;
    let alone = ItemFilter { search: Some("dead".into()), ..ItemFilter::default() };
    let lease = started(harness, LONG).await;
    let (runs, id) = (&harness.stores().runs, lease.run.id);
    commit(harness, &lease, page(id, &["dead beside work"], 1, false)).await;
    assert_eq!(operator.retry(&alone).await.expect("retry"), 2);
    commit(harness, &lease, second(page(id, &["dead", "read", "read later", "listed"], 4, true))).await;
    case.enqueue(vec![new_item("read later", Work::fetch())]).await;
    runs.cancel(id).await.expect("cancel");
    let mut left = case.claim_now(10).await;
    left.sort_by(|one, other| one.key.cmp(&other.key));
    let ids: Vec<_> = left.iter().map(|item| item.key.id.to_string()).collect();
    assert_eq!(ids, ["dead", "dead beside work", "read", "read later"]);
    // What becomes a dead letter or ends is no longer an operator's.
    for item in &left[..2] {
        case.settle(item, Settle::DeadLetter { error: "broken".into() }).await;
    }
    for item in &left[2..] {
        case.settle(item, Settle::Complete(Outcome::Applied)).await;
    }
    case.enqueue(vec![new_item("dead", Work::fetch())]).await;
    let item = case.claim().await;
    case.settle(&item, Settle::DeadLetter { error: "broken".into() }).await;
    let dead = async || {
        let items = case.items().await.into_iter();
        let dead =
            items.filter(|item| item.status == ItemStatus::DeadLetter).map(|item| item.record.to_string());
        Some(dead.collect::<Vec<_>>()).filter(|dead| dead.len() == 2)
    };
    assert_eq!(case.until("one dead letter of each record", dead).await, ["dead", "dead beside work"]);
    runs.resume(id).await.expect("resume");
    finish_one(harness).await;
    let lease = started(harness, LONG).await;
    let id = lease.run.id;
    commit(harness, &lease, page(id, &["dead", "read"], 2, true)).await;
    runs.cancel(id).await.expect("cancel");
    case.nothing_to_claim().await;
}

pub async fn cancelling_takes_out_what_an_operator_asked_for_before_the_run_asked_again(
    harness: &dyn Harness,
) {
    let case = Case(harness);
    case.enqueue(vec![new_item("1", Work::fetch())]).await;
    let item = case.claim().await;
    let lease = started(harness, LONG).await;
    let id = lease.run.id;
    commit(harness, &lease, page(id, &["1"], 1, true)).await;
    case.settle(&item, Settle::Complete(Outcome::Applied)).await;
    harness.stores().runs.cancel(id).await.expect("cancel");
    case.nothing_to_claim().await;
}

pub async fn cancelling_takes_out_what_only_an_ended_event_and_the_run_wanted(harness: &dyn Harness) {
    let case = Case(harness);
    let lease = started(harness, LONG).await;
    let (runs, id) = (&harness.stores().runs, lease.run.id);
    let event = case.accept(event("a", vec![(product("1"), pushed(9, "{}"))])).await;
    let item = case.claim().await;
    // The run lists the record while the event's work is done: the new work belongs to the run alone.
    commit(harness, &lease, page(id, &["1"], 1, true)).await;
    case.settle(&item, Settle::Complete(Outcome::Applied)).await;
    case.event_reaches(event, EventStatus::Completed).await;
    runs.cancel(id).await.expect("cancel");
    case.nothing_to_claim().await;
    runs.resume(id).await.expect("resume");
    assert_eq!(case.claim().await.key, product("1"));
}

pub async fn a_resumed_run_gets_back_everything_that_cancelling_took_out(harness: &dyn Harness) {
    let case = Case(harness);
    let lease = started(harness, LONG).await;
    let (runs, id) = (&harness.stores().runs, lease.run.id);
    let mut first = page(id, &["1", "2", "3"], 3, false);
    let kept = Work { recheck: true, ..pushed(3, r#"{"n":2}"#) };
    first.items[1].work = kept.clone();
    commit(harness, &lease, first).await;
    finish_one(harness).await;
    case.claim().await;
    runs.cancel(id).await.expect("cancel");
    case.nothing_to_claim().await;
    runs.resume(id).await.expect("resume");
    let again = claimed(harness, LONG).await.expect("the resumed run");
    assert_eq!((again.run.id, again.run.total_items, again.run.processed_items), (id, 3, 1));
    let mut back = vec![case.claim().await, case.claim().await];
    case.nothing_to_claim().await;
    back.sort_by(|one, other| one.key.cmp(&other.key));
    let found: Vec<_> = back.iter().map(|item| (item.key.clone(), item.lane, item.work.clone())).collect();
    assert_eq!(found, [(product("2"), Lane::Full, kept), (product("3"), Lane::Full, Work::fetch()),]);
    for item in &back {
        case.settle(item, Settle::Complete(Outcome::Applied)).await;
    }
    commit(harness, &again, second(page(id, &["4"], 1, true))).await;
    finish_one(harness).await;
    let ended = reaches(harness, id, RunStatus::Completed).await;
    assert_eq!((ended.total_items, ended.processed_items), (4, 4));
}
