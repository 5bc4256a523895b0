//! Totals of documents, with exact decimals.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::lines::discount;
use crate::sim::{
    literal::{Object, decimal, field, money, number, text},
    module::Module,
    records::Records,
};

/// The number of decimals of an amount.
const PRECISION: u32 = 2;

/// Computes the lines, the totals and the balance of a document. The status follows the balance of a document that is
/// paid.
pub(super) fn compute(records: &Records, document: &mut Object) {
    let inclusive = field(document, "is_inclusive_tax") == &json!(true);
    let mut lines = document.remove("line_items").unwrap_or_else(|| json!([]));
    let rows = lines.as_array_mut().map(|rows| rows.iter_mut().filter_map(Value::as_object_mut).collect());
    let rows: Vec<&mut Object> = rows.unwrap_or_default();
    let taxed: Vec<Taxed> = rows.into_iter().map(|row| line(records, row)).collect();
    let sub_total: Decimal = taxed.iter().map(|line| line.total).sum();
    let off = discount(sub_total, field(document, "discount"));
    let taxes = taxes(taxed, sub_total, off, inclusive);
    let tax_total: Decimal = taxes.iter().map(|(_, amount)| *amount).sum();
    let extra = decimal(field(document, "shipping_charge")) + decimal(field(document, "adjustment"));
    let added = if inclusive { Decimal::ZERO } else { tax_total };
    let total = sub_total - off + added + extra;
    document.insert("line_items".to_owned(), lines);
    let shown = taxes.iter().map(|(name, amount)| json!({"tax_name": name, "tax_amount": money(*amount)}));
    if document.contains_key("taxes") {
        document.insert("taxes".to_owned(), shown.collect());
    }
    let rate = decimal(field(document, "exchange_rate"));
    let values =
        [("sub_total", sub_total), ("tax_total", tax_total), ("total", total), ("bcy_total", total * rate)];
    for (key, amount) in values {
        if document.contains_key(key) {
            document.insert(key.to_owned(), money(amount));
        }
    }
    balance(document, total);
}

/// The total of a line, and its tax.
struct Taxed {
    total: Decimal,
    percentage: Decimal,
    name: String,
}

/// Computes a line. The tax is that of the line's `tax_id`.
fn line(records: &Records, line: &mut Object) -> Taxed {
    let gross = decimal(field(line, "quantity")) * decimal(field(line, "rate"));
    let off = discount(gross, field(line, "discount"));
    let total = (gross - off).round_dp(PRECISION);
    let tax = records.get(Module::TAXES, text(line, "tax_id"));
    let percentage = tax.map_or_else(|| number("0"), |tax| field(tax, "tax_percentage").clone());
    let name = tax.map_or("", |tax| text(tax, "tax_name")).to_owned();
    let values = [
        ("item_total", money(total)),
        ("discount_amount", money(off)),
        ("tax_percentage", percentage.clone()),
        ("tax_name", json!(name)),
    ];
    for (key, value) in values {
        if line.contains_key(key) {
            line.insert(key.to_owned(), value);
        }
    }
    Taxed { total, percentage: decimal(&percentage), name }
}

/// Returns the taxes of a document by their names. A discount of the whole document reduces every line in proportion.
fn taxes(lines: Vec<Taxed>, sub_total: Decimal, off: Decimal, inclusive: bool) -> Vec<(String, Decimal)> {
    let mut taxes: BTreeMap<String, Decimal> = BTreeMap::new();
    for Taxed { total, percentage, name } in lines {
        if percentage.is_zero() || sub_total.is_zero() {
            continue;
        }
        let taxed = total * (sub_total - off) / sub_total;
        let base = if inclusive { Decimal::ONE_HUNDRED + percentage } else { Decimal::ONE_HUNDRED };
        *taxes.entry(name).or_default() += (taxed * percentage / base).round_dp(PRECISION);
    }
    taxes.into_iter().collect()
}

fn balance(document: &mut Object, total: Decimal) {
    if !document.contains_key("balance") {
        return;
    }
    let keys = [
        "payment_made",
        "credits_applied",
        "vendor_credits_applied",
        "write_off_amount",
        "total_credits_used",
    ];
    let settled: Decimal = keys.iter().map(|key| decimal(field(document, key))).sum();
    let left = total - settled;
    document.insert("balance".to_owned(), money(left));
    let status = match text(document, "status") {
        "paid" if !left.is_zero() => "partially_paid",
        "partially_paid" if left.is_zero() => "paid",
        _ => return,
    };
    document.insert("status".to_owned(), json!(status));
}
