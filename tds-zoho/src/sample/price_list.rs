//! Price lists of the three kinds.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    Template, currency_id, id, kinds,
    literal::{decimal, money, number},
    text,
};

static TEMPLATE: Template = Template::new(include_str!("price_list.json"));

/// Returns a list with one dinar price for each item: its dollar rate times 1,310, in full thousands.
#[must_use]
pub fn price_list_unit(n: u64, items: &[Value]) -> Value {
    let prices: Vec<(Value, Decimal)> = items.iter().map(|item| (item.clone(), dinars(item))).collect();
    price_list_unit_of(n, &format!("Retail {n}"), "IQD", &prices)
}

/// Returns a list with one price for each item, in this currency.
#[must_use]
pub fn price_list_unit_of(n: u64, name: &str, currency: &str, prices: &[(Value, Decimal)]) -> Value {
    let rows = (1..).zip(prices).map(|(position, (item, price))| {
        json!({
            "pricebook_item_id": id(kinds::PRICE_LIST + 1, n * 100_000 + position),
            "item_id": text(item, "item_id"),
            "name": text(item, "name"),
            "can_be_sold": true,
            "can_be_purchased": true,
            "pricebook_discount": "",
            "pricebook_rate": money(*price),
        })
    });
    list(n, name, currency, "unit", rows.collect())
}

/// Returns a list with three prices for each item, from 10, 20 and 50 pieces on. The last bracket is open.
#[must_use]
pub fn price_list_volume(n: u64, items: &[Value]) -> Value {
    let prices: Vec<(Value, Decimal)> =
        items.iter().map(|item| (item.clone(), decimal(&text(item, "rate")))).collect();
    price_list_volume_of(n, &format!("Volume {n}"), "USD", &prices)
}

/// Returns a volume list in this currency. Each bracket is five per cent cheaper than the one before.
#[must_use]
pub fn price_list_volume_of(n: u64, name: &str, currency: &str, prices: &[(Value, Decimal)]) -> Value {
    let brackets = [("10.0", number("19.0"), 95), ("20.0", number("49.0"), 90), ("50.0", json!(""), 85)];
    let rows = (1..).zip(prices).map(|(position, (item, price))| {
        let rows = (1..).zip(&brackets).map(|(bracket, (start, end, percent))| {
            json!({
                "pricebook_item_id": id(kinds::PRICE_LIST + 1, n * 100_000 + position * 10 + bracket),
                "start_quantity": number(start),
                "end_quantity": end,
                "pricebook_discount": "",
                "pricebook_rate": money(*price * Decimal::new(*percent, 2)),
            })
        });
        json!({
            "item_id": text(item, "item_id"),
            "name": text(item, "name"),
            "can_be_sold": true,
            "can_be_purchased": true,
            "price_brackets": rows.collect::<Vec<_>>(),
        })
    });
    list(n, name, currency, "volume", rows.collect())
}

/// Returns a list without items, which makes everything dearer or cheaper by this percentage. It has no currency of
/// its own.
#[must_use]
pub fn price_list_percentage(n: u64, percentage: &str, is_increase: bool) -> Value {
    let changes = json!({
        "pricebook_id": id(kinds::PRICE_LIST, n),
        "name": format!("Percentage {n}"),
        "is_increase": is_increase,
        "percentage": number(percentage),
        "pricebook_rate": number(percentage),
        "pricebook_type": "fixed_percentage",
        "pricing_scheme": "",
        "rounding_type": "round_to_dollar",
    });
    Value::Object(TEMPLATE.with(changes))
}

fn list(n: u64, name: &str, currency: &str, scheme: &str, rows: Vec<Value>) -> Value {
    let changes = json!({
        "pricebook_id": id(kinds::PRICE_LIST, n),
        "name": name,
        "currency_id": currency_id(currency),
        "currency_code": currency,
        "pricing_scheme": scheme,
        "pricebook_items": rows,
    });
    Value::Object(TEMPLATE.with(changes))
}

/// Returns the price in dinars. No price is stated below a thousand dinars.
pub(crate) fn dinars(item: &Value) -> Decimal {
    let thousands = decimal(&text(item, "rate")) * Decimal::new(131, 2);
    thousands.ceil().max(Decimal::ONE) * Decimal::ONE_THOUSAND
}
