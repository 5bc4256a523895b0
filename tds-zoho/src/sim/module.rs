//! The modules of the organization: those of the entity types, and two that are not entity types.

pub use crate::entities::Module;
use crate::entities::{Api, bills, contacts, credit_notes, invoices, prices, products};

impl Module {
    /// Items that are bought and sold.
    pub const ITEMS: Self = products::MODULE;
    /// Customers and vendors.
    pub const CONTACTS: Self = contacts::MODULE;
    /// Invoices to customers.
    pub const INVOICES: Self = invoices::MODULE;
    /// Bills of vendors.
    pub const BILLS: Self = bills::MODULE;
    /// Credit notes to customers.
    pub const CREDIT_NOTES: Self = credit_notes::MODULE;
    /// Price lists.
    pub const PRICE_LISTS: Self = prices::MODULE;
    /// Stock adjustments.
    pub const ADJUSTMENTS: Self = Self {
        path: "inventoryadjustments",
        list_key: "inventory_adjustments",
        detail_key: "inventory_adjustment",
        id_key: "inventory_adjustment_id",
        noun: "Inventory Adjustment",
        in_books: false,
        filtered_by_time: None,
        default_sort: ("", "A"),
        detail_only: &["created_time", "last_modified_time", "line_items", "location_id", "location_name"],
        list_only: &["created_time", "last_modified_time"],
        ..Self::DOCUMENT
    };
    /// Locations that hold stock.
    pub const LOCATIONS: Self = Self {
        path: "locations",
        list_key: "locations",
        detail_key: "location",
        id_key: "location_id",
        noun: "Location",
        filtered_by_time: None,
        default_sort: ("", "A"),
        detail_only: &["created_time", "last_modified_time", "is_location_active", "is_primary_location"],
        list_only: &["created_time", "last_modified_time"],
        ..Self::DOCUMENT
    };

    /// Returns true if the product has the module.
    pub(crate) fn exists_in(&self, api: Api) -> bool {
        self.in_books || api == Api::Inventory
    }

    /// Returns the documented sort columns; the simulation ignores others.
    pub(crate) fn sort_columns(&self, api: Api) -> &'static [&'static str] {
        let [books, inventory] = self.sort_columns;
        if api == Api::Books { books } else { inventory }
    }
}
