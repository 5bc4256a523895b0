//! Deliveries to a program that syncs some entity types only.

use serde_json::{Value, json};
use tds_core::inbox::Disposition;
use tds_zoho::{
    entities::Catalogue,
    webhook::{Authentic, Event, Received, parse, parse_id},
};

use crate::{
    bodies::{NOW, ORGANIZATION, work},
    support::entity,
};

fn syncing(names: &[&str]) -> Catalogue {
    Catalogue::default().syncing(names.iter().map(|name| entity(name)))
}

fn parsed(catalogue: &Catalogue, path: &str, query: &[(String, String)], body: &str) -> Event {
    let path = entity(path);
    let received = Received {
        entity: &path,
        event_type: "updated",
        organization_id: ORGANIZATION,
        at: NOW,
        receipt: || "1".to_owned(),
    };
    parse(catalogue, &Authentic::unsigned(query, body.as_bytes()), &received)
}

fn contact(id: &str, contact_type: Option<&str>) -> Value {
    let mut contact =
        json!({"contact_id": id, "contact_name": "Dijla", "last_modified_time": "2026-11-17T09:17:40+0300"});
    if let Some(contact_type) = contact_type {
        contact["contact_type"] = json!(contact_type);
    }
    json!({"contact": contact})
}

fn reason(event: &Event) -> &str {
    match &event.disposition {
        Disposition::Ignored(reason) => reason,
        other => panic!("not ignored: {other:?}"),
    }
}

#[test]
fn a_delivery_of_a_type_that_is_not_synced_is_ignored_whatever_it_says() {
    let catalogue = syncing(&["products", "stock"]);
    let invoice = json!({"invoice": {"invoice_id": "7", "last_modified_time": "2026-11-17T09:17:40+0300"}});
    for body in [invoice.to_string(), String::new(), "{".to_owned(), "{}".to_owned()] {
        assert_eq!(reason(&parsed(&catalogue, "invoices", &[], &body)), "invoices are not synced", "{body}");
    }
    let named = [("invoice_id".to_owned(), "7".to_owned())];
    assert_eq!(reason(&parsed(&catalogue, "invoices", &named, "")), "invoices are not synced");
    // The identity is that of every other delivery: the same delivery again is a duplicate.
    let again = parsed(&Catalogue::default(), "invoices", &[], &invoice.to_string());
    assert_eq!(parsed(&catalogue, "invoices", &[], &invoice.to_string()).identity, again.identity);
    let Disposition::Ignored(_) = parse_id(&catalogue, &entity("invoices"), "7") else {
        panic!("an id of a type that is not synced")
    };
    let item = json!({"item": {"item_id": "9"}}).to_string();
    assert_eq!(work(&parsed(&catalogue, "products", &[], &item))[0].0, "products 9");
}

#[test]
fn customers_and_vendors_share_a_path_and_are_chosen_one_by_one() {
    let customers = syncing(&["customers"]);
    let keys = |catalogue, contact_type| {
        let event = parsed(catalogue, "customers", &[], &contact("46", contact_type).to_string());
        work(&event).into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(keys(&customers, Some("customer")), ["customers 46"]);
    let vendor = parsed(&customers, "customers", &[], &contact("46", Some("vendor")).to_string());
    assert_eq!(reason(&vendor), "vendors are not synced");

    // A contact that states no type is read by the type that is synced, which finds out what the contact is.
    let vendors = syncing(&["vendors", "products"]);
    assert_eq!(keys(&vendors, Some("vendor")), ["vendors 46"]);
    assert_eq!(keys(&vendors, None), ["vendors 46"]);
    assert_eq!(keys(&customers, None), ["customers 46"]);
    let Disposition::Work(by_id) = parse_id(&vendors, &entity("customers"), "46") else { panic!("no work") };
    assert_eq!(by_id[0].0.to_string(), "vendors 46");
    let nobody = syncing(&["products"]);
    let contact = parsed(&nobody, "customers", &[], &contact("46", None).to_string());
    assert_eq!(reason(&contact), "customers are not synced");
}

#[test]
fn a_body_of_several_records_keeps_those_that_are_synced() {
    let both = json!([contact("1", Some("customer")), contact("2", Some("vendor"))]).to_string();
    let event = parsed(&syncing(&["vendors"]), "customers", &[], &both);
    let keys: Vec<String> = work(&event).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["vendors 2"]);
}
