//! Customers and vendors: both are contacts, and `contact_type` distinguishes them.

use serde_json::{Map, Value};
use tds_core::{error::Result, mirror::MirrorSchema, record::EntityType};

use super::{Descriptor, Detail, Draft, List, Module, Role, SORTED, Sibling, Webhooks};
use crate::reading::{Column, columns, decimal, id, integer, json, text};

const CUSTOMER: EntityType = EntityType::from_static("customers");
const VENDOR: EntityType = EntityType::from_static("vendors");

pub(super) static CUSTOMERS: Descriptor = Descriptor {
    schema: &MirrorSchema { entity: CUSTOMER, head: Some("customers"), children: &[] },
    list: List { query: &[("contact_type", "customer"), ("filter_by", "Status.All")], ..LIST },
    sibling: Some(Sibling { entity: &VENDOR, stated }),
    webhooks: Some(Webhooks { path: "customers", predecessor: Some("customers") }),
    matters_most: true,
    sample: sample!(customer),
    ..CONTACT
};

pub(super) static VENDORS: Descriptor = Descriptor {
    schema: &MirrorSchema { entity: VENDOR, head: Some("vendors"), children: &[] },
    list: List { query: &[("contact_type", "vendor"), ("filter_by", "Status.All")], ..LIST },
    sibling: Some(Sibling { entity: &CUSTOMER, stated }),
    // Webhooks of all contacts, customers and vendors, arrive at one path.
    webhooks: Some(Webhooks { path: "customers", predecessor: Some("vendors") }),
    sample: sample!(vendor),
    ..CONTACT
};

/// What both share. Without the filter by status, the list hides inactive contacts.
const LIST: List = List { path: "/contacts", keys: &["contacts"], changes: SORTED, ..List::DOCUMENTS };

const CONTACT: Descriptor = Descriptor {
    scope: "ZohoBooks.contacts.READ",
    detail: Detail::Single { path: "/contacts", keys: &["contact", "customer", "vendor"] },
    id_key: "contact_id",
    // A document names a party by the key of the party's role in the document.
    envelopes: &[("contact", "contact_id"), ("customer", "customer_id"), ("vendor", "vendor_id")],
    role: Role::Master,
    shows: Some("contact"),
    whole: &[
        &["contact_name"],
        // Without this key the contact may be either a customer or a vendor.
        &["contact_type"],
        &["status"],
        &["billing_address"],
        &["shipping_address"],
        &["contact_persons"],
        &["last_modified_time", "updated_time"],
    ],
    columns: COLUMNS,
    read,
    simulated: Some(MODULE),
    ..Descriptor::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("name", &["contact_name"]),
    text("company_name", &["company_name"]),
    text("contact_sub_type", &["customer_sub_type"]),
    text("status", &["status"]),
    text("currency_code", &["currency_code"]),
    // The value is a number of days, or the negative code of a rule.
    integer("payment_terms", &["payment_terms"]),
    text("payment_terms_label", &["payment_terms_label"]),
    decimal("credit_limit", &["credit_limit"]),
    id("price_list_zoho_id", &["pricebook_id"]),
    json("billing_address", &["billing_address"]),
    json("shipping_address", &["shipping_address"]),
    json("contact_persons", &["contact_persons"]),
    text("notes", &["notes"]),
];

/// Columns that a detail may show only in its primary contact person.
pub(super) const PERSON: &[Column] = &[
    text("first_name", &["first_name"]),
    text("last_name", &["last_name"]),
    text("email", &["email"]),
    text("phone", &["phone"]),
    text("mobile", &["mobile"]),
];

pub(super) const RECEIVABLE: &[Column] = &[
    decimal("outstanding_amount", &["outstanding_receivable_amount"]),
    decimal("unused_credits", &["unused_credits_receivable_amount"]),
];

pub(super) const PAYABLE: &[Column] = &[
    decimal("outstanding_amount", &["outstanding_payable_amount"]),
    decimal("unused_credits", &["unused_credits_payable_amount"]),
];

/// Returns the entity type that a contact states: customer or vendor.
fn stated(record: &Map<String, Value>) -> Option<EntityType> {
    match record.get("contact_type").and_then(Value::as_str) {
        Some("customer") => Some(CUSTOMER),
        Some("vendor") => Some(VENDOR),
        _ => None,
    }
}

/// Reads the contact person, and the balances of the entity type that the contact states.
fn read(record: &Map<String, Value>, draft: &mut Draft) -> Result<()> {
    if let Some(person) = primary_person(record) {
        draft.fields.extend(columns(PERSON, person)?);
    }
    draft.fields.extend(columns(PERSON, record)?);
    // Balances change with every document of the contact, but the contact's own time of change does not move.
    let amounts = if draft.entity == VENDOR { PAYABLE } else { RECEIVABLE };
    draft.volatile = columns(amounts, record)?;
    Ok(())
}

fn primary_person(record: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let persons = record.get("contact_persons")?.as_array()?;
    let is_primary =
        |person: &&Map<String, Value>| person.get("is_primary_contact") == Some(&Value::Bool(true));
    persons.iter().filter_map(Value::as_object).find(is_primary)
}

pub(crate) const MODULE: Module = Module {
    path: "contacts",
    list_key: "contacts",
    detail_key: "contact",
    id_key: "contact_id",
    noun: "Contact",
    filtered_by_time: None,
    hides_inactive: true,
    sort_columns: [&[
        "contact_name",
        "first_name",
        "last_name",
        "email",
        "outstanding_receivable_amount",
        "created_time",
        "last_modified_time",
    ]; 2],
    default_sort: ("contact_name", "A"),
    detail_only: &[
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
    ],
    ..Module::DOCUMENT
};
