//! The modules of the organization, and how each spells its keys.

/// A module of the organization. Customers and vendors share [`Module::Contacts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Module {
    /// Things bought and sold.
    Items,
    /// Customers and vendors.
    Contacts,
    /// Invoices to customers.
    Invoices,
    /// Bills of vendors.
    Bills,
    /// Credit notes to customers.
    CreditNotes,
    /// Price lists.
    PriceLists,
    /// Stock adjustments.
    Adjustments,
    /// Places that hold stock.
    Locations,
}

/// The product through whose base URL a call comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Books,
    Inventory,
}

impl Module {
    pub(crate) const ALL: [Self; 8] = [
        Self::Items,
        Self::Contacts,
        Self::Invoices,
        Self::Bills,
        Self::CreditNotes,
        Self::PriceLists,
        Self::Adjustments,
        Self::Locations,
    ];

    /// The path behind the base, and in most modules the key of the list.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Contacts => "contacts",
            Self::Invoices => "invoices",
            Self::Bills => "bills",
            Self::CreditNotes => "creditnotes",
            Self::PriceLists => "pricebooks",
            Self::Adjustments => "inventoryadjustments",
            Self::Locations => "locations",
        }
    }

    /// The key under which a list stands.
    #[must_use]
    pub const fn list_key(self) -> &'static str {
        match self {
            Self::Adjustments => "inventory_adjustments",
            other => other.path(),
        }
    }

    /// The key under which a single record stands, in answers and in webhooks.
    #[must_use]
    pub const fn detail_key(self) -> &'static str {
        match self {
            Self::Items => "item",
            Self::Contacts => "contact",
            Self::Invoices => "invoice",
            Self::Bills => "bill",
            Self::CreditNotes => "creditnote",
            Self::PriceLists => "pricebook",
            Self::Adjustments => "inventory_adjustment",
            Self::Locations => "location",
        }
    }

    /// The key of the record's id.
    #[must_use]
    pub const fn id_key(self) -> &'static str {
        match self {
            Self::Items => "item_id",
            Self::Contacts => "contact_id",
            Self::Invoices => "invoice_id",
            Self::Bills => "bill_id",
            Self::CreditNotes => "creditnote_id",
            Self::PriceLists => "pricebook_id",
            Self::Adjustments => "inventory_adjustment_id",
            Self::Locations => "location_id",
        }
    }

    /// What an error message calls a record.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Items => "Item",
            Self::Contacts => "Contact",
            Self::Invoices => "Invoice",
            Self::Bills => "Bill",
            Self::CreditNotes => "Credit Note",
            Self::PriceLists => "Price List",
            Self::Adjustments => "Inventory Adjustment",
            Self::Locations => "Location",
        }
    }

    /// Whether a product has the module at all.
    pub(crate) fn exists_in(self, api: Api) -> bool {
        self != Self::Adjustments || api == Api::Inventory
    }

    /// Whether `last_modified_time` filters the list. Elsewhere it is silently ignored.
    pub(crate) const fn filters_by_time(self, api: Api) -> bool {
        match api {
            Api::Books => matches!(self, Self::Invoices | Self::Bills | Self::CreditNotes),
            Api::Inventory => matches!(self, Self::Items),
        }
    }

    /// Whether the list hides inactive records unless asked.
    pub(crate) const fn hides_inactive(self) -> bool {
        matches!(self, Self::Items | Self::Contacts)
    }

    /// The documented sort columns; others are ignored.
    pub(crate) const fn sort_columns(self, api: Api) -> &'static [&'static str] {
        match (self, api) {
            (Self::Items, Api::Books) => &["name", "rate", "tax_name"],
            (Self::Items, Api::Inventory) => &[
                "name",
                "sku",
                "rate",
                "purchase_rate",
                "created_time",
                "last_modified_time",
                "reorder_level",
                "stock_on_hand",
            ],
            (Self::Contacts, _) => &[
                "contact_name",
                "first_name",
                "last_name",
                "email",
                "outstanding_receivable_amount",
                "created_time",
                "last_modified_time",
            ],
            (Self::Invoices, _) => {
                &["customer_name", "invoice_number", "date", "due_date", "total", "balance", "created_time"]
            }
            (Self::Bills, _) => {
                &["vendor_name", "bill_number", "date", "due_date", "total", "balance", "created_time"]
            }
            (Self::CreditNotes, _) => {
                &["customer_name", "creditnote_number", "balance", "total", "date", "created_time"]
            }
            (Self::PriceLists | Self::Adjustments | Self::Locations, _) => &[],
        }
    }

    /// Column and order of a list that was not asked for any; no column = as entered.
    pub(crate) const fn default_sort(self) -> (&'static str, &'static str) {
        match self {
            Self::Items => ("name", "A"),
            Self::Contacts => ("contact_name", "A"),
            Self::Invoices | Self::Bills | Self::CreditNotes => ("created_time", "D"),
            Self::PriceLists | Self::Adjustments | Self::Locations => ("", "A"),
        }
    }
}
