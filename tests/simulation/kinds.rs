//! The entity types of the simulation: one for each property in which entity types differ.

use std::{sync::LazyLock, time::Duration};

use tds_core::{
    mirror::{Child, MirrorSchema},
    record::EntityType,
    source::{Ability, Capability},
};

/// The properties of one entity type.
pub(crate) struct Kind {
    pub(crate) schema: MirrorSchema,
    /// True if list rows show only a part of the record.
    pub(crate) needs_detail: bool,
    pub(crate) detail_max_age: Option<Duration>,
    /// The index of the entity type into which a record may change.
    pub(crate) sibling: Option<usize>,
    pub(crate) documented: Capability,
    /// True if records state the time of their last change.
    pub(crate) versioned: bool,
    /// True if records have a column that changes without a new version.
    pub(crate) volatile: bool,
    pub(crate) fetch_batch: usize,
    /// The index of the entity type whose volatile column follows these records, which name its records as members.
    pub(crate) moves: Option<usize>,
}

/// The index of the documents that move accounts.
pub(crate) const DEEDS: usize = 7;
/// The index of the records whose volatile column follows documents. No schedule reads them.
pub(crate) const ACCOUNTS: usize = 8;

const YES: Ability = Ability::Documented;
const NO: Ability = Ability::Unknown;

fn kind(name: &'static str, children: &'static [Child], documented: Capability) -> Kind {
    Kind {
        schema: MirrorSchema { entity: EntityType::from_static(name), head: Some(name), children },
        needs_detail: true,
        detail_max_age: None,
        sibling: None,
        documented,
        versioned: true,
        volatile: false,
        fetch_batch: 1,
        moves: None,
    }
}

/// In this order: whole records in the list; partial list rows that need details; volatile columns; sets of child rows
/// whose shrinking is confirmed; no versions, so that details are read again by age; two entity types between which
/// records move; and documents, with the accounts that follow them.
pub(crate) static KINDS: LazyLock<[Kind; 9]> = LazyLock::new(|| {
    [
        Kind {
            needs_detail: false,
            fetch_batch: 4,
            ..kind("wholes", &[], Capability { filter: YES, sort: YES })
        },
        Kind { fetch_batch: 3, ..kind("parts", &[], Capability { filter: YES, sort: YES }) },
        Kind {
            needs_detail: false,
            volatile: true,
            ..kind("tides", &[], Capability { filter: YES, sort: NO })
        },
        kind(
            "sets",
            &[Child { table: "members", owner: "set_id", confirm_shrink: true }],
            Capability { filter: NO, sort: YES },
        ),
        Kind {
            versioned: false,
            detail_max_age: Some(Duration::from_secs(90)),
            ..kind("ageless", &[], Capability { filter: NO, sort: NO })
        },
        Kind { sibling: Some(6), ..kind("buyers", &[], Capability { filter: NO, sort: YES }) },
        Kind { sibling: Some(5), ..kind("sellers", &[], Capability { filter: YES, sort: YES }) },
        Kind {
            moves: Some(ACCOUNTS),
            ..kind(
                "deeds",
                &[Child { table: "postings", owner: "deed_id", confirm_shrink: false }],
                Capability { filter: YES, sort: YES },
            )
        },
        Kind {
            needs_detail: false,
            volatile: true,
            fetch_batch: 4,
            ..kind("accounts", &[], Capability { filter: NO, sort: NO })
        },
    ]
});

pub(crate) fn index_of(entity: &EntityType) -> usize {
    KINDS.iter().position(|kind| kind.schema.entity == *entity).expect("a known entity type")
}
