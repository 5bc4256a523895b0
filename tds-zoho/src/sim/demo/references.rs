//! The shop's taxes, currencies with a rate of each month, locations, item groups and composite items.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::items::overwrite;
use crate::sim::{
    Module, SharedOrganization,
    literal::{day, decimal, number},
    sample, stamp,
};

/// The number of months of which the shop has a rate.
const MONTHS: i64 = 24;
/// One of so many items is the first of a group of three.
const ITEMS_PER_GROUP: usize = 20;
/// There is one composite item for so many items.
const ITEMS_PER_COMPOSITE: usize = 25;

/// Enters what other records refer to. It uses no random numbers, so that the rest of the shop does not depend on it.
pub(crate) fn fill(zoho: &SharedOrganization, now: OffsetDateTime) {
    for place in sample::locations() {
        zoho.put(Module::LOCATIONS, place);
    }
    for percentage in [5, 15] {
        zoho.put(Module::TAXES, sample::tax(percentage));
    }
    let rates: Vec<(String, Value)> = (0..MONTHS)
        .map(|month| (day(now - time::Duration::days(30 * (MONTHS - 1 - month))), rate(month)))
        .collect();
    for currency in sample::currencies(&rates) {
        zoho.put(Module::CURRENCIES, currency);
    }
}

/// Returns the value of a dinar in dollars in a month: about a 1,310th of a dollar.
fn rate(month: i64) -> Value {
    number(&(Decimal::new(763_358, 9) + Decimal::new(month % 7 * 1_250, 9)).to_string())
}

/// Enters groups of three items each, and composite items of two items each. The items show their groups.
pub(crate) fn group(zoho: &SharedOrganization, items: &[Value], now: OffsetDateTime) {
    let entered = stamp(now - time::Duration::days(300));
    let enter = |module, mut record: Value| {
        overwrite(&mut record, json!({"created_time": entered, "last_modified_time": entered}));
        zoho.put(module, record)
    };
    for (n, members) in (1..).zip(items.chunks_exact(ITEMS_PER_GROUP)) {
        let group = sample::item_group(n, &members[..3]);
        for (index, item) in members.iter().take(3).enumerate() {
            let id = item["item_id"].as_str().unwrap_or_default();
            zoho.update_silently(Module::ITEMS, id, sample::grouped(&group, index));
        }
        enter(Module::ITEM_GROUPS, group);
    }
    for (n, parts) in (1..).zip(items.chunks_exact(ITEMS_PER_COMPOSITE)) {
        enter(Module::COMPOSITE_ITEMS, sample::composite_item(n, &parts[..2]));
    }
}

/// Enters today's rate of the dinar. A rate of the same day is replaced.
pub(crate) fn new_rate(zoho: &SharedOrganization, id: &str) -> Option<()> {
    let currency = zoho.get(Module::CURRENCIES, id)?;
    let mut rates = currency.get("exchange_rates")?.as_array()?.clone();
    let mut rate = rates.last()?.clone();
    let today = day(zoho.now());
    if rate["effective_date"] == today.as_str() {
        rates.pop();
    }
    let value = number(&(decimal(&rate["rate"]) + Decimal::new(1, 9)).to_string());
    overwrite(&mut rate, json!({"effective_date": today, "rate": value}));
    rates.push(rate);
    let changes = json!({"exchange_rate": value, "effective_date": today, "exchange_rates": rates});
    zoho.update(Module::CURRENCIES, id, changes).then_some(())
}
