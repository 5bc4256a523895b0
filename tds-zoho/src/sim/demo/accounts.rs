//! What the parties owe, and the payments that paid their documents.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{dates::date, items::overwrite, random::Random};
use crate::sim::{
    Module, SharedOrganization,
    literal::{decimal, money},
    sample::{self, Paid},
};

/// What differs between customers and vendors.
#[derive(Clone, Copy)]
pub(crate) struct Side {
    /// The module of the payments.
    pub(crate) payments: Module,
    /// Builds a payment.
    pub(crate) payment: fn(u64, &Value, &[Paid], Decimal) -> Value,
    /// The key of what a party owes, or is owed.
    pub(crate) outstanding: &'static str,
    /// The key of what a party has paid or was credited, and what no document has used.
    pub(crate) unused: &'static str,
}

/// The accounts of customers.
pub(crate) const RECEIVABLE: Side = Side {
    payments: Module::CUSTOMER_PAYMENTS,
    payment: sample::customer_payment,
    outstanding: "outstanding_receivable_amount",
    unused: "unused_credits_receivable_amount",
};

/// The accounts of vendors.
pub(crate) const PAYABLE: Side = Side {
    payments: Module::VENDOR_PAYMENTS,
    payment: sample::vendor_payment,
    outstanding: "outstanding_payable_amount",
    unused: "unused_credits_payable_amount",
};

/// The ways to pay, the most common first.
const MODES: &[&str] = &["cash", "cash", "cash", "banktransfer", "others"];

/// The accounts of all parties of one side, by the id of the party.
#[derive(Default)]
pub(crate) struct Accounts(BTreeMap<String, Account>);

#[derive(Default)]
struct Account {
    party: Value,
    owed: Decimal,
    unused: Decimal,
    /// What was paid of each document, and when the document was written.
    paid: Vec<(OffsetDateTime, Paid)>,
}

impl Accounts {
    fn of(&mut self, party: &Value) -> &mut Account {
        let id = party["contact_id"].as_str().unwrap_or_default();
        self.0.entry(id.to_owned()).or_insert_with(|| Account { party: party.clone(), ..Account::default() })
    }

    /// Adds a document, as it is now. What was paid of it becomes part of a payment.
    pub(crate) fn add(&mut self, party: &Value, at: OffsetDateTime, document: &Value) {
        let account = self.of(party);
        if document["status"] != "draft" {
            account.owed += decimal(&document["balance"]);
        }
        let amount = decimal(&document["payment_made"]);
        if !amount.is_zero() {
            account.paid.push((at, (document.clone(), amount)));
        }
    }

    /// Adds a credit of which this amount is not used.
    pub(crate) fn add_unused(&mut self, party: &Value, amount: Decimal) {
        self.of(party).unused += amount;
    }

    /// Enters the payments, and what each party owes. A payment pays up to three documents; some parties paid too
    /// much.
    pub(crate) fn enter(
        mut self,
        zoho: &SharedOrganization,
        random: &mut Random,
        side: Side,
        now: OffsetDateTime,
    ) {
        let mut payments: Vec<(OffsetDateTime, Value, Vec<Paid>, Decimal)> = Vec::new();
        for account in self.0.values_mut() {
            let mut rest = std::mem::take(&mut account.paid);
            while !rest.is_empty() {
                let share = usize::try_from(random.between(1, 3)).unwrap_or(1).min(rest.len());
                let later = rest.split_off(share);
                let last = rest.iter().map(|(at, _)| *at).max().unwrap_or(now);
                let days = i64::try_from(random.below(20)).unwrap_or_default();
                let at = (last + time::Duration::days(days)).min(now);
                let unused = if random.per_mille(30) { random.amount(1, 50) } else { Decimal::ZERO };
                account.unused += unused;
                let paid = rest.into_iter().map(|(_, paid)| paid).collect();
                payments.push((at, account.party.clone(), paid, unused));
                rest = later;
            }
        }
        // Zoho numbers payments in the order in which they were entered.
        payments.sort_by_key(|(at, ..)| *at);
        for (n, (at, party, paid, unused)) in (1..).zip(payments) {
            let mut payment = (side.payment)(n, &party, &paid, unused);
            date(&mut payment, at);
            overwrite(&mut payment, json!({"payment_mode": random.word(MODES)}));
            zoho.put(side.payments, payment);
        }
        for (id, account) in self.0 {
            let changes = json!({side.outstanding: money(account.owed), side.unused: money(account.unused)});
            zoho.update_silently(Module::CONTACTS, &id, changes);
        }
    }
}
