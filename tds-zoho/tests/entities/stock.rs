use serde_json::{Value, json};
use tds_core::record::{Fields, Shape};

use crate::support::{decode, decoded, literal, sample};

fn levels(item: &Value) -> Vec<Fields> {
    decoded("stock", Shape::Detail, &item.to_string()).children["stock_levels"].clone()
}

#[test]
fn an_item_gives_a_row_for_each_location_and_one_for_all() {
    let item = json!({"item_id":"1","stock_on_hand":"42.000000","available_stock":40,"actual_available_stock":-3.5,
        "last_modified_time":"2026-09-14T15:44:57+0300","locations":[
        {"location_id":"9","location_name":"Main","location_stock_on_hand":30.0,"location_available_stock":"",
         "location_actual_available_stock":26.0,"location_committed_stock":2.0},
        {"location_id":8,"location_name":"Yard","location_stock_on_hand":0}]});
    let rows: Vec<String> = levels(&item).iter().map(literal).collect();
    let expected = [
        concat!(
            r#"{"actual_available_stock":-3.5,"available_stock":40,"committed_stock":null,"location_name":null,"#,
            r#""location_zoho_id":"","stock_on_hand":42.000000}"#
        ),
        concat!(
            r#"{"actual_available_stock":null,"available_stock":null,"committed_stock":null,"location_name":"Yard","#,
            r#""location_zoho_id":"8","stock_on_hand":0}"#
        ),
        concat!(
            r#"{"actual_available_stock":26.0,"available_stock":null,"committed_stock":2.0,"location_name":"Main","#,
            r#""location_zoho_id":"9","stock_on_hand":30.0}"#
        ),
    ];
    assert_eq!(rows, expected);
    let record = decoded("stock", Shape::Detail, &item.to_string());
    assert_eq!(record.version, None, "stock moves without the item's time of change");
    assert!(record.fields.is_empty());
}

#[test]
fn warehouses_are_locations_of_organizations_that_were_not_migrated() {
    let item = json!({"item_id":"1","locations":[],"warehouses":[
        {"warehouse_id":"5","warehouse_name":"Old","warehouse_stock_on_hand":7}]});
    let rows = levels(&item);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["stock_on_hand"], Value::Null, "the sum is not ours to invent");
    assert_eq!((&rows[1]["location_zoho_id"], &rows[1]["stock_on_hand"]), (&json!("5"), &json!(7)));
}

#[test]
fn a_recorded_service_has_no_stock_rows() {
    let service = &sample("inventory-items-list.json")["items"][2];
    assert!(levels(service).is_empty());
    let empty =
        json!({"item_id":"1","stock_on_hand":"","locations":[{"location_id":"1","location_name":"Main"}]});
    assert!(levels(&empty).is_empty());
}

/// A production incident: a wrong field made every stock 0, and later every unreadable number became 0.
#[test]
fn an_absent_stock_is_null_and_an_unreadable_one_is_an_error() {
    let rows = levels(&json!({"item_id":"1","available_stock":5,"stock_on_hand":""}));
    assert_eq!(rows[0]["stock_on_hand"], Value::Null);
    let broken = json!({"item_id":"1","stock_on_hand":"many"}).to_string();
    let error = decode("stock", Shape::Detail, &broken).expect_err("no number");
    assert!(error.to_string().contains(r#"stock_on_hand: "many""#), "{error}");
}

#[test]
fn a_list_row_says_nothing_about_the_stock_of_locations() {
    let row = sample("inventory-items-list.json")["items"][0].to_string();
    assert!(decoded("stock", Shape::List, &row).children.is_empty());
}
