//! Examples of the merge.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tds_core::{
    outbound::{LocalRecord, Merge, Side, Stance, merge},
    record::{EntityType, Fields, Record, RecordBuilder},
};

use super::edits::{Order, merged, object};

const ORDERS: EntityType = EntityType::from_static("orders");

fn remote(columns: Value, lines: impl IntoIterator<Item = Value>) -> Record {
    RecordBuilder::new(&ORDERS, "1").fields(columns).children("lines", lines).build()
}

fn local(columns: Value, lines: impl IntoIterator<Item = Value>) -> LocalRecord {
    LocalRecord::new("key", object(columns)).with_rows("lines", lines.into_iter().map(object).collect())
}

/// Merges with everything writable and conflicts undecided.
fn all(base: Option<&Record>, local: &LocalRecord, remote: &Record, touched: &[&str]) -> Merge {
    let touched: BTreeSet<String> = touched.iter().map(|name| (*name).to_owned()).collect();
    let stance = Stance { touched: Some(&touched), writable: &|_| true, decide: &|_, _| None };
    merge(base, local, remote, &stance)
}

fn names(merge: &Merge) -> Vec<&str> {
    merge.conflicts.iter().map(|conflict| conflict.field.as_str()).collect()
}

#[test]
fn conflicts_name_the_field_and_all_three_versions() {
    let base = remote(json!({"notes": "a"}), [json!({"line_zoho_id": "7", "rate": 1, "name": "x"})]);
    let ours = local(json!({"notes": "b"}), [json!({"line_zoho_id": "7", "rate": 2, "name": "x"})]);
    let theirs = remote(json!({"notes": "c"}), [json!({"line_zoho_id": "7", "rate": 3, "name": "y"})]);
    let merge = all(Some(&base), &ours, &theirs, &["notes", "lines"]);
    assert_eq!(names(&merge), ["notes", "lines[7].rate"]);
    let rate = &merge.conflicts[1];
    assert_eq!(
        (&rate.base, &rate.target, &rate.source, rate.winner),
        (&json!(1), &json!(2), &json!(3), None)
    );
    assert_eq!(merge.take_rows["lines"][0]["name"], "y", "other fields of the row are merged");
    assert!(merge.push.is_empty() && merge.waits_for_a_person());
}

#[test]
fn a_row_that_one_side_removed_and_the_other_changed_is_in_conflict_as_a_whole() {
    let line = |rate: i64| json!({"line_zoho_id": "7", "rate": rate});
    let base = remote(json!({}), [line(1)]);
    let removed = all(Some(&base), &local(json!({}), []), &remote(json!({}), [line(2)]), &["lines"]);
    assert_eq!(names(&removed), ["lines[7]"]);
    assert_eq!((&removed.conflicts[0].target, &removed.conflicts[0].source), (&Value::Null, &line(2)));
    let changed = all(Some(&base), &local(json!({}), [line(2)]), &remote(json!({}), []), &["lines"]);
    assert_eq!(names(&changed), ["lines[7]"]);
}

#[test]
fn derived_values_of_the_source_are_taken_and_are_no_conflict() {
    let base = remote(json!({"total": 10}), [json!({"line_zoho_id": "7", "rate": 10, "total": 10})]);
    let ours = local(json!({"total": 11}), [json!({"line_zoho_id": "7", "rate": 10, "total": 11})]);
    let theirs = remote(json!({"total": 12}), [json!({"line_zoho_id": "7", "rate": 10, "total": 12})]);
    let writable = |name: &str| !name.ends_with("total");
    let stance = Stance { touched: None, writable: &writable, decide: &|_, _| None };
    let merge = merge(Some(&base), &ours, &theirs, &stance);
    assert!(merge.push.is_empty() && merge.conflicts.is_empty());
    assert_eq!((&merge.take["total"], &merge.take_rows["lines"][0]["total"]), (&json!(12), &json!(12)));
}

#[test]
fn a_table_that_the_source_does_not_take_comes_from_the_source() {
    let base = remote(json!({}), [json!({"line_zoho_id": "7", "rate": 1})]);
    let ours = local(json!({}), [json!({"line_zoho_id": "7", "rate": 2}), json!({"rate": 3})]);
    let stance = Stance { touched: None, writable: &|name| name != "lines", decide: &|_, _| None };
    let merge = merge(Some(&base), &ours, &base, &stance);
    assert!(merge.push.is_empty() && merge.conflicts.is_empty());
    assert_eq!(merge.take_rows["lines"], base.children["lines"]);
}

