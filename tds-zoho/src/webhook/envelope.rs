//! Where in a body the record stands. Zoho records no schema of its webhooks, so every plausible place is
//! looked at.

use serde_json::{Map, Value};

use crate::{entities::Descriptor, reading};

/// Modules of Zoho and the key of their records' ids. Those that a path does not handle are told apart from
/// bodies that nobody understands.
const MODULES: &[(&str, &str)] = &[
    ("item", "item_id"),
    ("composite_item", "composite_item_id"),
    ("contact", "contact_id"),
    ("customer", "customer_id"),
    ("vendor", "vendor_id"),
    ("invoice", "invoice_id"),
    ("bill", "bill_id"),
    ("creditnote", "creditnote_id"),
    ("credit_note", "creditnote_id"),
    ("vendor_credit", "vendor_credit_id"),
    ("salesorder", "salesorder_id"),
    ("purchaseorder", "purchaseorder_id"),
    ("estimate", "estimate_id"),
    ("retainerinvoice", "retainerinvoice_id"),
    ("recurring_invoice", "recurring_invoice_id"),
    ("payment", "payment_id"),
    ("customerpayment", "payment_id"),
    ("customer_payment", "payment_id"),
    ("vendorpayment", "payment_id"),
    ("vendor_payment", "payment_id"),
    ("package", "package_id"),
    ("shipmentorder", "shipment_id"),
    ("salesreturn", "salesreturn_id"),
    ("salesreturnreceive", "receive_id"),
    ("purchasereceive", "receive_id"),
    ("inventory_adjustment", "inventory_adjustment_id"),
    ("inventoryadjustment", "inventory_adjustment_id"),
    ("transfer_order", "transfer_order_id"),
    ("pricebook", "pricebook_id"),
    ("expense", "expense_id"),
    ("journal", "journal_id"),
    ("project", "project_id"),
];

/// Keys of parties: documents carry them as references.
const PARTIES: [&str; 2] = ["customer_id", "vendor_id"];

/// How deep an envelope may stand in others.
const DEPTH: usize = 3;

/// What a body holds.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A record of the kind that was looked for.
    Record { id: String, record: &'a Map<String, Value> },
    /// A record of another module, and its id where it can be read.
    Foreign { module: String, id: Option<String>, record: &'a Map<String, Value> },
    /// No record; the text tells a person why.
    Nothing(String),
}

/// Looks for a record of `descriptor`'s kind.
pub(super) fn find<'a>(descriptor: &Descriptor, object: &'a Map<String, Value>) -> Found<'a> {
    if let Some(found) = own(descriptor, object, DEPTH) {
        return found;
    }
    match foreign(object) {
        Some(found) => found,
        None => Found::Nothing(format!("there is no record with {} in the body", descriptor.id_key)),
    }
}

/// Looks for a record that names items: an item, or anything with lines. The id is the record's own.
pub(super) fn find_with_items(object: &Map<String, Value>) -> Option<(Option<String>, &Map<String, Value>)> {
    let names_items = |record: &Map<String, Value>| {
        record.contains_key("item_id") || record.get("line_items").is_some_and(Value::is_array)
    };
    let enveloped = objects(object).find(|(_, record)| names_items(record));
    let (name, record) = match enveloped {
        Some((name, record)) => (Some(name), record),
        None => (None, names_items(object).then_some(object)?),
    };
    let module = name.and_then(|name| MODULES.iter().find(|(module, _)| module == name));
    let key = match module {
        Some((_, key)) => key,
        None if record.contains_key("item_id") => "item_id",
        None => module_of(record).map_or("item_id", |(_, key)| key),
    };
    Some((reading::record_id(record, key).ok(), record))
}

/// The organization that a body says it is of.
pub(super) fn organization(object: &Map<String, Value>) -> Option<String> {
    let stated = |object: &Map<String, Value>| {
        let value = object.get("organization_id")?;
        match reading::as_id(value, "organization_id") {
            Ok(Value::String(id)) => Some(id),
            _ => None,
        }
    };
    stated(object).or_else(|| objects(object).find_map(|(_, record)| stated(record)))
}

fn own<'a>(descriptor: &Descriptor, object: &'a Map<String, Value>, depth: usize) -> Option<Found<'a>> {
    for name in descriptor.envelopes {
        if let Some(Value::Object(record)) = object.get(*name) {
            return Some(match id_in_envelope(descriptor, record) {
                Some(id) => Found::Record { id, record },
                None => {
                    Found::Nothing(format!("the {name} in the body has no readable {}", descriptor.id_key))
                }
            });
        }
    }
    if let Some(id) = bare_id(descriptor, object) {
        return Some(Found::Record { id, record: object });
    }
    let inside = objects(object).filter(|(name, _)| !is_module(name));
    let mut found = None;
    for (_, record) in inside.filter(|_| depth > 1) {
        match own(descriptor, record, depth - 1) {
            Some(record @ Found::Record { .. }) => return Some(record),
            other => found = found.or(other),
        }
    }
    found
}

fn id_in_envelope(descriptor: &Descriptor, record: &Map<String, Value>) -> Option<String> {
    let id = |key: &str| reading::record_id(record, key).ok();
    id(descriptor.id_key)
        .or_else(|| PARTIES.iter().filter(|_| is_contact(descriptor)).find_map(|key| id(key)))
}

/// The id of a record without an envelope. A party's id is that of the record only where nothing says that
/// the record is a document of the party.
fn bare_id(descriptor: &Descriptor, object: &Map<String, Value>) -> Option<String> {
    let id = |key: &str| reading::record_id(object, key).ok();
    let of_document = |(_, key): &(&str, &str)| !PARTIES.contains(key) && object.contains_key(*key);
    id(descriptor.id_key).or_else(|| {
        let party = is_contact(descriptor) && !MODULES.iter().any(of_document);
        PARTIES.iter().filter(|_| party).find_map(|key| id(key))
    })
}

fn is_contact(descriptor: &Descriptor) -> bool {
    descriptor.id_key == "contact_id"
}

fn is_module(name: &str) -> bool {
    MODULES.iter().any(|(module, _)| *module == name)
}

/// A record that is none of ours.
fn foreign(object: &Map<String, Value>) -> Option<Found<'_>> {
    let enveloped = objects(object).find_map(|(name, record)| {
        let key = match MODULES.iter().find(|(module, _)| module == name) {
            Some((_, key)) => (*key).to_owned(),
            None => format!("{name}_id"),
        };
        let known = is_module(name) || record.contains_key(&key) || module_of(record).is_some();
        let id = reading::record_id(record, &key).ok();
        known.then(|| Found::Foreign { module: name.clone(), id, record })
    });
    enveloped.or_else(|| {
        let (module, key) = module_of(object)?;
        let id = reading::record_id(object, key).ok();
        Some(Found::Foreign { module: module.to_owned(), id, record: object })
    })
}

fn module_of(record: &Map<String, Value>) -> Option<(&'static str, &'static str)> {
    let stated = |(_, key): &&(&str, &str)| reading::record_id(record, key).is_ok();
    // A document's own id says more than the id of its party.
    let document = MODULES.iter().filter(|(_, key)| !PARTIES.contains(key)).find(stated);
    document.or_else(|| MODULES.iter().find(stated)).copied()
}

fn objects(object: &Map<String, Value>) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    object.iter().filter_map(|(name, value)| value.as_object().map(|record| (name, record)))
}
