//! Documents that move what Zoho derives from them: the stock of items, the balances of parties, and the balances and
//! statuses of the documents that they are applied to. None of these records gets a new time of change.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    SharedOrganization,
    literal::{Object, decimal, field, id_of, money, object, stamp, text},
    module::Module,
    records::Records,
    sample,
};

/// What the documents of a module move.
struct Rule {
    /// The path of the module.
    path: &'static str,
    /// The key of the party.
    party: &'static str,
    /// The key of the number of pieces in a line.
    pieces: &'static str,
    /// What a piece in a line adds to the stock on hand.
    on_hand: i8,
    /// What a piece in a line adds to the committed stock.
    committed: i8,
    /// The amounts of the party that grow by an amount of the document: the key in the party, and the key in the
    /// document.
    amounts: &'static [(&'static str, &'static str)],
    /// The documents that the document is applied to.
    applied: Option<Applied>,
}

/// The documents that a payment or a credit is applied to.
struct Applied {
    module: Module,
    /// The list in the paying document, the key of the paid document in it, and the key of the amount.
    list: &'static str,
    id: &'static str,
    amount: &'static str,
    /// What the party owes, by its key.
    owed: &'static str,
    /// The status of a document of which nothing is paid.
    open: &'static str,
}

const RECEIVABLE: &str = "outstanding_receivable_amount";
const PAYABLE: &str = "outstanding_payable_amount";

const RULES: [Rule; 9] = [
    Rule { on_hand: -1, amounts: &[(RECEIVABLE, "balance")], ..Rule::sale("invoices") },
    Rule {
        on_hand: 1,
        amounts: &[("unused_credits_receivable_amount", "balance")],
        applied: Some(Applied::to_invoices("invoices_credited", "credited_amount")),
        ..Rule::sale("creditnotes")
    },
    Rule { committed: 1, ..Rule::sale("salesorders") },
    Rule {
        amounts: &[("unused_credits_receivable_amount", "unused_amount")],
        applied: Some(Applied::to_invoices("invoices", "amount_applied")),
        ..Rule::sale("customerpayments")
    },
    Rule { on_hand: 1, amounts: &[(PAYABLE, "balance")], ..Rule::purchase("bills") },
    Rule {
        on_hand: -1,
        amounts: &[("unused_credits_payable_amount", "balance")],
        applied: Some(Applied::to_bills("bills_credited", "amount")),
        ..Rule::purchase("vendorcredits")
    },
    Rule::purchase("purchaseorders"),
    Rule {
        amounts: &[("unused_credits_payable_amount", "balance")],
        applied: Some(Applied::to_bills("bills", "amount_applied")),
        ..Rule::purchase("vendorpayments")
    },
    Rule { pieces: "quantity_adjusted", on_hand: 1, ..Rule::sale("inventoryadjustments") },
];

impl Rule {
    const fn sale(path: &'static str) -> Self {
        Self {
            path,
            party: "customer_id",
            pieces: "quantity",
            on_hand: 0,
            committed: 0,
            amounts: &[],
            applied: None,
        }
    }

    const fn purchase(path: &'static str) -> Self {
        Self { party: "vendor_id", ..Self::sale(path) }
    }
}

impl Applied {
    const fn to_invoices(list: &'static str, amount: &'static str) -> Self {
        Self { module: Module::INVOICES, list, id: "invoice_id", amount, owed: RECEIVABLE, open: "sent" }
    }

    const fn to_bills(list: &'static str, amount: &'static str) -> Self {
        Self { module: Module::BILLS, list, id: "bill_id", amount, owed: PAYABLE, open: "open" }
    }
}

impl SharedOrganization {
    /// Enters a document, and moves what follows from it. Returns its id. See [`super::Organization::put`].
    pub fn trade(&self, module: Module, document: Value) -> String {
        let mut organization = self.lock();
        let id = organization.put(module, document);
        if let Some(document) = organization.records.get(module, &id).cloned() {
            post(&mut organization.records, module, &document, Decimal::ONE);
        }
        id
    }