#[test]
fn without_a_base_the_target_changed_what_was_touched() {
    let theirs = remote(json!({"notes": "theirs", "terms": "theirs", "number": "N-1"}), []);
    let ours = local(json!({"notes": null, "terms": "ours", "number": null}), []);
    let merge = all(None, &ours, &theirs, &["notes"]);
    assert_eq!(merge.push, BTreeSet::from(["notes".to_owned()]), "a value that was cleared is a change");
    assert_eq!(merge.take, object(json!({"terms": "theirs", "number": "N-1"})));
    let any = Stance { touched: None, writable: &|_| true, decide: &|_, _| None };
    let merge = tds_core::outbound::merge(None, &ours, &theirs, &any);
    assert_eq!(
        merge.push,
        BTreeSet::from(["terms".to_owned()]),
        "a new record has nothing to say of empty columns"
    );
    assert_eq!(merge.take, object(json!({"notes": "theirs", "number": "N-1"})));
}

#[test]
fn columns_that_a_side_does_not_show_are_left_alone() {
    let base = remote(json!({"notes": "a", "terms": "a"}), []);
    let merge =
        all(Some(&base), &local(json!({"notes": "b"}), []), &remote(json!({"terms": "c"}), []), &["notes"]);
    assert!(merge.push.is_empty() && merge.take.is_empty() && merge.conflicts.is_empty(), "{merge:?}");
}

#[test]
fn a_volatile_column_goes_to_the_source_if_the_target_changed_it_and_the_source_takes_it() {
    let invoice = |status: &str, balance: i64| {
        let record = RecordBuilder::new(&ORDERS, "1").volatile(json!({"status": status, "balance": balance}));
        record.build()
    };
    let ours = local(json!({"status": "void", "balance": 5}), []);
    let merged = |touched: &[&str]| {
        let touched: BTreeSet<String> = touched.iter().map(|name| (*name).to_owned()).collect();
        let stance =
            Stance { touched: Some(&touched), writable: &|name| name == "status", decide: &|_, _| None };
        merge(Some(&invoice("draft", 10)), &ours, &invoice("overdue", 10), &stance)
    };
    let explicit = merged(&["status", "balance"]);
    assert_eq!(
        explicit.push,
        BTreeSet::from(["status".to_owned()]),
        "what the source derived is nobody's edit"
    );
    assert_eq!(explicit.take, object(json!({"balance": 10})));
    assert!(explicit.conflicts.is_empty());
    let other = merged(&["notes"]);
    assert!(other.push.is_empty() && other.take.is_empty(), "the mirror writes volatile columns");
}

#[test]
fn new_lines_keep_their_order_and_come_last() {
    let base = Order::new(true, 1);
    let mut ours = base.clone();
    for rate in 0..12 {
        ours.rows.push(object(json!({"quantity": 9, "rate": 20 + rate})));
    }
    let merge = merged(&base, &ours, &base, None);
    let rates: Vec<&Value> = merge.push_rows["lines"].iter().map(|row| &row["rate"]).collect();
    let expected: Vec<Value> = std::iter::once(json!(0)).chain((20..32).map(Value::from)).collect();
    assert_eq!(rates, expected.iter().collect::<Vec<_>>());
}

#[test]
fn the_ids_of_new_lines_are_taken_when_the_answer_of_their_push_was_lost() {
    let base = remote(json!({}), [json!({"line_zoho_id": "7", "rate": 1})]);
    let lines = [json!({"line_zoho_id": "7", "rate": 1}), json!({"line_zoho_id": null, "rate": 2})];
    let theirs =
        [json!({"line_zoho_id": "7", "rate": 1}), json!({"line_zoho_id": "8", "rate": 2, "total": 2})];
    let merge = all(Some(&base), &local(json!({}), lines), &remote(json!({}), theirs), &["lines"]);
    assert!(merge.push.is_empty() && merge.conflicts.is_empty(), "{merge:?}");
    let ids: Vec<&Value> = merge.take_rows["lines"].iter().map(|row: &Fields| &row["line_zoho_id"]).collect();
    assert_eq!(ids, ["7", "8"]);
}

#[test]
fn the_side_that_a_policy_names_wins() {
    let base = remote(json!({"notes": "a"}), []);
    let ours = local(json!({"notes": "b"}), []);
    let theirs = remote(json!({"notes": "c"}), []);
    for winner in [Side::Source, Side::Target] {
        let stance = Stance {
            touched: None,
            writable: &|_| true,
            decide: &|_, source| {
                assert_eq!(source, "c");
                Some(winner)
            },
        };
        let merge = merge(Some(&base), &ours, &theirs, &stance);
        assert_eq!(merge.conflicts[0].winner, Some(winner));
        assert_eq!(
            (merge.push.len(), merge.take.len()),
            if winner == Side::Target { (1, 0) } else { (0, 1) }
        );
        assert!(!merge.waits_for_a_person());
    }
}
