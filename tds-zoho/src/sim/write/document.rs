//! Documents with lines.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    entry::{Entry, copy, require, unique},
    given,
    kinds::Kind,
    lines,
    refusal::{self as refused, Refused},
    totals,
};
use crate::sim::{
    literal::{Object, decimal, field, object, text},
    module::Module,
    records::Records,
};

/// Keys that Zoho computes, and keys that are written in another way.
const COMPUTED: [&str; 19] = [
    "status",
    "current_sub_status",
    "order_status",
    "invoiced_status",
    "paid_status",
    "shipped_status",
    "billed_status",
    "received_status",
    "sub_total",
    "tax_total",
    "total",
    "bcy_total",
    "balance",
    "payment_made",
    "credits_applied",
    "vendor_credits_applied",
    "currency_code",
    "created_time",
    "last_modified_time",
];

pub(super) fn built(records: &Records, kind: &Kind, entry: &Entry<'_>) -> Result<Object, Refused> {
    require(entry, kind.required)?;
    let body = entry.body;
    let (party_key, name_key, contact_type) = kind.party;
    let party_id = given(body, party_key).or_else(|| Some(text(entry.before?, party_key).to_owned()));
    let party = party(records, &party_id.unwrap_or_default(), contact_type)?;
    let mut document = match entry.before {
        Some(before) => {
            let is_closed = matches!(text(before, "status"), "void" | "cancelled");
            if is_closed {
                return Err(refused::status(&kind.module.noun.to_lowercase(), field(before, "status")));
            }
            before.clone()
        }
        None => new(kind, &party, body),
    };
    copy(body, &mut document, &COMPUTED);
    document.insert(party_key.to_owned(), party["contact_id"].clone());
    document.insert(name_key.to_owned(), party["contact_name"].clone());
    number(records, kind, entry, &mut document)?;
    if let Some(given) = body.get("line_items") {
        let given = given.as_array().map(Vec::as_slice).unwrap_or_default();
        let rows = lines::built(records, kind, &party, entry, given)?;
        document.insert("line_items".to_owned(), rows);
    }
    lines::in_one_place(&document)?;
    totals::compute(records, &mut document);
    if decimal(field(&document, "balance")) < Decimal::ZERO {
        return Err(refused::too_much(&kind.module.noun.to_lowercase()));
    }
    Ok(document)
}

/// Returns a contact of the type.
pub(super) fn party(records: &Records, id: &str, contact_type: &str) -> Result<Value, Refused> {
    let contact = records.get(Module::CONTACTS, id);
    let contact = contact.filter(|contact| text(contact, "contact_type") == contact_type);
    let noun = if contact_type == "vendor" { "Vendor" } else { "Customer" };
    contact.cloned().map(Value::Object).ok_or_else(|| refused::unknown(noun))
}

/// Returns a document without lines.
fn new(kind: &Kind, party: &Value, body: &Object) -> Object {
    let mut document = object((kind.sample)(0, party, &[]));
    let is_draft = field(body, "is_draft") == &json!(true);
    let status = if is_draft { "draft" } else { kind.status };
    for key in ["status", "current_sub_status", "order_status"] {
        if document.contains_key(key) {
            document.insert(key.to_owned(), json!(status));
        }
    }
    document.insert("reference_number".to_owned(), json!(""));
    document
}

/// Gives the document its number, or takes the given one.
fn number(records: &Records, kind: &Kind, entry: &Entry<'_>, document: &mut Object) -> Result<(), Refused> {
    let (key, prefix) = kind.number;
    let known = entry.before.map(|before| text(before, key).to_owned());
    let given = given(entry.body, key).filter(|given| Some(given) != known.as_ref());
    let (module, party) = (kind.module, kind.party.0);
    // The number of a bill is the vendor's own, so only bills of one vendor are compared.
    let of_party = |other: &Object| !prefix.is_empty() || field(other, party) == field(document, party);
    let taken = |number: &str| {
        unique(records, module, entry, |other| text(other, key) == number && of_party(other)).is_err()
    };
    let number = match (given, known) {
        (Some(given), _) => {
            // Credit notes are an exception: Zoho documents their number as required.
            let by_zoho = !prefix.is_empty() && module != Module::CREDIT_NOTES;
            if by_zoho && !entry.own_number {
                return Err(refused::numbered_by_zoho(key));
            }
            if taken(&given) {
                return Err(refused::exists(&key.replace('_', " "), &given));
            }
            given
        }
        (None, Some(known)) => known,
        (None, None) => {
            let mut next = (records.count(module) + 1..).map(|n| format!("{prefix}{n:06}"));
            next.find(|number| !taken(number)).unwrap_or_default()
        }
    };
    document.insert(key.to_owned(), json!(number));
    Ok(())
}
