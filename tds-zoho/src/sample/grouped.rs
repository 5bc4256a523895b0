//! Item groups and composite items.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    id, kinds,
    literal::{decimal, money, number, quantity},
    text,
};

/// The names of the attribute of a group of [`item_group`], and its options in their order.
const COLOURS: [&str; 4] = ["Black", "White", "Blue", "أسود"];

/// Returns a group of these items, which differ in their colour.
#[must_use]
pub fn item_group(n: u64, items: &[Value]) -> Value {
    let attribute = id(kinds::ATTRIBUTE, n);
    let options: Vec<Value> = (0..).zip(items).map(|(index, _)| option(n, index)).collect();
    let members = options.iter().zip(items).map(|(option, item)| {
        json!({
            "item_id": text(item, "item_id"),
            "name": text(item, "name"),
            "sku": text(item, "sku"),
            "status": text(item, "status"),
            "rate": text(item, "rate"),
            "purchase_rate": text(item, "purchase_rate"),
            "attribute_option_id1": option["id"],
            "attribute_option_name1": option["name"],
        })
    });
    json!({
        "group_id": id(kinds::ITEM_GROUP, n),
        "group_name": format!("Charging cables {n}"),
        "product_type": "goods",
        "unit": "pcs",
        "description": "",
        "brand": "Dijla",
        "manufacturer": "",
        "is_taxable": true,
        "tax_id": "",
        "tax_name": "",
        "tax_percentage": 0,
        "status": "active",
        "source": "user",
        "attribute_id1": attribute,
        "attribute_name1": "Colour",
        "attributes": [{"id": attribute, "name": "Colour", "options": options}],
        "items": members.collect::<Vec<_>>(),
        "custom_fields": [],
    })
}

/// Returns the keys by which the `index`-th item of a group shows its group and its attribute.
#[must_use]
pub fn grouped(group: &Value, index: usize) -> Value {
    let option = &group["attributes"][0]["options"][index];
    json!({
        "group_id": group["group_id"],
        "group_name": group["group_name"],
        "attribute_id1": group["attribute_id1"],
        "attribute_name1": group["attribute_name1"],
        "attribute_option_id1": option["id"],
        "attribute_option_name1": option["name"],
    })
}

fn option(group: u64, index: u64) -> Value {
    let colour = usize::try_from(index).ok().and_then(|index| COLOURS.get(index).copied());
    let name = colour.map_or_else(|| format!("Colour {index}"), str::to_owned);
    json!({"id": id(kinds::ATTRIBUTE + 1, group * 100 + index), "name": name})
}

/// Returns a composite item that is made of one, two, three… pieces of these items.
#[must_use]
pub fn composite_item(n: u64, items: &[Value]) -> Value {
    let pieces = (1_u32..).zip(items).map(|(count, item)| (Decimal::from(count), item));
    let rate: Decimal = pieces.clone().map(|(count, item)| count * decimal(&text(item, "rate"))).sum();
    let mapped = pieces.map(|(count, item)| {
        json!({
            "line_item_id": id(kinds::COMPOSITE_ITEM + 1, n * 100 + u64::try_from(count).unwrap_or_default()),
            "item_id": text(item, "item_id"),
            "item_order": number(&count.to_string()),
            "name": text(item, "name"),
            "rate": text(item, "rate"),
            "purchase_rate": text(item, "purchase_rate"),
            "sku": text(item, "sku"),
            "unit": "pcs",
            "is_combo_product": false,
            "description": "",
            "quantity": quantity(count),
        })
    });
    json!({
        "composite_item_id": id(kinds::COMPOSITE_ITEM, n),
        "name": format!("Starter kit {n}"),
        "sku": format!("KIT-{n}"),
        "unit": "pcs",
        "status": "active",
        "source": "user",
        "description": "",
        "is_combo_product": true,
        "combo_type": "kit",
        "item_type": "inventory",
        "product_type": "goods",
        "rate": money(rate),
        "purchase_rate": money(rate * Decimal::new(7, 1)),
        "tax_id": "",
        "tax_name": "",
        "tax_percentage": 0,
        "brand": "Dijla",
        "manufacturer": "",
        "reorder_level": "",
        "custom_fields": [],
        "mapped_items": mapped.collect::<Vec<_>>(),
    })
}
