//! The modules of the organization: those of the entity types, and one that is not an entity type.

pub use crate::entities::Module;
use crate::entities::{
    Api, bills, composite_items, contacts, credit_notes, currencies, customer_payments, invoices,
    item_groups, locations, prices, products, purchase_orders, sales_orders, taxes, vendor_credits,
    vendor_payments,
};

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
    /// Sales orders of customers.
    pub const SALES_ORDERS: Self = sales_orders::MODULE;
    /// Payments of customers.
    pub const CUSTOMER_PAYMENTS: Self = customer_payments::MODULE;
    /// Purchase orders to vendors.
    pub const PURCHASE_ORDERS: Self = purchase_orders::MODULE;
    /// Payments to vendors.
    pub const VENDOR_PAYMENTS: Self = vendor_payments::MODULE;
    /// Credits of vendors.
    pub const VENDOR_CREDITS: Self = vendor_credits::MODULE;
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
    pub const LOCATIONS: Self = locations::MODULE;
    /// Taxes.
    pub const TAXES: Self = taxes::MODULE;
    /// Currencies, with their dated rates.
    pub const CURRENCIES: Self = currencies::MODULE;
    /// Item groups.
    pub const ITEM_GROUPS: Self = item_groups::MODULE;
    /// Composite items.
    pub const COMPOSITE_ITEMS: Self = composite_items::MODULE;

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
