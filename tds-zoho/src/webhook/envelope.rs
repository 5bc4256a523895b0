//! Where in a body the record stands. Zoho records no schema of its webhooks, so every plausible place is
//! looked at.

use std::collections::BTreeSet;

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
    ("task", "task_id"),
    ("time_entry", "time_entry_id"),
    ("banktransaction", "transaction_id"),
    ("bank_transaction", "transaction_id"),
    ("sales_receipt", "sales_receipt_id"),
    ("debit_note", "debit_note_id"),
    ("recurring_bill", "recurring_bill_id"),
    ("recurring_expense", "recurring_expense_id"),
    ("delivery_challan", "deliverychallan_id"),
    ("picklist", "picklist_id"),
    ("item_group", "group_id"),
];

/// Keys of parties: documents carry them as references.
const PARTIES: [&str; 2] = ["customer_id", "vendor_id"];

/// Keys of records that are no documents. A document names such records; they name no document.
const MASTERS: [&str; 3] = ["item_id", "contact_id", "pricebook_id"];

/// Keys that a record which is no document may carry beside its own.
const REFERENCES: [&str; 4] = ["pricebook_id", "group_id", "project_id", "composite_item_id"];

/// Lists of a record's own parts. What they name are references, not records that were pushed.
const PARTS: [&str; 4] = ["line_items", "pricebook_items", "mapped_items", "contact_persons"];

/// How deep an envelope may stand in others.
const DEPTH: usize = 3;

/// The most records of one body. Zoho pushes one; a script that pushes more than this should ask for a sync.
const MOST: usize = 1_000;

/// What a body holds.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// The records of the kind that was looked for, each once; there is at least one.
    Records(Vec<(String, &'a Map<String, Value>)>),
    /// A record of another module, and its id where it can be read.
    Foreign(Foreign<'a>),
    /// No record; the text tells a person why.
    Nothing(String),
}

/// A record of another module than the one that was looked for.
#[derive(Debug)]
pub(super) struct Foreign<'a> {
    pub(super) module: String,
    pub(super) id: Option<String>,
    pub(super) record: &'a Map<String, Value>,
}

/// Looks for records of `descriptor`'s kind.
pub(super) fn find<'a>(descriptor: &Descriptor, object: &'a Map<String, Value>) -> Found<'a> {
    let mut seen = Seen::default();
    look(descriptor, object, DEPTH, &mut seen);
    match seen {
        Seen { records, .. } if records.len() > MOST => {
            Found::Nothing(format!("the body holds more than {MOST} records"))
        }
        Seen { records, .. } if !records.is_empty() => Found::Records(records),
        // What is called as ours are and has no id is a part of the other record.
        Seen { unreadable: Some(_), foreign: Some(foreign), .. }
            if foreign.id.is_some() && is_module(&foreign.module) =>
        {
            Found::Foreign(foreign)
        }
        Seen { unreadable: Some(reason), .. } => Found::Nothing(reason),
        Seen { foreign: Some(foreign), .. } => Found::Foreign(foreign),
        _ => Found::Nothing(format!("there is no record with {} in the body", descriptor.id_key)),
    }
}

/// Looks for records that name items: an item, or anything with lines. The id is the record's own.
pub(super) fn find_with_items(object: &Map<String, Value>) -> Vec<(Option<String>, &Map<String, Value>)> {
    let mut found = Vec::new();
    look_for_items(None, object, DEPTH, &mut found);
    found
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

/// The keys under which the address of a webhook may name a record of `descriptor`'s kind.
pub(super) fn is_own_key(descriptor: &Descriptor, key: &str) -> bool {
    key == descriptor.id_key || (is_contact(descriptor) && PARTIES.contains(&key))
}

/// The module whose records have their id under this key.
pub(super) fn module_of_key(key: &str) -> Option<&'static str> {
    MODULES.iter().find(|(_, id_key)| *id_key == key).map(|(module, _)| *module)
}

/// True where the object has the id and the number of a document of another kind and no number of its own kind. Such an
/// object may carry our key as a reference.
pub(super) fn looks_foreign(descriptor: &Descriptor, object: &Map<String, Value>) -> bool {
    !object.contains_key(&number_key(descriptor.id_key))
        && foreign_keys(descriptor, object).any(|(_, key)| object.contains_key(&number_key(key)))
}

#[derive(Default)]
struct Seen<'a> {
    records: Vec<(String, &'a Map<String, Value>)>,
    ids: BTreeSet<String>,
    /// An envelope of ours without a readable id.
    unreadable: Option<String>,
    foreign: Option<Foreign<'a>>,
}

impl<'a> Seen<'a> {
    fn add(&mut self, id: String, record: &'a Map<String, Value>) {
        if self.records.len() <= MOST && self.ids.insert(id.clone()) {
            self.records.push((id, record));
        }
    }
}

