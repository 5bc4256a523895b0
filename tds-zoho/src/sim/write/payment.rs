//! Payments of customers and to vendors, and the documents that they pay.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    document::party,
    entry::{Entry, copy, require},
    given,
    refusal::{self as refused, Refused},
};
use crate::sim::{
    literal::{Object, decimal, field, money, object, text},
    module::Module,
    records::Records,
    sample::{self, Paid},
};

/// How payments of a module are written.
struct Kind {
    module: Module,
    sample: fn(u64, &Value, &[Paid], Decimal) -> Value,
    /// The key of the party, and its `contact_type`.
    party: (&'static str, &'static str),
    /// The list of the paid documents, the module of these documents, and the key of a document's id.
    paid: (&'static str, Module, &'static str),
    required: &'static [&'static str],
}

static KINDS: [Kind; 2] = [
    Kind {
        module: Module::CUSTOMER_PAYMENTS,
        sample: sample::customer_payment,
        party: ("customer_id", "customer"),
        paid: ("invoices", Module::INVOICES, "invoice_id"),
        required: &["customer_id", "payment_mode", "amount", "date"],
    },
    Kind {
        module: Module::VENDOR_PAYMENTS,
        sample: sample::vendor_payment,
        party: ("vendor_id", "vendor"),
        paid: ("bills", Module::BILLS, "bill_id"),
        required: &["amount"],
    },
];

/// Keys that Zoho computes, and keys that are written in another way.
const COMPUTED: [&str; 8] = [
    "amount",
    "balance",
    "unused_amount",
    "status",
    "payment_number",
    "currency_code",
    "created_time",
    "last_modified_time",
];

/// Returns true for the modules of payments.
pub(super) fn is_payment(module: Module) -> bool {
    KINDS.iter().any(|kind| kind.module == module)
}

/// Returns the payment that a body makes. The documents do not show what the payment paid before.
pub(super) fn built(records: &Records, module: Module, entry: &Entry<'_>) -> Result<Object, Refused> {
    let kind = KINDS.iter().find(|kind| kind.module == module).ok_or_else(refused::method)?;
    require(entry, kind.required)?;
    let (party_key, contact_type) = kind.party;
    let party_id = given(entry.body, party_key).or_else(|| Some(text(entry.before?, party_key).to_owned()));
    let party = party(records, &party_id.unwrap_or_default(), contact_type)?;
    let amount = decimal(given_or_known(entry, "amount"));
    if amount <= Decimal::ZERO {
        return Err(refused::value("amount"));
    }
    let paid = paid(records, kind, &party, entry)?;
    let applied: Decimal = paid.iter().map(|(_, amount)| *amount).sum();
    if applied > amount {
        return Err(refused::value("amount"));
    }
    let mut payment = object((kind.sample)(0, &party, &paid, amount - applied));
    match entry.before {
        Some(before) => {
            let derived = ["amount", "bcy_amount", "unused_amount", "balance", "bcy_balance", kind.paid.0];
            let kept = before.iter().filter(|(key, _)| !derived.contains(&key.as_str()));
            payment.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
        }
        None => {
            let number = records.count(module) + 1;
            let number =
                if module == Module::VENDOR_PAYMENTS { json!(number) } else { json!(number.to_string()) };
            payment.insert("payment_number".to_owned(), number);
        }
    }
    // The entries of the list get ids of their own.
    for bill in payment.get_mut("bills").and_then(Value::as_array_mut).into_iter().flatten() {
        bill["bill_payment_id"] = json!("");
    }
    copy(entry.body, &mut payment, &COMPUTED);
    Ok(payment)
}

fn given_or_known<'a>(entry: &Entry<'a>, key: &str) -> &'a Value {
    entry.body.get(key).or_else(|| entry.before?.get(key)).unwrap_or(&Value::Null)
}

/// Returns the documents as they are after the payment, each with its share.
fn paid(records: &Records, kind: &Kind, party: &Value, entry: &Entry<'_>) -> Result<Vec<Paid>, Refused> {
    let (list, module, id_key) = kind.paid;
    let noun = module.noun.to_lowercase();
    let shares = given_or_known(entry, list).as_array().map(Vec::as_slice).unwrap_or_default();
    let shares = shares.iter().map(|share| {
        let share = share.as_object().ok_or_else(|| refused::value(list))?;
        let id = given(share, id_key).unwrap_or_default();
        let document = records.get(module, &id);
        let of_party = |document: &&Object| document.get(kind.party.0) == party.get("contact_id");
        let document = document.filter(of_party).ok_or_else(|| refused::unknown(module.noun))?;
        if matches!(text(document, "status"), "draft" | "void") {
            return Err(refused::status(&noun, field(document, "status")));
        }
        let amount = decimal(field(share, "amount_applied"));
        let balance = decimal(field(document, "balance"));
        if amount > balance {
            return Err(refused::too_much(&noun));
        }
        let mut after = Value::Object(document.clone());
        after["balance"] = money(balance - amount);
        Ok((after, amount))
    });
    shares.collect()
}
