//! How the simulated organization shows the records of an entity type.
//!
//! The facts here repeat some of what a [`Descriptor`](super::Descriptor) says about the same calls. They must not be
//! derived from the descriptor: the simulation acts as Zoho, so a mistake in the descriptor shows as a failed call.

use super::Api;

/// A module of the simulated organization. Two entity types may share one, as customers and vendors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Module {
    /// The path after the base of the product, such as `invoices` or `settings/taxes`.
    pub path: &'static str,
    /// The key of the list in an answer.
    pub list_key: &'static str,
    /// The key of a single record, in answers and in webhooks. Empty: an answer has the record without a key.
    pub detail_key: &'static str,
    /// The key of the record's id.
    pub id_key: &'static str,
    /// The name that an error message uses for a record, such as `Credit Note`.
    pub noun: &'static str,
    /// Books has the module. Inventory has every module.
    pub in_books: bool,
    /// The product whose list the parameter `last_modified_time` filters. The other product ignores it silently.
    pub filtered_by_time: Option<Api>,
    /// Books documents the parameters `date_start` and `date_end` for the list.
    pub filtered_by_date: bool,
    /// The list can state the number and the sums of its records (`response_option`) in Books.
    pub states_sums: bool,
    /// The list hides inactive records unless the call requests them.
    pub hides_inactive: bool,
    /// The documented sort columns in Books, then those in Inventory. The simulation ignores other columns.
    pub sort_columns: [&'static [&'static str]; 2],
    /// The column and the order (`A` or `D`) of a list for which the call requests no order. An empty column means the
    /// order of entry.
    pub default_sort: (&'static str, &'static str),
    /// The number of rows per page in Books if the call does not state one.
    pub page_in_books: usize,
    /// The list states in `page_context` whether more pages follow. Otherwise every answer has the whole list.
    pub paged: bool,
    /// Lists of a record that have addresses of their own below the record's, and that no other answer shows: the last
    /// part of the address, and the key of the list.
    pub parts: &'static [(&'static str, &'static str)],
    /// Keys that no list row has.
    pub detail_only: &'static [&'static str],
    /// Further keys that no list row in Books has.
    pub detail_only_in_books: &'static [&'static str],
    /// Keys that only list rows have.
    pub list_only: &'static [&'static str],
}

impl Module {
    /// What the modules of documents share. The names are empty, and the user of this constant must set them.
    pub const DOCUMENT: Self = Self {
        path: "",
        list_key: "",
        detail_key: "",
        id_key: "",
        noun: "",
        in_books: true,
        filtered_by_time: Some(Api::Books),
        filtered_by_date: false,
        states_sums: false,
        hides_inactive: false,
        sort_columns: [&[]; 2],
        default_sort: ("created_time", "D"),
        page_in_books: 10,
        paged: true,
        parts: &[],
        detail_only: &[],
        detail_only_in_books: &[],
        list_only: &[],
    };
}
