//! Customers and vendors: both are contacts, and `contact_type` distinguishes them.

use serde_json::{Map, Value};
use tds_core::{outbound::LocalRecord, record::EntityType};

use super::{
    answer::Answer,
    chosen::Chosen,
    contract::{Contract, Field, Form, ReadOnly, Removes, Status},
    documents::{CURRENCY, CUSTOM_FIELDS, NOTES},
    findings::Findings,
    products::ACTIVITY,
    reasons::{PAID, because},
    value::written,
};

pub(super) static CUSTOMERS: Contract = Contract {
    entity: &EntityType::from_static("customers"),
    noun: "customer",
    constants: &[("contact_type", "customer")],
    fields: &[
        NAME,
        COMPANY,
        Field::new("contact_sub_type", "customer_sub_type", Form::Text(0)),
        TERMS_OF_PAYMENT,
        TERMS_LABEL,
        CURRENCY,
        Field::new("credit_limit", "credit_limit", Form::OptionalDecimal),
        Field::new("price_list_zoho_id", "pricebook_id", Form::Id),
        BILLING,
        SHIPPING,
        NOTES,
        CUSTOM_FIELDS,
    ],
    read_only: BALANCES,
    ..CONTACT
};

pub(super) static VENDORS: Contract = Contract {
    entity: &EntityType::from_static("vendors"),
    noun: "vendor",
    constants: &[("contact_type", "vendor")],
    fields: &[
        NAME,
        COMPANY,
        TERMS_OF_PAYMENT,
        TERMS_LABEL,
        CURRENCY,
        BILLING,
        SHIPPING,
        NOTES,
        CUSTOM_FIELDS,
    ],
    read_only: &[
        BALANCES[0],
        BALANCES[1],
        because("contact_sub_type", OF_CUSTOMERS),
        because("credit_limit", OF_CUSTOMERS),
        because("price_list_zoho_id", OF_CUSTOMERS),
    ],
    ..CONTACT
};

const CONTACT: Contract = Contract {
    path: "/contacts",
    scope: "ZohoBooks.contacts",
    folded: &[PERSONS, "first_name", "last_name", "email", "phone", "mobile"],
    status: Some(Status {
        column: "status",
        initial: "active",
        in_force: "active",
        stated: None,
        transitions: ACTIVITY,
        derived: &[],
        reason: "",
    }),
    // Zoho deletes no contact that a document names.
    removes: Removes::Delete { or: Some("inactive") },
    answer: Answer { keys: &["contact"], id_key: "contact_id" },
    finish: persons,
    ..Contract::DOCUMENT
};

const NAME: Field = Field::new("name", "contact_name", Form::Text(200)).always();
const COMPANY: Field = Field::new("company_name", "company_name", Form::Text(200));
const TERMS_OF_PAYMENT: Field = Field::new("payment_terms", "payment_terms", Form::Integer);
const TERMS_LABEL: Field = Field::new("payment_terms_label", "payment_terms_label", Form::Text(0));
const BILLING: Field = Field::new("billing_address", "billing_address", Form::Object(ADDRESS));
const SHIPPING: Field = Field::new("shipping_address", "shipping_address", Form::Object(ADDRESS));
const BALANCES: &[ReadOnly] = &[because("outstanding_amount", PAID), because("unused_credits", PAID)];
const OF_CUSTOMERS: &str = "only customers have it";

const PERSONS: &str = "contact_persons";
/// The columns of the contact that belong to its primary contact person.
const OWN: [&str; 5] = ["first_name", "last_name", "email", "phone", "mobile"];
const PERSON: &[&str] = &[
    "contact_person_id",
    "salutation",
    "first_name",
    "last_name",
    "email",
    "phone",
    "mobile",
    "designation",
    "department",
    "is_primary_contact",
];
const ADDRESS: &[&str] =
    &["attention", "address", "street2", "city", "state", "state_code", "zip", "country", "fax", "phone"];

/// Writes the contact persons. Zoho takes the e-mail address and the telephone numbers of a contact only in its primary
/// contact person.
fn persons(contact: &LocalRecord, chosen: &Chosen<'_>, body: &mut Map<String, Value>, found: &mut Findings) {
    let own: Vec<&str> = OWN.into_iter().filter(|column| chosen.has(column)).collect();
    if own.is_empty() && !chosen.has(PERSONS) {
        return;
    }
    let known = contact.value(PERSONS).cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    let mut persons = match written(Form::Objects(PERSON), &known) {
        Ok(Value::Array(persons)) => persons,
        Ok(_) => Vec::new(),
        Err(fault) => return found.problem(format!("{PERSONS} {fault}")),
    };
    if chosen.creates() {
        // The ids of another contact's persons would make Zoho refuse the contact.
        for person in persons.iter_mut().filter_map(Value::as_object_mut) {
            person.remove("contact_person_id");
        }
    }
    let is_primary = |person: &Value| person.get("is_primary_contact") == Some(&Value::Bool(true));
    let place = persons.iter().position(is_primary).or(if persons.is_empty() { None } else { Some(0) });
    let person = match place.and_then(|place| persons.get_mut(place)) {
        Some(person) => person,
        None if own.is_empty() => {
            body.insert(PERSONS.to_owned(), Value::Array(persons));
            return;
        }
        None => {
            persons
                .push(Value::Object(Map::from_iter([("is_primary_contact".to_owned(), Value::Bool(true))])));
            let last = persons.len() - 1;
            &mut persons[last]
        }
    };
    for column in own {
        let value = contact.value(column).and_then(Value::as_str).unwrap_or_default();
        person[column] = Value::from(value);
    }
    body.insert(PERSONS.to_owned(), Value::Array(persons));
}
