//! The shop's items.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{moment, random::Random, words};
use crate::sim::{Module, SharedOrganization, literal::money, sample, stamp};

/// Enters items and returns them.
pub(crate) fn fill(
    zoho: &SharedOrganization,
    random: &mut Random,
    count: u64,
    now: OffsetDateTime,
) -> Vec<Value> {
    let mut items = Vec::new();
    for n in 1..=count {
        let item = item(random, n, moment(n, count, 900, now), now);
        zoho.put(Module::ITEMS, item.clone());
        items.push(item);
    }
    items
}

/// Returns an item. Two per cent of the items are services, 56 % have no SKU, 41 % are inactive, and 27 % have no
/// image.
fn item(random: &mut Random, n: u64, created: OffsetDateTime, now: OffsetDateTime) -> Value {
    let is_service = random.per_mille(20);
    let mut item = if is_service { sample::service(n) } else { sample::item(n) };
    let (product, category) = if is_service {
        (random.word(words::SERVICES), "")
    } else {
        *random.pick(words::PRODUCTS).unwrap_or(&("Cable", ""))
    };
    let name = format!("{product} {} {} #{n}", random.word(words::MODELS), random.word(words::COLOURS));
    let rate = random.amount(2, 120) + Decimal::new(50, 2);
    let with_image = random.per_mille(730);
    let changes = json!({
        "name": name,
        "item_name": name,
        "description": if random.per_mille(400) { format!("{product}, {category}") } else { String::new() },
        "brand": random.word(words::BRANDS),
        "sku": if random.per_mille(563) { String::new() } else { format!("SKU-{n:05}") },
        "status": if random.per_mille(409) { "inactive" } else { "active" },
        "rate": money(rate),
        "sales_rate": money(rate),
        "category_name": category,
        "image_name": if with_image { format!("item-{n}.jpg") } else { String::new() },
        "image_type": if with_image { "jpg" } else { "" },
        "image_document_id": if with_image { format!("46000007700{n:08}") } else { String::new() },
        "has_attachment": with_image,
        "created_time": stamp(created),
        "last_modified_time": stamp(created + (now - created) / 2),
    });
    overwrite(&mut item, changes);
    if !is_service {
        item["purchase_rate"] = money(rate * Decimal::new(7, 1));
        sample::set_stock(&mut item, &stock(random), Decimal::from(u8::from(random.per_mille(50))));
    }
    item
}

/// Returns the stock of an item. About a fifth of the items are in stock; some were sold before they were counted.
fn stock(random: &mut Random) -> [Decimal; 3] {
    if random.per_mille(15) {
        return [-random.amount(1, 9), Decimal::ZERO, Decimal::ZERO];
    }
    if !random.per_mille(216) {
        return [Decimal::ZERO; 3];
    }
    [random.amount(1, 200), random.amount(0, 20), random.amount(0, 10)]
}

/// Overwrites keys of an object.
pub(crate) fn overwrite(record: &mut Value, changes: Value) {
    if let (Value::Object(record), Value::Object(changes)) = (record, changes) {
        record.extend(changes);
    }
}
