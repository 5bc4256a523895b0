use proptest::prelude::*;
use tds_core::{
    queue::Lane,
    source::{ListOrder, ListRequest, ListWalk, RowOrder},
};

use crate::list::{BOTH, FILTER, List, NEITHER, SORT, at, read};

#[derive(Clone, Copy, Debug)]
enum Change {
    Edit(u32),
    Insert,
    Delete(u32),
}

/// Generates the changes between two calls. Each call takes one second.
fn changes(deletes: bool) -> impl Strategy<Value = Vec<Vec<Change>>> {
    let one = (0..if deletes { 3 } else { 2 }, any::<u32>()).prop_map(|(kind, which)| match kind {
        0 => Change::Edit(which),
        1 => Change::Insert,
        _ => Change::Delete(which),
    });
    prop::collection::vec(prop::collection::vec(one, 0..4), 0..20)
}

fn apply(list: &mut List, now: i64, changes: &[Change]) {
    let pick = |list: &List, which: u32| {
        let count = list.records.len().max(1);
        list.records.keys().nth(which as usize % count).copied()
    };
    for change in changes {
        match change {
            Change::Edit(which) => {
                if let Some(id) = pick(list, *which) {
                    list.records.insert(id, Some(now));
                }
            }
            Change::Insert => {
                let next = list.records.last_key_value().map_or(0, |(id, _)| id + 1);
                list.records.insert(next, Some(now));
            }
            Change::Delete(which) => {
                if let Some(id) = pick(list, *which) {
                    list.records.remove(&id);
                }
            }
        }
    }
}

/// Returns the number of records of the window that did not change while the list was read, and were not shown. Records
/// that change in the meantime belong to the next run.
fn lost(
    mut list: List,
    since: i64,
    script: &[Vec<Change>],
    capability: tds_core::source::Capability,
) -> usize {
    // The reader begins after the last change of every record in the list.
    let (due, before) = (list.changed_since(since), list.records.clone());
    let shown = read(&mut list, Some(since), capability, |list, call| {
        let now = 100 + i64::try_from(call).expect("few calls");
        apply(list, now, script.get(call - 1).map_or(&[], Vec::as_slice));
    });
    let shown = shown.expect("readable").ids;
    due.iter().filter(|id| list.records.get(id) == before.get(id) && !shown.contains(id)).count()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_moving_filter_loses_no_row_whatever_changes_meanwhile(
        seconds in prop::collection::vec(0_i64..12, 0..60),
        page_size in 1_usize..6,
        exclusive in any::<bool>(),
        script in changes(true),
    ) {
        let list = List { exclusive, ..List::new(seconds, page_size, BOTH) };
        prop_assert_eq!(lost(list, 3, &script, BOTH), 0);
    }

    #[test]
    fn no_other_list_order_loses_a_row_to_edits_and_inserts(
        seconds in prop::collection::vec(0_i64..12, 0..60),
        // A page holds more rows than change between two calls; otherwise the reader would never reach the end.
        page_size in 4_usize..8,
        script in changes(false),
    ) {
        for can in [SORT, FILTER, NEITHER] {
            let list = List::new(seconds.clone(), page_size, can);
            prop_assert_eq!(lost(list, 3, &script, can), 0, "{:?}", can);
        }
    }
}

#[test]
fn only_the_moving_filter_finds_a_row_that_a_deletion_moves_to_an_earlier_page() {
    for (can, expected) in [(BOTH, 0), (SORT, 1), (FILTER, 1), (NEITHER, 1)] {
        let list = List::new(0..9, 3, can);
        // The first row that the first page showed is deleted.
        let gone = if can == SORT { 8 } else { 0 };
        assert_eq!(lost(list, 0, &[vec![Change::Delete(gone)]], can), expected, "{can:?}");
    }
}

/// The second pass over second 3 ends on page 2 without a further page, because the rows of page 2 have moved to page
/// 1.
#[test]
fn rows_after_a_full_second_are_found_although_deletions_move_them_to_an_earlier_page() {
    let list = List::new([8, 3, 4], 1, BOTH);
    let script = [vec![], vec![], vec![Change::Delete(2), Change::Delete(1)]];
    assert_eq!(lost(list, 3, &script, BOTH), 0);
}

#[test]
fn a_second_that_fills_many_pages_is_read_whole() {
    let mut list = List::new([vec![1; 40], vec![2; 2], vec![5; 30]].concat(), 4, BOTH);
    let shown = read(&mut list, Some(1), BOTH, |_, _| {}).expect("readable");
    assert_eq!(shown.ids.len(), 72);
    assert_eq!(shown.learned, None);
    assert!(list.calls.iter().all(|call| call.order == RowOrder::OldestChange));
}

#[test]
fn a_moving_filter_asks_for_page_one_from_the_last_change_on() {
    let mut list = List::new(0..7, 3, BOTH);
    read(&mut list, Some(0), BOTH, |_, _| {}).expect("readable");
    let asked: Vec<_> = list.calls.iter().map(|call| (call.page, call.changed_since)).collect();
    assert_eq!(
        asked,
        [(1, Some(at(0))), (1, Some(at(2))), (1, Some(at(3))), (1, Some(at(4))), (1, Some(at(5)))]
    );
}

#[test]
fn without_a_filter_the_list_is_read_newest_first_up_to_the_window() {
    let mut list = List::new(0..100, 10, SORT);
    let shown = read(&mut list, Some(85), SORT, |_, _| {}).expect("readable");
    assert_eq!((shown.ids.len(), list.calls.len()), (20, 2));
}

#[test]
fn a_list_of_everything_keeps_its_own_order() {
    let mut list = List::new(0..10, 4, BOTH);
    assert_eq!(read(&mut list, None, BOTH, |_, _| {}).expect("readable").ids.len(), 10);
    assert!(list.calls.iter().all(|call| call.order == RowOrder::Own && call.changed_since.is_none()));
}

#[test]
fn a_list_is_read_in_the_requested_order_or_in_the_safest_one_that_it_supports() {
    use ListOrder::{Filtered, MovingFilter, NewestFirst, Whole};
    let first_call = |order, capability| {
        let (since, cursor, lane) = (Some(at(0)), None, Lane::Incremental);
        let request = ListRequest { since, dates: None, order, capability, cursor, lane };
        let call = ListWalk::new(&request).expect("a walk").call();
        (call.changed_since.is_some(), call.order)
    };
    let (whole, filtered) = ((false, RowOrder::Own), (true, RowOrder::Own));
    let (moving, newest) = ((true, RowOrder::OldestChange), (false, RowOrder::NewestChange));
    for (order, capability, expected) in [
        (Whole, BOTH, whole),
        (Filtered, BOTH, filtered),
        (MovingFilter, BOTH, moving),
        (NewestFirst, BOTH, newest),
        (Whole, FILTER, whole),
        (Filtered, FILTER, filtered),
        (MovingFilter, FILTER, filtered),
        (NewestFirst, FILTER, filtered),
        (Whole, SORT, whole),
        (Filtered, SORT, newest),
        (MovingFilter, SORT, newest),
        (NewestFirst, SORT, newest),
        (Filtered, NEITHER, whole),
        (MovingFilter, NEITHER, whole),
        (NewestFirst, NEITHER, whole),
    ] {
        assert_eq!(first_call(order, capability), expected, "{order:?} {capability:?}");
    }
}
