//! Customers and vendors.

use serde_json::{Value, json};

use super::{
    entry::{Entry, copy, require, unique},
    given,
    refusal::{self as refused, Refused},
};
use crate::sim::{
    literal::{Object, field, object, text},
    module::Module,
    records::Records,
    sample::{self, ContactKind, IQD, USD},
};

/// The keys of a contact that its primary contact person has too.
const OF_PERSON: [&str; 5] = ["first_name", "last_name", "email", "phone", "mobile"];
/// Keys that Zoho computes, and keys that are written in another way.
const COMPUTED: [&str; 14] = [
    "contact_id",
    "status",
    "currency_id",
    "currency_code",
    "billing_address",
    "shipping_address",
    "outstanding_receivable_amount",
    "unused_credits_receivable_amount",
    "outstanding_payable_amount",
    "unused_credits_payable_amount",
    "primary_contact_id",
    "contact_type",
    "created_time",
    "last_modified_time",
];

pub(super) fn built(records: &Records, entry: &Entry<'_>) -> Result<Object, Refused> {
    require(entry, &["contact_name"])?;
    let body = entry.body;
    let mut contact = match entry.before {
        Some(before) => before.clone(),
        None => new(text(body, "contact_type") == "vendor"),
    };
    let kind = text(&contact, "contact_type").to_owned();
    if let Some(name) = given(body, "contact_name") {
        let is_same =
            |other: &Object| text(other, "contact_name") == name && text(other, "contact_type") == kind;
        unique(records, Module::CONTACTS, entry, is_same)
            .map_err(|()| refused::contact_exists(&kind, &name))?;
    }
    copy(body, &mut contact, &COMPUTED);
    match text(body, "currency_id") {
        "" => {}
        id @ (IQD | USD) => {
            contact.insert("currency_id".to_owned(), json!(id));
            contact.insert("currency_code".to_owned(), json!(if id == IQD { "IQD" } else { "USD" }));
        }
        _ => return Err(refused::unknown("Currency")),
    }
    for key in ["billing_address", "shipping_address"] {
        if let (Some(Value::Object(given)), Some(Value::Object(address))) =
            (body.get(key), contact.get_mut(key))
        {
            address.extend(given.clone());
        }
    }
    if let Some(Value::Array(given)) = body.get("contact_persons") {
        let persons = persons(entry, given)?;
        let primary = persons.iter().find(|person| person["is_primary_contact"] == json!(true));
        for key in OF_PERSON {
            let value = primary.map_or_else(|| json!(""), |person| person[key].clone());
            contact.insert(key.to_owned(), value);
        }
        contact.insert("contact_persons".to_owned(), Value::Array(persons));
    }
    Ok(contact)
}

/// Returns the contact persons of a body, which replace the others. A person that has an id of the contact keeps it.
fn persons(entry: &Entry<'_>, given_persons: &[Value]) -> Result<Vec<Value>, Refused> {
    let has_primary = given_persons.iter().any(|person| person["is_primary_contact"] == json!(true));
    let persons = given_persons.iter().enumerate().map(|(index, person)| {
        let person = person.as_object().ok_or_else(|| refused::value("contact_persons"))?;
        let known = given(person, "contact_person_id");
        if let Some(id) = &known {
            let persons = entry.before.and_then(|before| before.get("contact_persons")?.as_array());
            let is_known = |person: &Value| person["contact_person_id"] == json!(id);
            if !persons.into_iter().flatten().any(is_known) {
                return Err(refused::unknown("Contact person"));
            }
        }
        let mut row = json!({
            "contact_person_id": known.unwrap_or_default(),
            "is_primary_contact": !has_primary && index == 0,
            "communication_preference": {"is_email_enabled": true, "is_whatsapp_enabled": false},
        });
        for key in OF_PERSON.into_iter().chain(["is_primary_contact"]) {
            if let Some(value) = person.get(key) {
                row[key] = value.clone();
            } else if row.get(key).is_none() {
                row[key] = json!("");
            }
        }
        Ok(row)
    });
    persons.collect()
}

/// Returns a contact of which nothing is known.
fn new(is_vendor: bool) -> Object {
    let kind = if is_vendor { ContactKind::Vendor } else { ContactKind::Customer };
    let mut contact = object(sample::contact(0, kind));
    for key in OF_PERSON.into_iter().chain(["company_name", "primary_contact_id"]) {
        contact.insert(key.to_owned(), json!(""));
    }
    for key in ["billing_address", "shipping_address"] {
        let address = field(&contact, key).as_object().cloned().unwrap_or_default();
        let blank = address.into_iter().map(|(key, _)| (key, json!("")));
        contact.insert(key.to_owned(), blank.collect());
    }
    let open = [("contact_persons", json!([])), ("payment_terms", json!(0))];
    contact.extend(open.map(|(key, value)| (key.to_owned(), value)));
    contact
}
