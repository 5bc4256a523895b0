//! Laws of the merge.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tds_core::outbound::Side;

use super::edits::{Edit, Order, changed, edits, merged};

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Source), Just(Side::Target)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_changed_is_nothing_to_do(ids: bool, lines in 0..4_usize, order in edits(3)) {
        let base = Order::new(ids, lines);
        let swaps: Vec<Edit> = order.into_iter().filter(|edit| matches!(edit, Edit::Swap(..))).collect();
        // An order of the rows alone is no change, on neither side.
        for (local, remote) in [(base.clone().edited(&swaps), base.clone()), (base.clone(), base.clone().edited(&swaps))] {
            let merge = merged(&base, &local, &remote.derived("remote"), None);
            prop_assert!(merge.push.is_empty() && merge.take.is_empty() && merge.take_rows.is_empty(), "{merge:?}");
            prop_assert!(merge.conflicts.is_empty() && merge.differences.is_empty());
        }
    }

    #[test]
    fn a_change_of_the_target_alone_wins(ids: bool, lines in 0..4_usize, ours in edits(6)) {
        let base = Order::new(ids, lines);
        let local = base.clone().edited(&ours);
        let merge = merged(&base, &local, &base, None);
        prop_assert!(merge.conflicts.is_empty(), "{merge:?}");
        // A row that was removed and entered again has no id, so it is written.
        let columns = |names: &BTreeSet<String>| -> Vec<String> {
            names.iter().filter(|name| *name != "lines").cloned().collect()
        };
        let expected = changed(&base, &local);
        prop_assert_eq!(columns(&merge.push), columns(&expected));
        prop_assert!(merge.push.is_superset(&expected));
        prop_assert_eq!(base.pushed(&merge, &local).agreed(), local.agreed());
    }

    #[test]
    fn a_change_of_the_source_alone_wins(ids: bool, lines in 0..4_usize, theirs in edits(6)) {
        let base = Order::new(ids, lines);
        let remote = base.clone().edited(&theirs).derived("remote");
        let merge = merged(&base, &base, &remote, None);
        prop_assert!(merge.conflicts.is_empty() && merge.push.is_empty(), "{merge:?}");
        prop_assert_eq!(base.taken(&merge).agreed(), remote.agreed());
        prop_assert_eq!(&base.taken(&merge).fields, &remote.fields, "derived columns too");
    }

    #[test]
    fn changes_that_agree_are_nothing_to_do(ids: bool, lines in 0..4_usize, both in edits(6)) {
        let base = Order::new(ids, lines);
        let local = base.clone().edited(&both);
        let merge = merged(&base, &local, &local.clone().derived("remote"), None);
        prop_assert!(merge.conflicts.is_empty() && merge.push.is_empty(), "{merge:?}");
        prop_assert_eq!(local.taken(&merge).agreed(), local.agreed());
    }

    #[test]
    fn both_sides_agree_after_a_push(
        ids: bool, lines in 0..4_usize, ours in edits(6), theirs in edits(6), winner in side(),
    ) {
        let base = Order::new(ids, lines);
        let (local, remote) = (base.clone().edited(&ours), base.clone().edited(&theirs).derived("remote"));
        let merge = merged(&base, &local, &remote, Some(winner));
        let (source, target) = (remote.pushed(&merge, &local), local.taken(&merge));
        prop_assert_eq!(source.agreed(), target.agreed(), "{:?}", merge);
        // A conflict is where both sides changed, and it keeps what lost.
        for conflict in merge.conflicts.iter().filter(|conflict| !conflict.field.contains('[')) {
            prop_assert_ne!(&conflict.target, &conflict.source);
            prop_assert_eq!(&conflict.target, &local.fields[&conflict.field]);
            prop_assert_eq!(&conflict.source, &remote.fields[&conflict.field]);
        }
        let both = changed(&base, &local).intersection(&changed(&base, &remote)).cloned().collect::<Vec<_>>();
        for name in both.iter().filter(|name| *name != "lines") {
            let in_conflict = merge.conflicts.iter().any(|conflict| conflict.field == *name);
            prop_assert_eq!(in_conflict, local.fields[name] != remote.fields[name]);
        }
    }

    #[test]
    fn a_push_whose_answer_was_lost_writes_nothing_again(
        ids: bool, lines in 0..4_usize, ours in edits(6), theirs in edits(6), winner in side(),
    ) {
        // Without ids, rows that both sides changed cannot be told apart, nor can rows that say the same.
        let theirs = if ids { theirs } else { Vec::new() };
        let base = Order::new(ids, lines);
        let (local, remote) = (base.clone().edited(&ours), base.clone().edited(&theirs).derived("remote"));
        prop_assume!(ids || local.has_different_rows());
        let first = merged(&base, &local, &remote, Some(winner));
        let written = remote.pushed(&first, &local);
        let again = merged(&base, &local, &written, Some(winner));
        prop_assert!(again.push.is_empty(), "{:?} after {:?}", again, first);
        prop_assert_eq!(local.taken(&again).agreed(), written.agreed());
    }

    #[test]
    fn what_waits_for_a_person_changes_on_neither_side(
        ids: bool, lines in 0..4_usize, ours in edits(6), theirs in edits(6),
    ) {
        let base = Order::new(ids, lines);
        let (local, remote) = (base.clone().edited(&ours), base.clone().edited(&theirs).derived("remote"));
        let merge = merged(&base, &local, &remote, None);
        prop_assert_eq!(merge.waits_for_a_person(), !merge.conflicts.is_empty());
        for conflict in merge.conflicts.iter().filter(|conflict| !conflict.field.contains('[')) {
            prop_assert!(!merge.push.contains(&conflict.field) && !merge.take.contains_key(&conflict.field));
        }
    }
}
