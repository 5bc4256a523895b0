use tds_core::{
    error::ErrorKind,
    queue::Lane,
    source::{Ability, Capability, ListOrder, ListRequest, ListWalk},
};

use crate::list::{BOTH, FILTER, List, NEITHER, SORT, read};

const DOCUMENTED: Capability = Capability { filter: Ability::Documented, sort: Ability::Documented };

/// Returns the times of changes: 30 multiples of 600 seconds in mixed order, some before and some after the window
/// begins.
fn spread() -> Vec<i64> {
    (0..30).map(|n| (n * 7 % 30) * 600).collect()
}

#[test]
fn a_list_that_ignores_a_documented_ability_is_read_to_its_end_and_refuted() {
    for can in [SORT, FILTER, NEITHER] {
        let mut list = List::new(spread(), 4, can);
        let shown = read(&mut list, Some(6_000), DOCUMENTED, |_, _| {}).expect("readable");
        assert!(list.changed_since(6_000).is_subset(&shown.ids), "{can:?}");
        let learned = shown.learned.expect("found out");
        assert_eq!(learned.filter == Ability::Refuted, can != FILTER, "{can:?}: {learned:?}");
        assert_eq!(learned.sort == Ability::Refuted, can != SORT, "{can:?}: {learned:?}");
    }
}

#[test]
fn a_list_that_stops_working_while_it_is_read_loses_nothing() {
    for before in [BOTH, SORT, FILTER] {
        for after in [SORT, FILTER, NEITHER] {
            for call in 1..5 {
                let mut list = List::new(spread(), 4, before);
                let shown = read(&mut list, Some(6_000), before, |list, calls| {
                    if calls == call {
                        list.can = after;
                    }
                });
                let shown = shown.expect("readable").ids;
                assert!(list.changed_since(6_000).is_subset(&shown), "{before:?} {after:?} after {call}");
            }
        }
    }
}

#[test]
fn a_row_without_a_time_neither_proves_nor_refutes_the_order() {
    let mut list = List::new(spread(), 4, BOTH);
    list.records.insert(3, None);
    let shown = read(&mut list, Some(6_000), BOTH, |_, _| {}).expect("readable");
    assert!(list.changed_since(6_000).is_subset(&shown.ids));
    assert_eq!(shown.learned, None);
}

#[test]
fn a_list_that_reports_another_order_refutes_its_sorting() {
    let request = ListRequest {
        since: Some(crate::list::START),
        dates: None,
        order: ListOrder::MovingFilter,
        capability: DOCUMENTED,
        cursor: None,
        lane: Lane::Incremental,
    };
    let advance = ListWalk::new(&request).expect("a walk").after(&[], false, true).expect("an answer");
    assert_eq!(advance.learned.map(|learned| learned.sort), Some(Ability::Refuted));
    assert!(advance.next.is_some(), "rows may have been passed over");
}

#[test]
fn an_empty_page_before_the_end_and_a_page_that_repeats_are_errors() {
    let mut request = ListRequest {
        since: None,
        dates: None,
        order: ListOrder::Whole,
        capability: NEITHER,
        cursor: None,
        lane: Lane::Full,
    };
    let empty = ListWalk::new(&request).expect("a walk").after(&[], true, false).expect_err("no page");
    assert_eq!(empty.kind(), ErrorKind::Protocol);

    let row = tds_core::source::Listed {
        id: tds_core::record::RecordId::new("1"),
        version: None,
        hash: tds_core::record::ContentHash::of_bytes(b"1"),
        payload: None,
    };
    let rows = [row];
    for _ in 0..3 {
        request.cursor =
            ListWalk::new(&request).expect("a walk").after(&rows, true, false).expect("a page").next;
    }
    let again =
        ListWalk::new(&request).expect("a walk").after(&rows, true, false).expect_err("the same page");
    assert_eq!(again.kind(), ErrorKind::Protocol);
}

#[test]
fn a_cursor_of_an_earlier_version_starts_over() {
    let cursor = Some(r#"{"page":3,"before":"ab","unsorted":false}"#.to_owned());
    let request = ListRequest {
        since: None,
        dates: None,
        order: ListOrder::Whole,
        capability: DOCUMENTED,
        cursor,
        lane: Lane::Full,
    };
    assert_eq!(ListWalk::new(&request).expect("a walk").call().page, 1);
}