fn look<'a>(descriptor: &Descriptor, object: &'a Map<String, Value>, depth: usize, seen: &mut Seen<'a>) {
    let bare = foreign_keys(descriptor, object).next().filter(|_| !has_own_id(descriptor, object));
    // A document of another kind may hold objects that are called as ours are, such as the contact of an invoice.
    if let Some((module, key)) = bare
        && (object.contains_key(&number_key(key)) || !has_own_envelope(descriptor, object))
    {
        let id = reading::record_id(object, key).ok();
        seen.foreign.get_or_insert(Foreign { module: module.to_owned(), id, record: object });
        return;
    }
    let before = seen.records.len();
    for name in descriptor.envelopes {
        for record in object.get(*name).into_iter().flat_map(objects_of) {
            match id_in_envelope(descriptor, record) {
                Some(id) => seen.add(id, record),
                None if depth > 1 && has_own_envelope(descriptor, record) => {
                    look(descriptor, record, depth - 1, seen);
                }
                None => {
                    let reason = || format!("the {name} in the body has no readable {}", descriptor.id_key);
                    seen.unreadable.get_or_insert_with(reason);
                }
            }
        }
    }
    if seen.records.len() > before {
        return;
    }
    if let Some(id) = bare_id(descriptor, object) {
        return seen.add(id, object);
    }
    for (name, record) in objects(object).filter(|(name, _)| depth > 1 && !is_module(name)) {
        if !PARTS.contains(&name.as_str()) {
            look(descriptor, record, depth - 1, seen);
        }
    }
    if seen.records.len() == before && seen.foreign.is_none() {
        seen.foreign = foreign(descriptor, object);
    }
}

fn look_for_items<'a>(
    name: Option<&str>,
    object: &'a Map<String, Value>,
    depth: usize,
    found: &mut Vec<(Option<String>, &'a Map<String, Value>)>,
) {
    if object.contains_key("item_id") || object.get("line_items").is_some_and(Value::is_array) {
        let of_envelope = name.and_then(|name| MODULES.iter().find(|(module, _)| *module == name));
        let key = match of_envelope {
            Some((_, key)) => key,
            None if object.contains_key("item_id") => "item_id",
            None => module_of(object).map_or("item_id", |(_, key)| key),
        };
        found.push((reading::record_id(object, key).ok(), object));
        return;
    }
    // What stands inside a record of another module are its references.
    if depth <= 1 || name.is_some_and(is_module) || foreign_document(object) {
        return;
    }
    for (name, record) in objects(object).filter(|(name, _)| !PARTS.contains(&name.as_str())) {
        look_for_items(Some(name), record, depth - 1, found);
    }
}

fn id_in_envelope(descriptor: &Descriptor, record: &Map<String, Value>) -> Option<String> {
    let id = |key: &str| reading::record_id(record, key).ok();
    id(descriptor.id_key)
        .or_else(|| PARTIES.iter().filter(|_| is_contact(descriptor)).find_map(|key| id(key)))
}

/// The key of our records is there, and not as a reference to one.
fn has_own_id(descriptor: &Descriptor, object: &Map<String, Value>) -> bool {
    let is_master = MASTERS.contains(&descriptor.id_key);
    let is_reference =
        is_master && foreign_keys(descriptor, object).any(|(_, key)| !REFERENCES.contains(&key));
    reading::record_id(object, descriptor.id_key).is_ok() && !is_reference
}

fn has_own_envelope(descriptor: &Descriptor, object: &Map<String, Value>) -> bool {
    let named = descriptor.envelopes.iter().filter_map(|name| object.get(*name));
    named.flat_map(objects_of).any(|record| id_in_envelope(descriptor, record).is_some())
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

/// The modules of another kind whose ids the object carries, parties not counted.
fn foreign_keys(
    descriptor: &Descriptor,
    object: &Map<String, Value>,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let other = |key: &str| key != descriptor.id_key && !PARTIES.contains(&key);
    MODULES.iter().copied().filter(move |(_, key)| other(key) && reading::record_id(object, key).is_ok())
}

fn foreign_document(object: &Map<String, Value>) -> bool {
    module_of(object).is_some_and(|(_, key)| !PARTIES.contains(&key))
}

/// The key under which documents of a kind carry their number.
fn number_key(id_key: &str) -> String {
    format!("{}_number", id_key.strip_suffix("_id").unwrap_or(id_key))
}

/// A record that is none of ours.
fn foreign<'a>(descriptor: &Descriptor, object: &'a Map<String, Value>) -> Option<Foreign<'a>> {
    let is_other = |name: &str| {
        name != "organization" && !descriptor.envelopes.contains(&name) && !PARTS.contains(&name)
    };
    let enveloped = objects(object).filter(|(name, _)| is_other(name)).find_map(|(name, record)| {
        let key = match MODULES.iter().find(|(module, _)| module == name) {
            Some((_, key)) => (*key).to_owned(),
            None => format!("{name}_id"),
        };
        let known = is_module(name) || record.contains_key(&key) || module_of(record).is_some();
        let id = reading::record_id(record, &key).ok();
        known.then(|| Foreign { module: name.clone(), id, record })
    });
    enveloped.or_else(|| {
        let (module, key) = module_of(object)?;
        let id = reading::record_id(object, key).ok();
        Some(Foreign { module: module.to_owned(), id, record: object })
    })
}

fn module_of(record: &Map<String, Value>) -> Option<(&'static str, &'static str)> {
    let stated = |(_, key): &&(&str, &str)| reading::record_id(record, key).is_ok();
    // A document's own id says more than the id of its party.
    let document = MODULES.iter().filter(|(_, key)| !PARTIES.contains(key)).find(stated);
    document.or_else(|| MODULES.iter().find(stated)).copied()
}

/// The objects in an object, each with the key that it, or the list that it is in, stands under.
fn objects(object: &Map<String, Value>) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    object.iter().flat_map(|(name, value)| objects_of(value).map(move |record| (name, record)))
}

/// The object that a value is, or the objects of the list that it is.
fn objects_of(value: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    let (one, many) = match value {
        Value::Object(record) => (Some(record), None),
        Value::Array(records) => (None, Some(records)),
        _ => (None, None),
    };
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_object))
}
