//! The parts of a record that a list or a detail shows.

use serde_json::Value;

use super::{literal::Object, module::Module};
use crate::entities::Api;

/// Returns a list row: the record without the keys that only the detail has.
pub(crate) fn list_row(module: Module, api: Api, record: &Object) -> Object {
    let mut row = record.clone();
    let of_books = if api == Api::Books { module.detail_only_in_books } else { &[] };
    row.retain(|key, _| !module.detail_only.contains(&key.as_str()) && !of_books.contains(&key.as_str()));
    row.retain(|key, _| !is_part(module, key));
    if module == Module::INVOICES {
        for address in ["billing_address", "shipping_address"] {
            if let Some(Value::Object(address)) = row.get_mut(address)
                && let Some(zip) = address.remove("zip")
            {
                // Recorded answers have this key; the detail of the same invoice has `zip`.
                address.insert("zipcode".to_owned(), zip);
            }
        }
    }
    row
}

fn is_part(module: Module, key: &str) -> bool {
    module.parts.iter().any(|(_, part)| *part == key)
}

/// Returns the whole record, as far as the detail shows it.
pub(crate) fn detail(module: Module, api: Api, record: &Object) -> Object {
    let mut full = record.clone();
    full.retain(|key, _| !module.list_only.contains(&key.as_str()) && !is_part(module, key));
    if module == Module::CREDIT_NOTES
        && let Some(at) = full.remove("last_modified_time")
    {
        full.insert("updated_time".to_owned(), at);
    }
    if module == Module::PRICE_LISTS && api == Api::Inventory {
        full.remove("pricebook_items");
    }
    full
}
