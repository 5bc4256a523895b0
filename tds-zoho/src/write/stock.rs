//! Stock, by inventory adjustments.
//!
//! Nobody can set stock in Zoho; an adjustment adds a difference. The records of this contract are such adjustments.
//! They have tables of their own, and are created once. The stock itself is read from the items.

use serde_json::Value;
use tds_core::{
    mirror::{Child, MirrorSchema},
    record::{EntityType, Fields},
};

use super::{
    answer::Answer,
    contract::{Contract, Field, Form, Idempotence, Lines, Removes, Stamp},
    documents::{CUSTOM_FIELDS, DATE, LOCATION, PRODUCT_ID},
    local::present,
    reasons::because,
};
use crate::answer::Api;

const LINES: &str = "stock_adjustment_lines";

static ADJUSTMENTS: MirrorSchema = MirrorSchema {
    entity: EntityType::from_static("stock"),
    head: Some("stock_adjustments"),
    children: &[Child { table: LINES, owner: "document_zoho_id", confirm_shrink: false }],
};

pub(super) static STOCK: Contract = Contract {
    entity: &EntityType::from_static("stock"),
    noun: "stock adjustment",
    create_api: Api::Inventory,
    api: Api::Inventory,
    path: "/inventoryadjustments",
    scope: "ZohoInventory.inventoryadjustments",
    schema: Some(&ADJUSTMENTS),
    constants: &[("adjustment_type", "quantity")],
    fields: &[
        DATE.required().at_creation(),
        Field::new("reason", "reason", Form::Text(0)).required().at_creation(),
        Field::new("description", "description", Form::Text(0)).at_creation(),
        LOCATION.at_creation(),
        CUSTOM_FIELDS.at_creation(),
    ],
    read_only: &[because(
        "reference_number",
        "TDS writes its own key there, by which it finds the adjustment",
    )],
    lists: &[Lines {
        table: LINES,
        key: "line_items",
        noun: "item",
        fields: &[
            Field::new("product_zoho_id", "item_id", PRODUCT_ID).required(),
            Field::new("quantity_adjusted", "quantity_adjusted", Form::Decimal).required(),
            LOCATION,
        ],
        ignored: &["position"],
        required: true,
        ..Lines::ROWS
    }],
    removes: Removes::Never("an adjustment is a fact: enter the opposite difference"),
    // Zoho documents no parameter for the list, so its rows are compared.
    idempotence: Idempotence::Search {
        parameter: None,
        row_key: "reference_number",
        list_keys: &["inventory_adjustments"],
        stamp: Stamp::Key,
    },
    answer: Answer { keys: &["inventory_adjustment"], id_key: "inventory_adjustment_id" },
    finish: |adjustment, _, _, found| {
        // Zoho answers code 27520 to an adjustment whose lines are elsewhere than its head.
        let rows = || adjustment.children.get(LINES).into_iter().flatten();
        let place = adjustment.value(LOCATION.column).or_else(|| rows().find_map(place_of));
        let is_elsewhere = |row: &Fields| place_of(row).is_some_and(|own| Some(own) != place);
        if rows().any(is_elsewhere) {
            found.problem("it has items of several locations: enter one adjustment for each location");
        }
    },
    ..Contract::DOCUMENT
};

fn place_of(row: &Fields) -> Option<&Value> {
    present(row, LOCATION.column)
}
