//! The plan of one seed: which faults occur, and how often. Each seed has only some of the faults, so that no fault
//! hides a failure that happens only without it.

use tds_core::limits::budget::OutageCause;

use crate::{
    bugs::Bug,
    dice::Dice,
    kinds::{ACCOUNTS, DEEDS, KINDS},
};

/// The differences between one list and its documentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quirk {
    pub(crate) ignores_filter: bool,
    pub(crate) ignores_sort: bool,
    pub(crate) exclusive: bool,
    /// The error, in hours, with which the filter reads its time.
    pub(crate) shift: i64,
    /// The second after the start from which the list differs.
    pub(crate) from: i64,
}

impl Quirk {
    /// Returns true if no change may ever be lost.
    pub(crate) fn is_honest(self) -> bool {
        !self.ignores_filter && !self.ignores_sort && self.shift == 0
    }
}

/// A time in which the source answers no call, in seconds after the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) cause: OutageCause,
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// True if only details fail, while lists work.
    pub(crate) details_only: bool,
}

/// The parameters of one simulation. Shares are in thousandths of the calls or of the changes.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) bug: Option<Bug>,
    /// The indexes of the entity types that take part.
    pub(crate) kinds: Vec<usize>,
    pub(crate) quirks: Vec<Quirk>,
    pub(crate) processes: usize,
    pub(crate) records: u64,
    pub(crate) page_size: usize,
    /// The time for which faults occur, in seconds.
    pub(crate) chaos: u64,
    /// The longest pause between two bursts of changes, in milliseconds.
    pub(crate) change_every: u64,
    /// The longest time of one half of a call to the source, in milliseconds.
    pub(crate) pace: u64,
    pub(crate) store_error: u64,
    pub(crate) store_unknown: u64,
    pub(crate) store_delay: u64,
    pub(crate) store_death: u64,
    /// How often settling waits for a lock, while other causes attach to the items.
    pub(crate) store_locked: u64,
    pub(crate) source_throttled: u64,
    pub(crate) source_error: u64,
    pub(crate) source_garbage: u64,
    pub(crate) source_auth: u64,
    pub(crate) source_slow: u64,
    pub(crate) outages: Vec<Outage>,
    pub(crate) webhook_lost: u64,
    pub(crate) webhook_twice: u64,
    pub(crate) webhook_late: u64,
    pub(crate) webhook_partial: u64,
    pub(crate) poison: u64,
    pub(crate) pauses: bool,
    pub(crate) kills: bool,
    pub(crate) max_attempts: u32,
    /// Whether the mirror is changed by others, and compared with the source.
    pub(crate) drifts: bool,
}

impl Plan {
    pub(crate) fn of(seed: u64, bug: Option<Bug>) -> Self {
        let dice = Dice::new(seed.wrapping_mul(0x1000_0000_01B3).wrapping_add(7));
        let share = |often: u64, most: u64| if dice.permille(often) { 1 + dice.below(most) } else { 0 };
        let (store_error, store_unknown) = (share(400, 60), share(300, 60));
        let (store_delay, store_death) = (share(300, 100), share(400, 12));
        let (source_throttled, source_error) = (share(300, 150), share(400, 200));
        let (source_garbage, source_auth) = (share(200, 80), share(100, 30));
        let source_slow = share(350, 120);
        let silent = dice.permille(200);
        let webhook_lost = if silent { 1000 } else { share(500, 500) };
        let webhook_twice = share(400, 300);
        let (webhook_late, webhook_partial) = (share(600, 500), share(600, 700));
        let poison = share(200, 60);
        let (pauses, kills) = (dice.permille(400), dice.permille(400));
        // The lists of documents and accounts are as documented, because no plan needs them to differ.
        let lists = KINDS.iter().enumerate();
        let quirks =
            lists.map(|(kind, _)| if kind < DEEDS { quirk(&dice) } else { Quirk::default() }).collect();
        // A seed has either many changes in a short time, or fewer changes in a longer time.
        let hot = dice.permille(350);
        let chaos = if hot { 25 + dice.below(30) } else { 60 + dice.below(80) };
        let change_every = if hot { 800 + dice.below(2_500) } else { 3_000 + dice.below(15_000) };
        let pace = if dice.permille(500) { 200 } else { 2_500 };
        let store_locked = share(400, 300);
        let outages = outages(&dice, chaos);
        // Faults of single calls spend attempts, but outages never do. In a seed without faults of single calls, few
        // attempts must be enough.
        let max_attempts = if source_error == 0 && source_garbage == 0 { 8 } else { 60 };
        Self {
            seed,
            bug,
            kinds: kinds(&dice, seed),
            quirks,
            processes: 1 + dice.index(2),
            records: 2 + dice.below(8),
            page_size: 2 + dice.index(4),
            chaos,
            change_every,
            pace,
            store_error,
            store_unknown,
            store_delay,
            store_death,
            store_locked,
            source_throttled,
            source_error,
            source_garbage,
            source_auth,
            source_slow,
            outages,
            webhook_lost,
            webhook_twice,
            webhook_late,
            webhook_partial,
            poison,
            pauses,
            kills,
            max_attempts,
            drifts: false,
        }
    }
}

/// Returns the outages of a seed: none in most seeds, one or two in the others. Some outages last as long as the
/// faults.
fn outages(dice: &Dice, chaos: u64) -> Vec<Outage> {
    let count = if dice.permille(350) { 1 + dice.below(2) } else { 0 };
    let seconds = |bound: u64| i64::try_from(dice.below(bound)).expect("seconds");
    let one = |_| {
        let cause = if dice.permille(500) { OutageCause::Account } else { OutageCause::Connection };
        let from = seconds(chaos);
        Outage { cause, from, to: from + 5 + seconds(chaos), details_only: dice.permille(300) }
    };
    (0..count).map(one).collect()
}

fn quirk(dice: &Dice) -> Quirk {
    let mut quirk = Quirk { exclusive: dice.permille(400), ..Quirk::default() };
    if dice.permille(300) {
        match dice.below(4) {
            0 => quirk.ignores_filter = true,
            1 => quirk.ignores_sort = true,
            2 => quirk.shift = if dice.permille(500) { 1 } else { -1 },
            _ => (quirk.ignores_filter, quirk.ignores_sort) = (true, true),
        }
        quirk.from = i64::try_from(dice.below(300)).expect("seconds") - 100;
    }
    quirk
}

/// Returns one or two separate entity types, or the two siblings. Each seventh seed has documents with the accounts that
/// follow them.
fn kinds(dice: &Dice, seed: u64) -> Vec<usize> {
    match dice.below(7) {
        _ if seed % 7 == 6 => vec![ACCOUNTS, DEEDS],
        5 | 6 => vec![5, 6],
        one => {
            let first = usize::try_from(one).expect("small");
            let second = dice.index(5);
            if first == second { vec![first] } else { vec![first, second] }
        }
    }
}