    /// Changes a document: what it moved is taken back, and what follows from its new state is moved. Returns false
    /// where the document does not exist.
    pub fn revise(&self, module: Module, id: &str, changes: Value) -> bool {
        let mut organization = self.lock();
        let now = stamp(organization.now());
        let Some(before) = organization.records.get(module, id).cloned() else { return false };
        let mut after = before.clone();
        after.extend(object(changes));
        for key in ["last_modified_time", "updated_time"] {
            if after.contains_key(key) {
                after.insert(key.to_owned(), json!(now));
            }
        }
        post(&mut organization.records, module, &before, -Decimal::ONE);
        post(&mut organization.records, module, &after, Decimal::ONE);
        organization.records.put(module, id, after);
        true
    }

    /// Deletes a document and takes back what it moved. Returns its last state.
    pub fn withdraw(&self, module: Module, id: &str) -> Option<Object> {
        let mut organization = self.lock();
        let document = organization.records.delete(module, id)?;
        post(&mut organization.records, module, &document, -Decimal::ONE);
        Some(document)
    }
}

/// Moves what follows from a document, or takes it back where the sign is negative. A document that is not in force
/// moves nothing.
pub(super) fn post(records: &mut Records, module: Module, document: &Object, sign: Decimal) {
    let Some(rule) = RULES.iter().find(|rule| rule.path == module.path) else { return };
    if matches!(field(document, "status").as_str(), Some("draft" | "void" | "cancelled")) {
        return;
    }
    for line in objects(document, "line_items") {
        let pieces = decimal(field(line, rule.pieces)) * sign;
        let (on_hand, committed) =
            (pieces * Decimal::from(rule.on_hand), pieces * Decimal::from(rule.committed));
        let place = text(line, "location_id");
        move_stock(records, &id_of(line, "item_id").unwrap_or_default(), place, on_hand, committed);
    }
    let party = id_of(document, rule.party).unwrap_or_default();
    for (theirs, ours) in rule.amounts {
        add(records, &party, theirs, decimal(field(document, ours)) * sign);
    }
    if let Some(applied) = &rule.applied {
        for share in objects(document, applied.list) {
            let amount = decimal(field(share, applied.amount)) * sign;
            add(records, &party, applied.owed, -amount);
            pay(records, applied, &id_of(share, applied.id).unwrap_or_default(), amount);
        }
    }
}

fn objects<'a>(document: &'a Object, key: &str) -> impl Iterator<Item = &'a Object> {
    document.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// Changes the stock of an item at a location, or at the first one if the location is not known. A service has none.
fn move_stock(records: &mut Records, id: &str, place: &str, on_hand: Decimal, committed: Decimal) {
    let Some(item) = records.get_mut(Module::ITEMS, id).filter(|item| item.contains_key("locations")) else {
        return;
    };
    let mut changed = Value::Object(std::mem::take(item));
    let mut places = sample::stock_by_place(&changed);
    let index = sample::PLACES.iter().position(|(id, _)| *id == place).unwrap_or_default();
    if let Some(stock) = places.get_mut(index) {
        *stock += on_hand;
    }
    let committed = decimal(&changed["committed_stock"]) + committed;
    sample::set_stock(&mut changed, &places, committed);
    *item = object(changed);
}

/// Changes an amount of a party.
fn add(records: &mut Records, party: &str, key: &str, difference: Decimal) {
    if let Some(contact) = records.get_mut(Module::CONTACTS, party) {
        let amount = decimal(field(contact, key)) + difference;
        contact.insert(key.to_owned(), money(amount));
    }
}

/// Pays an amount of a document.
fn pay(records: &mut Records, applied: &Applied, id: &str, amount: Decimal) {
    let Some(document) = records.get_mut(applied.module, id) else { return };
    let balance = decimal(field(document, "balance")) - amount;
    let paid = decimal(field(document, "payment_made")) + amount;
    let status = if balance.is_zero() {
        "paid"
    } else if paid.is_zero() {
        applied.open
    } else {
        "partially_paid"
    };
    document
        .extend(object(json!({"balance": money(balance), "payment_made": money(paid), "status": status})));
    if document.contains_key("current_sub_status") {
        document.insert("current_sub_status".to_owned(), json!(status));
    }
}
