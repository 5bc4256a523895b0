//! The records that a read moves: those whose derived values have to be read again because of it.

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use super::{SyncState, Verdict};
use crate::record::{Content, Moves, Read, RecordKey};

/// The age from which on a record that is seen for the first time moves nothing. A first full sync reads the records of
/// years, and the records that they moved are read by full syncs of their own.
const OLD: Duration = Duration::days(1);

/// Returns the records that a read moves. `before` and `after` are the sync states of the record before and after the
/// verdict.
///
/// - A change moves what the record named before *and* what it names now: a line that was taken away frees stock as
///   well. A deletion moves what the last accepted state named.
/// - If nothing changed, nothing is moved.
/// - If a derived read shows changes in volatile columns only, it moves what follows the derived values of the
///   record. What changed these values has named the other records.
/// - A stale read moves what it names and the accepted state does not: the source had that state in between.
#[must_use]
pub fn moved(
    before: Option<&SyncState>,
    after: Option<&SyncState>,
    read: &Read,
    verdict: Verdict,
) -> BTreeSet<RecordKey> {
    let known = |state: Option<&SyncState>| -> Moves {
        state.and_then(|state| state.moves.clone()).unwrap_or_default()
    };
    let both = || -> BTreeSet<RecordKey> { known(before).all().chain(known(after).all()).collect() };
    match verdict {
        Verdict::Unchanged | Verdict::Reread(_) => BTreeSet::new(),
        Verdict::Stale => {
            let accepted = both();
            shown(read).map_or_else(BTreeSet::new, |moves| {
                moves.all().filter(|key| !accepted.contains(key)).collect()
            })
        }
        Verdict::Apply { .. } => match change(before, after, read) {
            Change::None => BTreeSet::new(),
            Change::Derived => known(before).through().chain(known(after).through()).collect(),
            Change::Own => both(),
        },
    }
}

/// Returns true if an applied read shows what was known before.
#[must_use]
pub fn shows_no_change(before: Option<&SyncState>, after: Option<&SyncState>, read: &Read) -> bool {
    change(before, after, read) == Change::None
}

/// What an applied read changed.
#[derive(PartialEq, Eq)]
enum Change {
    /// Nothing.
    None,
    /// Volatile columns, by a derived read.
    Derived,
    /// Anything else.
    Own,
}

fn change(before: Option<&SyncState>, after: Option<&SyncState>, read: &Read) -> Change {
    let Some(after) = after else { return Change::None };
    let Some(before) = before else {
        return if is_old(after.version, read) { Change::None } else { Change::Own };
    };
    let content = |state: &SyncState| (state.deleted, state.version, state.detail_hash.clone());
    // Without a whole record, only the row shows the content.
    let row = |state: &SyncState| state.detail_hash.is_none().then(|| state.list_hash.clone());
    if content(before) != content(after) || row(before) != row(after) {
        return Change::Own;
    }
    if before.volatile_hash == after.volatile_hash {
        Change::None
    } else if read.follow.as_ref().is_some_and(|follow| follow.is_derived) {
        Change::Derived
    } else {
        Change::Own
    }
}

fn is_old(version: Option<OffsetDateTime>, read: &Read) -> bool {
    version.is_some_and(|version| version < read.observed.interval().ended - OLD)
}

