//! Cases of the cursor that runs move.
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use time::macros::date;

use super::*;

pub async fn the_cursor_moves_to_the_end_of_the_window_when_a_run_ends(harness: &dyn Harness) {
    let runs = &harness.stores().runs;
    let lease = started(harness, LONG).await;
    commit(harness, &lease, page(lease.run.id, &["1"], 1, true)).await;
    assert_eq!(runs.history(&PRODUCTS).await.expect("cursor").cursor, None);
    finish_one(harness).await;
    reaches(harness, lease.run.id, RunStatus::Completed).await;
    assert_eq!(runs.history(&PRODUCTS).await.expect("cursor").cursor, Some(at(1000)));
    let failed = started(harness, LONG).await;
    let mut further = page(failed.run.id, &["1"], 0, false);
    further.checkpoint.window_to = Some(at(2000));
    commit(harness, &failed, further).await;
    runs.end_run(failed.run.id, failed.token, RunEnd::Failed { error: "broken".to_owned() })
        .await
        .expect("fail");
    assert_eq!(runs.history(&PRODUCTS).await.expect("cursor").cursor, Some(at(1000)));
    assert_eq!(runs.history(&CUSTOMERS).await.expect("cursor").cursor, None);
}

pub async fn the_cursor_does_not_pass_a_record_that_did_not_end_well(harness: &dyn Harness) {
    let (case, runs) = (Case(harness), &harness.stores().runs);
    let listed = |lease: &RunLease, to: i64| {
        let mut all = page(lease.run.id, &["1", "2"], 2, true);
        for item in &mut all.items {
            item.work.version = Some(at(700));
        }
        all.checkpoint.window_to = Some(at(to));
        all
    };
    let lease = started(harness, LONG).await;
    commit(harness, &lease, listed(&lease, 1000)).await;
    finish_one(harness).await;
    let item = case.claim().await;
    case.settle(&item, Settle::DeadLetter { error: "broken".into() }).await;
    reaches(harness, lease.run.id, RunStatus::CompletedWithErrors).await;
    assert_eq!(runs.history(&PRODUCTS).await.expect("cursor").cursor, Some(at(700)));
    // The next run lists the record again, and its item is completed. Nothing holds the cursor back any more.
    let again = started(harness, LONG).await;
    commit(harness, &again, listed(&again, 2000)).await;
    finish_one(harness).await;
    finish_one(harness).await;
    reaches(harness, again.run.id, RunStatus::Completed).await;
    assert_eq!(runs.history(&PRODUCTS).await.expect("cursor").cursor, Some(at(2000)));
}

pub async fn a_record_that_every_run_lists_in_vain_is_one_dead_letter_and_holds_the_cursor(
    harness: &dyn Harness,
) {
    let (case, runs) = (Case(harness), &harness.stores().runs);
    for round in 1..=3 {
        let lease = started(harness, LONG).await;
        let mut all = page(lease.run.id, &["1"], 1, true);
        all.items[0].work.version = Some(at(700));
        all.checkpoint.window_to = Some(at(1000 * round));
        commit(harness, &lease, all).await;
        let item = case.claim().await;
        case.settle(&item, Settle::DeadLetter { error: format!("broken {round}") }).await;
        reaches(harness, lease.run.id, RunStatus::CompletedWithErrors).await;
        assert_eq!(runs.history(&PRODUCTS).await.expect("cursor").cursor, Some(at(700)), "round {round}");
        let dead = case.until("its dead letter", async || {
            let items = case.items().await;
            let dead = items.into_iter().filter(|item| item.status == ItemStatus::DeadLetter);
            let errors: Vec<_> = dead.filter_map(|item| item.error_message).collect();
            (!errors.is_empty()).then_some(errors)
        });
        assert_eq!(dead.await, [format!("broken {round}")], "the last tells what is wrong");
    }
    // An operator decides that the record will not be read.
    harness.stores().queue_operator.discard(&ItemFilter::default()).await.expect("discard");
    let lease = started(harness, LONG).await;
    let mut all = page(lease.run.id, &[], 0, true);
    all.checkpoint.window_to = Some(at(5000));
    commit(harness, &lease, all).await;
    reaches(harness, lease.run.id, RunStatus::Completed).await;
    assert_eq!(runs.history(&PRODUCTS).await.expect("cursor").cursor, Some(at(5000)));
}

pub async fn a_run_with_a_later_beginning_leaves_the_cursor_where_changes_are_unread(harness: &dyn Harness) {
    let runs = &harness.stores().runs;
    let lease = started(harness, LONG).await;
    commit(harness, &lease, page(lease.run.id, &[], 0, true)).await;
    reaches(harness, lease.run.id, RunStatus::Completed).await;
    let since = NewRun { run_type: RunType::Incremental, since: Some(at(5000)), ..full_sync(PRODUCTS) };
    runs.create(since).await.expect("create");
    let lease = claimed(harness, LONG).await.expect("a run to claim");
    let mut all = page(lease.run.id, &[], 0, true);
    all.checkpoint.window_from = Some(at(5000));
    all.checkpoint.window_to = Some(at(6000));
    commit(harness, &lease, all).await;
    reaches(harness, lease.run.id, RunStatus::Completed).await;
    assert_eq!(runs.history(&PRODUCTS).await.expect("cursor").cursor, Some(at(1000)));
}

pub async fn a_run_with_a_selection_keeps_it_and_says_nothing_about_the_whole_list(harness: &dyn Harness) {
    let runs = &harness.stores().runs;
    let lease = started(harness, LONG).await;
    commit(harness, &lease, page(lease.run.id, &["1", "2", "3"], 0, true)).await;
    reaches(harness, lease.run.id, RunStatus::Completed).await;
    let before = runs.history(&PRODUCTS).await.expect("history");
    let dates = DateRange::new(Some(date!(2026 - 01 - 01)), None).expect("a range");
    let ids = Selection::ids(["1", "7"].map(RecordId::new)).expect("ids");
    for selection in [Selection::Dates(dates), ids] {
        let part = NewRun { selection: Some(selection.clone()), ..full_sync(PRODUCTS) };
        let created = runs.create(part).await.expect("create");
        let lease = claimed(harness, LONG).await.expect("a run to claim");
        assert_eq!(
            [created.selection, lease.run.selection.clone()],
            [Some(selection.clone()), Some(selection)]
        );
        assert_eq!(lease.run.expected_items, None, "other runs read other records");
        let mut one = page(lease.run.id, &["1"], 0, true);
        one.checkpoint.window_to = Some(at(9000));
        commit(harness, &lease, one).await;
        reaches(harness, lease.run.id, RunStatus::Completed).await;
        let after = runs.history(&PRODUCTS).await.expect("history");
        assert_eq!(after.last_full_count, before.last_full_count);
        assert_eq!(after.cursor, before.cursor);
    }
    // The next full sync is compared with the last one, and not with the parts that were read in between.
    let whole = started(harness, LONG).await;
    assert_eq!((whole.run.expected_items, whole.run.selection), (Some(3), None));
}
