//! Stock adjustments.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    PLACES, Template, day, id, kinds,
    literal::{number, quantity},
    text,
};

static TEMPLATE: Template = Template::new(include_str!("adjustment.json"));

/// Returns an adjustment that changes the stock of one item at the first location by this difference. It is only a
/// document: the caller changes the item's stock with [`super::set_stock`].
#[must_use]
pub fn adjustment(n: u64, item: &Value, difference: Decimal) -> Value {
    let changes = json!({
        "inventory_adjustment_id": id(kinds::ADJUSTMENT, n),
        "date": day(n),
        "reference_number": format!("ADJ-{n}"),
        "location_id": PLACES[0].0,
        "location_name": PLACES[0].1,
        "line_items": [{
            "line_item_id": id(kinds::ADJUSTMENT + 1, n),
            "item_id": text(item, "item_id"),
            "name": text(item, "name"),
            "quantity_adjusted": quantity(difference),
            "item_total": number("0.00"),
            "unit": "pcs",
            "adjustment_account_id": "4600000000000000388",
            "location_id": PLACES[0].0,
        }],
    });
    Value::Object(TEMPLATE.with(changes))
}
