//! What customers and vendors share: both are contacts, and `contact_type` distinguishes them.

use serde_json::{Map, Value};
use tds_core::{error::Result, record::EntityType};

use super::{Draft, Module, TIMES};
use crate::reading::{Column, columns, decimal, id, integer, json, text};

pub(super) const CUSTOMERS: EntityType = EntityType::from_static("customers");
pub(super) const VENDORS: EntityType = EntityType::from_static("vendors");

/// A document names a party by the key of the party's role in the document.
pub(super) const ENVELOPES: &[(&str, &str)] =
    &[("contact", "contact_id"), ("customer", "customer_id"), ("vendor", "vendor_id")];

/// The keys that a pushed contact must show to stand for a read of the contact. Without `contact_type` the contact may
/// be either a customer or a vendor.
pub(super) const WHOLE: &[&[&str]] = &[
    &["contact_name"],
    &["contact_type"],
    &["status"],
    &["billing_address"],
    &["shipping_address"],
    &["contact_persons"],
    &["last_modified_time", "updated_time"],
];

pub(super) const COLUMNS: &[Column] = &[
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

pub(super) const TABLES: &[(&[&str], &[Column])] = &[
    (&["contact_row", "contact"], COLUMNS),
    (&["contact_row", "contact", "contact_person"], PERSON),
    (&["contact_row", "contact"], RECEIVABLE),
    (&["contact_row", "contact"], PAYABLE),
];

/// Returns the entity type that a contact states: customer or vendor.
pub(super) fn stated(record: &Map<String, Value>) -> Option<EntityType> {
    match record.get("contact_type").and_then(Value::as_str) {
        Some("customer") => Some(CUSTOMERS),
        Some("vendor") => Some(VENDORS),
        _ => None,
    }
}

/// Reads a contact as the entity type that the draft states.
pub(super) fn read(record: &Map<String, Value>, draft: &mut Draft) -> Result<()> {
    draft.fields = columns(COLUMNS, record)?;
    if let Some(person) = primary_person(record) {
        draft.fields.extend(columns(PERSON, person)?);
    }
    draft.fields.extend(columns(PERSON, record)?);
    draft.fields.extend(columns(TIMES, record)?);
    // Balances change with every document of the contact, but the contact's own time of change does not move.
    let amounts = if draft.entity == VENDORS { PAYABLE } else { RECEIVABLE };
    draft.volatile = columns(amounts, record)?;
    draft.custom_fields(record)
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
