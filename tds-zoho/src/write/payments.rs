//! What payments of customers and payments to vendors share: the documents that they pay.

use rust_decimal::Decimal;
use serde_json::{Map, Value};
use tds_core::outbound::LocalRecord;

use super::{
    chosen::Chosen,
    contract::{Field, Form},
    findings::Findings,
    value,
};

pub(super) const AMOUNT: Field = Field::new("amount", "amount", Form::Decimal).always();
pub(super) const DESCRIPTION: Field = Field::new("description", "description", Form::Text(0));
pub(super) const APPLIED: Field = Field::new("amount_applied", "amount_applied", Form::Decimal).required();
pub(super) const WITHHELD: Field = Field::new("tax_amount_withheld", "tax_amount_withheld", Form::Decimal);

/// The columns of an allocation that belong to the paid document.
pub(super) const OF_DOCUMENT: &[&str] =
    &["position", "document_number", "document_total", "document_balance"];

/// Refuses a payment that pays more than its amount.
pub(super) fn within_amount(
    payment: &LocalRecord,
    table: &str,
    chosen: &Chosen<'_>,
    _: &mut Map<String, Value>,
    found: &mut Findings,
) {
    if !(chosen.creates() || chosen.has(table) || chosen.has(AMOUNT.column)) {
        return;
    }
    let decimal =
        |value: Option<&Value>| -> Option<Decimal> { value::number(value?).ok()?.to_string().parse().ok() };
    let rows = payment.children.get(table).into_iter().flatten();
    let shares: Option<Vec<Decimal>> = rows.map(|row| decimal(row.get(APPLIED.column))).collect();
    let amount = decimal(payment.value(AMOUNT.column));
    if let (Some(amount), Some(shares)) = (amount, shares) {
        let applied: Decimal = shares.iter().sum();
        if applied > amount {
            found.problem(format!("{applied} is applied to documents, but the payment has only {amount}"));
        }
    }
}
