//! A complete body for each entity type.

use serde_json::{Map, Value, json};
use tds_core::record::EntityType;
use tds_zoho::sim::{
    Module,
    sample::{self, ContactKind},
    stamp,
};
use time::OffsetDateTime;

/// Makes the sample's id one that neither an organization nor the demo has.
const NUMBER: u64 = 990_000_001;

/// The body that Zoho would push for a record of this type that changed at `now`.
pub(super) fn body(entity: &EntityType, now: OffsetDateTime) -> String {
    let (module, record) = record(entity);
    let mut record = match record {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    record.insert("created_time".to_owned(), Value::String(stamp(now)));
    record.insert("last_modified_time".to_owned(), Value::String(stamp(now)));
    json!({ module.detail_key(): record }).to_string()
}

fn record(entity: &EntityType) -> (Module, Value) {
    let item = sample::item(NUMBER);
    let customer = sample::contact(NUMBER, ContactKind::Customer);
    let vendor = sample::contact(NUMBER, ContactKind::Vendor);
    match entity.as_str() {
        "customers" => (Module::CONTACTS, customer),
        "vendors" => (Module::CONTACTS, vendor),
        "invoices" => (Module::INVOICES, sample::invoice(NUMBER, &customer, &[item])),
        "bills" => (Module::BILLS, sample::bill(NUMBER, &vendor, &[item])),
        "credit_notes" => (Module::CREDIT_NOTES, sample::credit_note(NUMBER, &customer, &[item])),
        "prices" => (Module::PRICE_LISTS, sample::price_list_unit(NUMBER, &[item])),
        _ => (Module::ITEMS, item),
    }
}
