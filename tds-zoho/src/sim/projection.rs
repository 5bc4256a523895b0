//! What of a record a list or a detail shows.

use serde_json::Value;

use super::{
    literal::Object,
    module::{Api, Module},
};

/// A list row: the record without what only the detail has.
pub(crate) fn list_row(module: Module, api: Api, record: &Object) -> Object {
    let mut row = without(record, detail_only(module, api));
    if module == Module::CreditNotes {
        row.remove("updated_time");
    }
    if module == Module::Invoices {
        for address in ["billing_address", "shipping_address"] {
            if let Some(Value::Object(address)) = row.get_mut(address)
                && let Some(zip) = address.remove("zip")
            {
                // As it was recorded: the detail of the same invoice says `zip`.
                address.insert("zipcode".to_owned(), zip);
            }
        }
    }
    row
}

/// The whole record, as far as the detail shows it.
pub(crate) fn detail(module: Module, api: Api, record: &Object) -> Object {
    let mut full = record.clone();
    match module {
        Module::CreditNotes => {
            if let Some(at) = full.remove("last_modified_time") {
                full.insert("updated_time".to_owned(), at);
            }
            full.retain(|key, _| !matches!(key.as_str(), "currency_id" | "is_emailed"));
        }
        Module::PriceLists => {
            full.remove("last_modified_time");
            full.remove("created_time");
            if api == Api::Inventory {
                full.remove("pricebook_items");
            }
        }
        Module::Adjustments | Module::Locations => {
            full.remove("created_time");
            full.remove("last_modified_time");
        }
        Module::Bills => full.retain(|key, _| !matches!(key.as_str(), "due_days" | "has_attachment")),
        Module::Items | Module::Contacts | Module::Invoices => {}
    }
    full
}

/// What `/itemdetails` shows of an item: the detail, in either product.
pub(crate) fn bulk_item(record: &Object) -> Value {
    Value::Object(record.clone())
}

fn without(record: &Object, hidden: [&[&str]; 2]) -> Object {
    record
        .iter()
        .filter(|(key, _)| !hidden.iter().any(|keys| keys.contains(&key.as_str())))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn detail_only(module: Module, api: Api) -> [&'static [&'static str]; 2] {
    let hidden: &[&str] = match (module, api) {
        (Module::Items, Api::Inventory) => ITEM,
        (Module::Items, Api::Books) => return [ITEM, PURCHASING],
        (Module::Contacts, _) => CONTACT,
        (Module::Invoices, _) => INVOICE,
        (Module::Bills, _) => BILL,
        (Module::CreditNotes, _) => CREDIT_NOTE,
        (Module::PriceLists, _) => &["created_time", "is_default", "products", "pricebook_items"],
        (Module::Adjustments, _) => {
            &["created_time", "last_modified_time", "line_items", "location_id", "location_name"]
        }
        (Module::Locations, _) => {
            &["created_time", "last_modified_time", "is_location_active", "is_primary_location"]
        }
    };
    [hidden, &[]]
}

const ITEM: &[&str] = &[
    "unit_id",
    "track_inventory",
    "can_be_sold",
    "can_be_purchased",
    "inventory_account_id",
    "vendor_id",
    "pricebook_rate",
    "sales_rate",
    "group_id",
    "group_name",
    "category_id",
    "category_name",
    "image_id",
    "custom_fields",
    "package_details",
    "preferred_vendors",
    "locations",
    "committed_stock",
    "actual_committed_stock",
    "available_for_sale_stock",
    "actual_available_for_sale_stock",
];

/// Beyond [`ITEM`], lists of Books leave out purchasing and packaging.
const PURCHASING: &[&str] = &[
    "purchase_description",
    "purchase_account_id",
    "purchase_account_name",
    "purchase_rate",
    "part_number",
    "length",
    "width",
    "height",
    "weight",
    "weight_unit",
    "dimension_unit",
    "is_returnable",
];

const CONTACT: &[&str] = &[
    "account_id",
    "addresses",
    "billing_address",
    "contact_persons",
    "credit_limit",
    "is_bcy_only_contact",
    "is_taxable",
    "language_code",
    "notes",
    "owner_id",
    "payment_terms_id",
    "pricebook_id",
    "pricebook_name",
    "primary_contact_id",
    "shipping_address",
    "source",
    "tax_exemption_id",
    "tax_id",
    "tax_info_list",
];

const INVOICE: &[&str] = &[
    "bcy_total",
    "credits_applied",
    "custom_fields",
    "discount",
    "discount_type",
    "is_discount_before_tax",
    "is_inclusive_tax",
    "line_items",
    "location_id",
    "location_name",
    "notes",
    "payment_made",
    "payment_terms",
    "payment_terms_label",
    "price_precision",
    "sub_total",
    "tax_total",
    "taxes",
    "terms",
];

const BILL: &[&str] = &[
    "adjustment",
    "custom_fields",
    "is_inclusive_tax",
    "line_items",
    "notes",
    "payment_made",
    "payment_terms",
    "payment_terms_label",
    "payments",
    "purchaseorder_ids",
    "sub_total",
    "tax_total",
    "taxes",
    "terms",
    "vendor_credits",
    "vendor_credits_applied",
];

const CREDIT_NOTE: &[&str] = &[
    "billing_address",
    "custom_fields",
    "exchange_rate",
    "invoices",
    "line_items",
    "notes",
    "price_precision",
    "sub_total",
    "tax_total",
    "taxes",
    "terms",
];
