//! Stores that are broken on purpose. Each store fails the case for its fault, and no case of a topic that the fault
//! does not touch.

mod history;
mod inbox;
mod mirror;
mod privacy;
mod queue;
mod runs;
mod shared;

use std::collections::BTreeSet;

use tds_core::testkit::conformance::{Case, Stores, cases};

use crate::memory::{Memory, memory};

/// Puts a broken part into an intact store.
type Breaks = fn(&Memory, &mut Stores);

/// Returns the cases that the broken store fails.
fn failed(breaks: Breaks) -> BTreeSet<(&'static str, &'static str)> {
    let fails = |case: &Case| {
        let case = *case;
        let run = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let mut store = memory().await;
                let mut stores = store.stores.clone();
                breaks(&store, &mut stores);
                store.stores = stores;
                case.run(&store).await;
            });
        });
        run.join().is_err()
    };
    cases().iter().filter(|case| fails(case)).map(|case| (case.topic, case.name)).collect()
}

/// Asserts that the broken store fails the cases in `right`, and otherwise only cases of the `touched` topics.
fn check(breaks: Breaks, right: &[(&'static str, &'static str)], touched: &[&str]) {
    let failed = failed(breaks);
    for case in right {
        assert!(failed.contains(case), "{case:?} passed; failed were {failed:?}");
    }
    let astray: Vec<_> = failed.iter().filter(|(topic, _)| !touched.contains(topic)).collect();
    assert!(astray.is_empty(), "cases that say nothing of what is broken failed: {astray:?}");
}

/// The topics that depend on whether events, items and runs end.
const WORK: &[&str] = &[
    "inbox", "queue", "settle", "operator", "races", "run", "sweep", "derived", "history", "outbound",
    "privacy", "verify",
];

#[test]
fn an_intact_store_fails_nothing() {
    check(|_, _| {}, &[], &[]);
}

#[test]
fn shared_documents_that_overwrite_each_other_are_noticed() {
    let right = [
        ("shared", "of_many_swaps_of_the_same_version_one_succeeds"),
        ("budget", "holders_that_ask_at_once_get_no_more_than_the_ceiling"),
    ];
    check(shared::overwrites, &right, &["shared", "budget"]);
}

#[test]
fn an_inbox_that_answers_without_storing_is_noticed() {
    let right = [("inbox", "an_accepted_event_and_its_work_are_there_when_accept_returns")];
    check(inbox::answers_early, &right, WORK);
}

#[test]
fn an_inbox_that_does_not_know_deliveries_again_is_noticed() {
    let right = [
        ("inbox", "a_delivery_that_is_there_already_changes_nothing_and_queues_nothing"),
        ("inbox", "one_delivery_accepted_many_times_at_once_is_stored_once"),
    ];
    check(inbox::forgets_deliveries, &right, &["inbox", "history", "operator"]);
}

#[test]
fn an_inbox_that_takes_every_delivery_about_a_record_for_the_same_is_noticed() {
    let right = [("inbox", "events_folded_into_a_newer_one_are_superseded")];
    check(inbox::knows_records_only, &right, WORK);
}

#[test]
fn a_queue_without_fence_is_noticed() {
    let right = [("queue", "settling_with_an_old_token_changes_nothing")];
    check(queue::without_fence, &right, &["queue", "races", "run", "settle", "verify"]);
}

#[test]
fn a_queue_that_forgets_to_renew_leases_is_noticed() {
    let right = [("queue", "a_renewed_lease_keeps_the_item")];
    check(queue::forgets_renewals, &right, &["queue"]);
}

#[test]
fn a_queue_that_hands_out_claimed_items_is_noticed() {
    let right = [("queue", "an_item_is_claimed_by_one_worker_at_a_time")];
    check(queue::forgets_leases, &right, WORK);
}

#[test]
fn a_queue_that_loses_what_arrives_during_work_is_noticed() {
    let right = [
        ("settle", "work_that_arrives_meanwhile_makes_the_item_pending_again"),
        ("settle", "a_fetch_that_is_asked_for_while_another_is_under_way_is_not_lost"),
    ];
    check(queue::loses_changes, &right, WORK);
}

#[test]
fn a_queue_that_does_not_notify_waiters_attached_during_the_claim_is_noticed() {
    // A delivery always brings new work. A run that lists a record whose item is already claimed does not.
    let right = [("run", "a_run_that_lists_an_older_version_of_a_claimed_item_is_notified_of_its_end")];
    // Whether the cases of `races` meet the fault depends on how their tasks interleave.
    check(queue::misses_latecomers, &right, &["races", "run", "verify"]);
}

#[test]
fn a_run_store_that_drops_a_page_is_noticed() {
    let right = [("run", "a_page_is_committed_with_its_items_counts_and_checkpoint")];
    check(runs::drops_items, &right, &["costs", "derived", "races", "run", "sweep", "verify"]);
}

#[test]
fn a_run_store_that_forgets_its_checkpoint_is_noticed() {
    let right = [("run", "a_run_whose_lease_ran_out_is_taken_over_at_its_last_committed_page")];
    check(runs::forgets_checkpoints, &right, &["lists", "run", "sweep", "verify"]);
}

#[test]
fn a_mirror_that_applies_stale_reads_is_noticed() {
    let right = [
        ("mirror", "a_newer_read_is_written_and_an_older_one_is_not"),
        ("mirror", "other_content_of_an_equal_version_is_decided_by_the_time_of_the_observation"),
    ];
    // The sweep depends on the time at which records were last seen, and what follows from a read on what it changed.
    check(mirror::gullible, &right, &["mirror", "derived", "sweep", "history", "outbound", "verify"]);
}

#[test]
fn a_history_that_does_not_say_what_changed_is_noticed() {
    let right = [("history", "every_decision_is_in_the_history_of_its_record_with_what_changed")];
    check(history::vague, &right, &["history"]);
}

#[test]
fn an_erasure_that_later_reads_undo_is_noticed() {
    let right = [
        ("privacy", "an_erased_record_keeps_no_value_and_its_reads_are_ignored_until_it_may_return"),
        ("privacy", "an_erased_record_does_not_return_under_another_entity_type_that_shows_it"),
        ("privacy", "a_document_of_an_erased_person_says_no_more_who_the_person_is"),
    ];
    check(privacy::brief, &right, &["privacy"]);
}

#[test]
fn a_mirror_that_lets_list_rows_blank_details_is_noticed() {
    let right = [("mirror", "columns_that_a_read_does_not_show_keep_their_values")];
    check(mirror::forgetful, &right, &["mirror"]);
}