fn shown(read: &Read) -> Option<&Moves> {
    match &read.content {
        Content::Present(record) => record.moves.as_ref(),
        Content::Absent => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::{
        guard::guard,
        record::{EntityType, Follow, Observed, RecordBuilder, Shape},
    };

    const INVOICES: EntityType = EntityType::from_static("invoices");
    const ORDERS: EntityType = EntityType::from_static("sales_orders");
    const STOCK: EntityType = EntityType::from_static("stock");
    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

    fn at(seconds: i64) -> OffsetDateTime {
        NOW + Duration::seconds(seconds)
    }

    /// Returns an invoice with these items in its lines, of one order.
    fn invoice(version: i64, items: &[&str], balance: u32) -> RecordBuilder {
        let record = RecordBuilder::new(&INVOICES, "1").version(at(version));
        let record = record.fields(json!({"items": items})).volatile(json!({"balance": balance}));
        items.iter().fold(record.moves_through(&ORDERS, "7"), |record, item| record.moves(&STOCK, item))
    }

    fn seen(record: RecordBuilder, second: i64) -> Read {
        record.read(at(second), at(second))
    }

    fn gone(second: i64) -> Read {
        Read { content: Content::Absent, ..seen(invoice(0, &[], 0), second) }
    }

    fn derived(read: Read) -> Read {
        let slot = std::time::Duration::from_secs(2);
        let follow = Follow { slot, entities: Arc::default(), is_derived: true, look_again: None };
        Read { follow: Some(follow), ..read }
    }

    /// Returns what each of the reads moves, when they are handled one after the other.
    fn moves(reads: &[Read]) -> Vec<String> {
        let mut state: Option<SyncState> = None;
        let one = |read: &Read| {
            let verdict = guard(state.as_ref(), read);
            let next = SyncState::after(state.as_ref(), read, verdict).or_else(|| state.clone());
            let keys = moved(state.as_ref(), next.as_ref(), read, verdict);
            state = next;
            keys.iter().map(|key| key.id.to_string()).collect::<Vec<_>>().join(" ")
        };
        reads.iter().map(one).collect()
    }

    #[test]
    fn old_and_new_lines_count_and_a_deletion_moves_the_last_ones() {
        let reads = [
            seen(invoice(1, &["a", "b"], 5), 10),
            seen(invoice(1, &["a", "b"], 5), 20),
            seen(invoice(2, &["b", "c"], 5), 30),
            gone(40),
            gone(50),
            seen(invoice(3, &["d"], 5), 60),
        ];
        assert_eq!(moves(&reads), ["7 a b", "", "7 a b c", "7 b c", "", "7 b c d"]);
    }

    #[test]
    fn what_a_derived_read_finds_in_volatile_columns_moves_only_what_follows_them() {
        let first = seen(invoice(1, &["a"], 5), 10);
        let paid = seen(invoice(1, &["a"], 0), 20);
        assert_eq!(moves(&[first.clone(), paid.clone()]), ["7 a", "7 a"]);
        assert_eq!(moves(&[first.clone(), derived(paid)]), ["7 a", "7"]);
        // A new version is a change of the record itself, whoever finds it.
        assert_eq!(moves(&[first, derived(seen(invoice(2, &["b"], 5), 20))]), ["7 a", "7 a b"]);
    }

    #[test]
    fn the_first_sight_of_an_old_record_moves_nothing_and_its_next_change_moves_all() {
        let day = 24 * 60 * 60;
        let reads = [seen(invoice(0, &["a"], 5), day + 1), seen(invoice(day, &["b"], 5), day + 2)];
        assert_eq!(moves(&reads), ["", "7 a b"]);
        assert_eq!(moves(&[seen(invoice(0, &["a"], 5), day)]), ["7 a"]);
        assert_eq!(moves(&[gone(10)]), [""], "a record that was never seen");
    }

    #[test]
    fn a_body_that_arrives_late_moves_what_only_its_state_named() {
        let late = invoice(2, &["b", "c"], 5).seen(Shape::Webhook, Observed::Push(at(40)));
        let reads = [seen(invoice(1, &["a"], 5), 10), seen(invoice(3, &["c"], 5), 30), late];
        assert_eq!(moves(&reads), ["7 a", "7 a c", "b"]);
    }

    #[test]
    fn a_list_row_keeps_the_lines_that_the_whole_record_named() {
        let mut row =
            RecordBuilder::new(&INVOICES, "1").version(at(1)).volatile(json!({"balance": 0})).build();
        row.moves = None;
        let row = Read::of(row, Shape::List, seen(invoice(1, &[], 0), 20).observed);
        assert_eq!(moves(&[seen(invoice(1, &["a"], 5), 10), row]), ["7 a", "7 a"]);
    }
}
