//! Properties of bodies: nothing outside the contract, exact numbers, equal bytes for equal records.

use std::collections::BTreeSet;

use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};
use tds_core::{outbound::LocalRecord, record::Fields};
use tds_zoho::write::{Contract, WriteCall, contracts};

use crate::{
    local::{Ids, UNIQUE, digits, local},
    writes_documented::changed,
};

/// The mark of everything that no contract names.
const FOREIGN: &str = "foreign";

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Adds a foreign entry to every object in a record.
fn add_foreign(fields: &mut Fields, value: &Value) {
    for (column, inner) in fields.iter_mut().filter(|(column, _)| *column != "custom_fields") {
        match inner {
            Value::Object(inner) => add_foreign(inner, value),
            Value::Array(items) if column == "contact_persons" => {
                items.iter_mut().filter_map(Value::as_object_mut).for_each(|item| add_foreign(item, value));
            }
            _ => {}
        }
    }
    fields.insert(format!("{FOREIGN}_key"), value.clone());
}

fn calls(contract: &Contract, record: &LocalRecord, changed: &BTreeSet<String>) -> Vec<WriteCall> {
    let mut calls = contract.create(record, UNIQUE).expect("a valid record");
    if contract.entity.as_str() != "stock" {
        let known = record.clone().at_source("460000000099001", None);
        calls.extend(contract.update(&known, changed, UNIQUE).expect("a valid record"));
    }
    calls
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_a_record_has_beside_its_columns_never_appears(which in any::<Index>(), value in value()) {
        let all: Vec<_> = contracts().collect();
        let contract = *which.get(&all);
        let (_, names) = changed(contract);
        let clean = local(contract.entity.as_str(), 1, &Ids::default());
        let mut soiled = clean.clone();
        if contract.folded.contains(&"contact_persons") {
            soiled.fields.insert("contact_persons".to_owned(), json!([]));
        }
        add_foreign(&mut soiled.fields, &value);
        for rows in soiled.children.values_mut() {
            rows.iter_mut().for_each(|row| add_foreign(row, &value));
        }
        soiled.children.insert(format!("{FOREIGN}_table"), vec![Fields::new()]);
        let (before, after) = (calls(contract, &clean, &names), calls(contract, &soiled, &names));
        prop_assert_eq!(&before, &after);
        for call in &after {
            let path_and_query = format!("{:?}", (&call.path, &call.query, &call.headers));
            let body = call.body.as_ref().map_or("", |body| body.as_str());
            prop_assert!(!path_and_query.contains(FOREIGN));
            prop_assert!(!body.contains(FOREIGN));
        }
        prop_assert_eq!(after, calls(contract, &soiled.clone(), &names));
    }

    #[test]
    fn a_number_keeps_its_digits(whole in -9_999_999_999_999_i64..9_999_999_999_999, fraction in "[0-9]{1,9}", as_text in any::<bool>()) {
        let literal = format!("{whole}.{fraction}");
        let number = if as_text { json!(literal) } else { digits(&literal) };
        let mut product = local("products", 1, &Ids::default());
        product.fields.insert("rate".to_owned(), number);
        let calls = calls(crate::local::contract("products"), &product, &BTreeSet::from(["rate".to_owned()]));
        for call in calls {
            let body = call.body.expect("a body");
            let expected = format!(r#""rate":{literal}"#);
            let shown = body.as_str();
            let end = shown.find(&expected).map(|at| at + expected.len());
            let is_whole = end.is_some_and(|end| !shown[end..].starts_with(|c: char| c.is_ascii_digit()));
            prop_assert!(is_whole, "{}", shown);
        }
    }
}
