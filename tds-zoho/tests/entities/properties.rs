//! No payload, however unusual, makes a decoder panic.

use proptest::prelude::*;
use tds_core::record::Shape;

use crate::support::decode;

const TYPES: [&str; 13] = [
    "products",
    "customers",
    "vendors",
    "invoices",
    "bills",
    "credit_notes",
    "stock",
    "prices",
    "sales_orders",
    "customer_payments",
    "purchase_orders",
    "vendor_payments",
    "vendor_credits",
];
const KEYS: [&str; 26] = [
    "item_id",
    "contact_id",
    "invoice_id",
    "bill_id",
    "creditnote_id",
    "pricebook_id",
    "salesorder_id",
    "purchaseorder_id",
    "vendor_credit_id",
    "payment_id",
    "invoices",
    "bills",
    "line_items",
    "locations",
    "pricebook_items",
    "price_brackets",
    "custom_fields",
    "custom_field_hash",
    "contact_persons",
    "rate",
    "date",
    "last_modified_time",
    "created_time",
    "stock_on_hand",
    "payment_terms",
    "item_order",
];

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?[1-9][0-9]{0,30}(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,6})?",
        any::<String>().prop_map(|text| serde_json::Value::String(text).to_string()),
        "\"[0-9]{0,4}[-/ T:.,+a-zA-Z0-9é]{0,20}\"",
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = prop_oneof![prop::sample::select(&KEYS[..]).prop_map(str::to_owned), "[a-z_]{1,8}"];
        let object = prop::collection::vec((key, inner.clone()), 0..8).prop_map(|fields| {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!("{{{}}}", fields.join(","))
        });
        prop_oneof![object, prop::collection::vec(inner, 0..5).prop_map(|all| format!("[{}]", all.join(",")))]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_json_is_read_or_refused(json in json(), id in "[0-9]{1,19}") {
        let known = KEYS[..6].iter().map(|key| format!("\"{key}\":\"{id}\"")).collect::<Vec<_>>().join(",");
        let filled = json.strip_prefix('{').map(|rest| {
            format!("{{{known}{}{rest}", if rest.starts_with('}') { "" } else { "," })
        });
        for entity in TYPES {
            for shape in [Shape::List, Shape::Detail, Shape::Webhook] {
                for json in filled.iter().chain([&json]) {
                    if let Ok(record) = decode(entity, shape, json) {
                        prop_assert!(!record.id.as_str().is_empty() && record.id.as_str().len() <= 100);
                    }
                }
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        for entity in TYPES {
            let _ = decode(entity, Shape::Detail, &text);
        }
    }
}
