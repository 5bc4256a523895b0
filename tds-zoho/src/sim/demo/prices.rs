//! The shop's price lists: dinars and dollars, single prices, volume brackets and percentages.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{items::overwrite, moment, random::Random};
use crate::sim::{Module, SharedOrganization, literal::decimal, sample, stamp};

/// The price that the shop enters for "not for sale here".
pub(crate) const SENTINEL: u64 = 55_555;

/// Enters eight lists and returns them. Six hold about two thirds of the items each.
pub(crate) fn fill(
    zoho: &SharedOrganization,
    random: &mut Random,
    items: &[Value],
    now: OffsetDateTime,
) -> Vec<Value> {
    let mut discounted = sample::price_list_percentage(8, "5.00", false);
    overwrite(&mut discounted, json!({"name": "Staff", "status": "inactive"}));
    let mut dearer = sample::price_list_percentage(7, "12.50", true);
    overwrite(&mut dearer, json!({"name": "Instalments"}));
    let lists = [
        sample::price_list_unit_of(1, "Retail IQD", "IQD", &priced(random, items, 100, sample::dinars)),
        sample::price_list_unit_of(2, "جملة دينار", "IQD", &priced(random, items, 92, sample::dinars)),
        sample::price_list_unit_of(3, "Partner USD", "USD", &priced(random, items, 88, dollars)),
        sample::price_list_unit_of(4, "Export USD", "USD", &priced(random, items, 85, dollars)),
        sample::price_list_volume_of(5, "Volume USD", "USD", &priced(random, items, 100, dollars)),
        sample::price_list_volume_of(6, "كميات دينار", "IQD", &priced(random, items, 100, sample::dinars)),
        dearer,
        discounted,
    ];
    let mut entered = Vec::new();
    for (n, mut list) in (1..).zip(lists) {
        let at = stamp(moment(n, 8, 300, now));
        overwrite(&mut list, json!({"created_time": at, "last_modified_time": at}));
        zoho.put(Module::PRICE_LISTS, list.clone());
        entered.push(list);
    }
    entered
}

fn priced(
    random: &mut Random,
    items: &[Value],
    percent: i64,
    price: fn(&Value) -> Decimal,
) -> Vec<(Value, Decimal)> {
    let mut prices = Vec::new();
    for item in items {
        if !random.per_mille(660) {
            continue;
        }
        let sentinel = random.per_mille(10);
        let full = if sentinel { Decimal::from(SENTINEL) } else { price(item) * Decimal::new(percent, 2) };
        prices.push((item.clone(), full.round_dp(2)));
    }
    prices
}

fn dollars(item: &Value) -> Decimal {
    decimal(&item["rate"])
}
