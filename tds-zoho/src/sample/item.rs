//! Items.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    PLACES, Template, id, kinds,
    literal::{decimal, money, number, quantity},
};

static TEMPLATE: Template = Template::new(include_str!("item.json"));

/// Returns a tracked item with stock in three locations, an SKU and a price in dollars.
#[must_use]
pub fn item(n: u64) -> Value {
    let name = format!("Charging cable {n} m");
    let rate = Decimal::from(n % 90 + 5);
    let changes = json!({
        "item_id": id(kinds::ITEM, n),
        "name": name,
        "item_name": name,
        "sku": format!("CBL-{n}"),
        "description": "Braided, fast charging",
        "brand": "Dijla",
        "rate": money(rate),
        "sales_rate": money(rate),
        "purchase_rate": money(rate * Decimal::new(7, 1)),
        "category_id": "4600000000000055010",
        "category_name": "Cables",
        "custom_fields": [{
            "field_id": "4600000000000091001", "customfield_id": "4600000000000091001",
            "api_name": "cf_shelf", "label": "Shelf", "data_type": "string", "index": 1,
            "value": format!("A-{}", n % 40), "is_active": true,
        }],
    });
    let mut item = Value::Object(TEMPLATE.with(changes));
    let stock = Decimal::from(n % 50);
    set_stock(&mut item, &[stock, Decimal::from(n % 7), Decimal::ZERO], Decimal::ZERO);
    item
}

/// Returns a service, which has no stock keys at all.
#[must_use]
pub fn service(n: u64) -> Value {
    let Value::Object(mut item) = item(n) else { return Value::Null };
    item.retain(|key, _| !key.contains("stock") && key != "locations" && key != "reorder_level");
    let name = format!("Screen repair {n}");
    item.insert("name".to_owned(), json!(name));
    item.insert("item_name".to_owned(), json!(name));
    item.insert("item_type".to_owned(), json!("sales_and_purchases"));
    item.insert("product_type".to_owned(), json!("service"));
    item.insert("track_inventory".to_owned(), json!(false));
    item.insert("purchase_rate".to_owned(), number("0.00"));
    Value::Object(item)
}

/// Sets the stock of an item: `on_hand` at each location of [`PLACES`], of which `committed` is committed at the first
/// location. The keys of the whole item become the sums. Stock may be negative.
pub fn set_stock(item: &mut Value, on_hand: &[Decimal], committed: Decimal) {
    let Value::Object(item) = item else { return };
    let mut places = Vec::with_capacity(PLACES.len());
    let mut total = Decimal::ZERO;
    for (index, (place_id, name)) in PLACES.iter().enumerate() {
        let here = on_hand.get(index).copied().unwrap_or_default();
        let promised = if index == 0 { committed } else { Decimal::ZERO };
        total += here;
        places.push(json!({
            "location_id": place_id,
            "location_name": name,
            "status": "active",
            "is_primary": index == 0,
            "location_stock_on_hand": quantity(here),
            "location_available_stock": quantity(here),
            "location_actual_available_stock": quantity(here - promised),
            "location_committed_stock": quantity(promised),
            "location_available_for_sale_stock": quantity(here - promised),
            "location_actual_available_for_sale_stock": quantity(here - promised),
        }));
    }
    let sums = [
        ("stock_on_hand", total),
        ("available_stock", total),
        ("actual_available_stock", total - committed),
        ("committed_stock", committed),
        ("actual_committed_stock", committed),
        ("available_for_sale_stock", total - committed),
        ("actual_available_for_sale_stock", total - committed),
    ];
    for (key, sum) in sums {
        item.insert(key.to_owned(), quantity(sum));
    }
    item.insert("locations".to_owned(), Value::Array(places));
}

/// Returns the stock on hand at each location, in the form that [`set_stock`] takes.
pub(crate) fn stock_by_place(item: &Value) -> Vec<Decimal> {
    let places = item.get("locations").and_then(Value::as_array);
    places.into_iter().flatten().map(|place| decimal(&place["location_stock_on_hand"])).collect()
}
