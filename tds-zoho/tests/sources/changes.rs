//! Listing only changes, for lists that can do so and for lists that only claim to.

use serde_json::json;
use tds_zoho::testkit::{FakeZoho, Module};
use time::macros::datetime;

use crate::{
    listing::{all, ids, page},
    support::{online, source},
};

const SINCE: time::OffsetDateTime = datetime!(2026-11-10 00:00 UTC);

fn at(day: u32) -> serde_json::Value {
    json!(format!("2026-11-{day:02}T03:00:00+0300"))
}

/// The modules of orders, payments and credits whose lists have a documented filter.
const FURTHER_MODULES: [Module; 4] =
    [Module::SALES_ORDERS, Module::PURCHASE_ORDERS, Module::VENDOR_PAYMENTS, Module::VENDOR_CREDITS];

#[tokio::test]
async fn documented_filters_list_only_what_changed_with_the_boundary_second() {
    let zoho = FakeZoho::start().await;
    for day in [8, 9, 10, 11] {
        let fields = json!({"name":day.to_string(),"last_modified_time":at(day)});
        zoho.put_item(fields.clone());
        zoho.put_invoice(fields.clone());
        zoho.put_bill(fields.clone());
        zoho.put_credit_note(fields.clone());
        for module in FURTHER_MODULES {
            zoho.put(module, fields.clone());
        }
    }
    let client = online(&zoho);
    let further = ["sales_orders", "purchase_orders", "vendor_payments", "vendor_credits"];
    for name in ["products", "invoices", "bills", "credit_notes"].into_iter().chain(further) {
        let (rows, _) = all(&*source(&client, name), Some(SINCE)).await;
        assert_eq!(rows.len(), 2, "{name}");
        assert!(rows.iter().all(|row| row.version >= Some(SINCE)), "{name}");
    }
}

#[tokio::test]
async fn contacts_are_read_newest_first_up_to_the_first_older_page() {
    let zoho = FakeZoho::start().await;
    for n in 0..650 {
        let time = if n < 150 { at(12) } else { at(1) };
        zoho.put_contact(
            json!({"contact_name":format!("C {n:03}"),"contact_type":"customer","last_modified_time":time}),
        );
    }
    let source = source(&online(&zoho), "customers");
    let (rows, pages) = all(&*source, Some(SINCE)).await;
    assert_eq!((rows.len(), pages), (200, 1), "the page that reaches into the past is the last");
    assert_eq!(rows.iter().filter(|row| row.version >= Some(SINCE)).count(), 150);
    assert_eq!(all(&*source, None).await.0.len(), 650);
}

#[tokio::test]
async fn a_contact_list_that_is_not_sorted_is_read_to_its_end() {
    let zoho = FakeZoho::start().await;
    for n in 0..450 {
        zoho.put_contact(
            json!({"contact_name":format!("C {n:03}"),"contact_type":"customer","last_modified_time":at(1)}),
        );
    }
    // A time that cannot be read says nothing about the order of the following rows.
    let odd = zoho.ids(Module::CONTACTS)[100].clone();
    zoho.update_silently(Module::CONTACTS, &odd, json!({"last_modified_time":"soon"}));
    let (rows, pages) = all(&*source(&online(&zoho), "customers"), Some(SINCE)).await;
    assert_eq!((ids(&rows).len(), pages), (450, 4), "the list begins anew in its own order");
}

#[tokio::test]
async fn price_lists_and_stock_are_always_listed_in_whole() {
    let zoho = FakeZoho::start().await;
    for day in [1, 12] {
        zoho.put_price_list(
            json!({"name":day.to_string(),"last_modified_time":at(day),"pricebook_items":[]}),
        );
        zoho.put_item(json!({"name":day.to_string(),"stock_on_hand":1,"last_modified_time":at(day)}));
    }
    let client = online(&zoho);
    for name in ["prices", "stock"] {
        assert_eq!(all(&*source(&client, name), Some(SINCE)).await.0.len(), 2, "{name}");
    }
}

#[tokio::test]
async fn edits_during_a_full_list_hide_no_record() {
    let zoho = FakeZoho::start().await;
    for n in 0..500 {
        zoho.put_invoice(json!({"invoice_number":n.to_string(),"status":"sent",
            "created_time":format!("2026-10-01T{:02}:{:02}:00+0300", n / 60, n % 60),"last_modified_time":at(1)}));
    }
    let client = online(&zoho);
    let source = source(&client, "invoices");
    let (mut seen, mut cursor) = (std::collections::BTreeSet::new(), None);
    loop {
        let page = page(&*source, None, cursor).await.expect("a page");
        seen.extend(ids(&page.rows));
        for id in zoho.ids(Module::INVOICES).iter().step_by(7) {
            zoho.update(Module::INVOICES, id, json!({"status":"paid"}));
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, zoho.ids(Module::INVOICES).into_iter().collect());
}
