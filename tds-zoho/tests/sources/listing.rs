use std::collections::BTreeSet;

use serde_json::{Value, json};
use tds_core::{
    error::{ErrorKind, Result, Retry},
    queue::Lane,
    record::{DateRange, list_hash},
    source::{ListOrder, ListPage, ListRequest, Listed, Source},
};
use tds_zoho::{
    entities::Catalogue,
    sim::decimal,
    testkit::{FakeZoho, Fault, ListHabit, Module},
};
use time::{OffsetDateTime, macros::date};

use crate::support::{entity, online, source};

pub(crate) async fn page(
    source: &dyn Source,
    since: Option<OffsetDateTime>,
    cursor: Option<String>,
) -> Result<ListPage> {
    let capability = source.profile().documented;
    source
        .list(&ListRequest {
            since,
            dates: None,
            order: ListOrder::MovingFilter,
            capability,
            cursor,
            lane: Lane::Full,
        })
        .await
}

/// Returns the whole list, and the number of its pages.
pub(crate) async fn all(source: &dyn Source, since: Option<OffsetDateTime>) -> (Vec<Listed>, usize) {
    let (mut rows, mut pages, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = page(source, since, cursor).await.expect("a page");
        rows.extend(page.rows);
        pages += 1;
        assert!(pages < 100, "the list has no end");
        cursor = page.next;
        if cursor.is_none() {
            return (rows, pages);
        }
    }
}

pub(crate) fn ids(rows: &[Listed]) -> BTreeSet<String> {
    rows.iter().map(|row| row.id.as_str().to_owned()).collect()
}

#[tokio::test]
async fn every_entity_type_is_listed_in_whole_with_inactive_records() {
    let zoho = FakeZoho::start().await;
    let client = online(&zoho);
    for n in 0..3 {
        let status = if n == 0 { "inactive" } else { "active" };
        zoho.put_item(json!({"name":format!("Item {n}"),"status":status,"stock_on_hand":n}));
        zoho.put_contact(json!({"contact_name":format!("C {n}"),"contact_type":"customer","status":status}));
        zoho.put_contact(json!({"contact_name":format!("V {n}"),"contact_type":"vendor","status":status}));
        zoho.put_invoice(json!({"invoice_number":n.to_string(),"status":"void"}));
        zoho.put_bill(json!({"bill_number":n.to_string(),"status":"paid"}));
        zoho.put_credit_note(json!({"creditnote_number":n.to_string(),"status":"closed"}));
        zoho.put_price_list(json!({"name":n.to_string(),"status":status,"pricebook_items":[]}));
        zoho.put(Module::SALES_ORDERS, json!({"salesorder_number":n.to_string(),"status":"void"}));
        zoho.put(Module::CUSTOMER_PAYMENTS, json!({"payment_number":n.to_string(),"payment_mode":"cash"}));
        zoho.put(Module::PURCHASE_ORDERS, json!({"purchaseorder_number":n.to_string(),"status":"cancelled"}));
        zoho.put(Module::VENDOR_PAYMENTS, json!({"payment_number":n,"payment_mode":"cash"}));
        zoho.put(Module::VENDOR_CREDITS, json!({"vendor_credit_number":n.to_string(),"status":"void"}));
        for module in [
            Module::ITEM_GROUPS,
            Module::COMPOSITE_ITEMS,
            Module::CURRENCIES,
            Module::TAXES,
            Module::LOCATIONS,
        ] {
            zoho.put(module, json!({"name":n.to_string(),"status":status}));
        }
    }
    let sources = tds_zoho::sources(&client);
    let names: Vec<&str> = sources.iter().map(|source| source.schema().entity.as_str()).collect();
    assert_eq!(names, Catalogue::default().names().collect::<Vec<_>>());
    for source in &sources {
        assert_eq!(all(&**source, None).await.0.len(), 3, "{}", source.schema().entity);
        assert!(source.profile().complete_list);
    }
}

#[tokio::test]
async fn a_list_of_several_pages_is_read_to_its_end_and_goes_on_after_a_restart() {
    let zoho = FakeZoho::start().await;
    for n in 0..450 {
        zoho.put_item(json!({"name":format!("Item {n:03}")}));
    }
    let expected: BTreeSet<String> = zoho.ids(Module::ITEMS).into_iter().collect();
    let first = page(&*source(&online(&zoho), "products"), None, None).await.expect("a page");
    // Another process continues with the cursor alone.
    let other = source(&online(&zoho), "products");
    let second = page(&*other, None, first.next).await.expect("a page");
    let third = page(&*other, None, second.next).await.expect("a page");
    assert!(third.next.is_none());
    let rows = [first.rows, second.rows, third.rows].concat();
    assert_eq!((rows.len(), ids(&rows)), (450, expected));
}

#[tokio::test]
async fn a_row_carries_its_version_its_hash_and_its_payload() {
    let zoho = FakeZoho::start().await;
    zoho.put_invoice(json!({"invoice_number":"INV-1","status":"sent","total":5.00,
        "last_modified_time":"2026-11-17T09:17:40+0300"}));
    let source = source(&online(&zoho), "invoices");
    let (rows, _) = all(&*source, None).await;
    let record = source.decode(rows[0].payload.as_ref().expect("the row")).expect("readable");
    assert_eq!(rows[0].version, Some(time::macros::datetime!(2026-11-17 06:17:40 UTC)));
    assert_eq!(rows[0].hash, list_hash(&record));
    assert_eq!(record.entity, entity("invoices"));
}

#[tokio::test]
async fn stock_lists_ids_only_and_services_as_records_without_stock() {
    let zoho = FakeZoho::start().await;
    let cable = zoho.put_item(json!({"name":"Cable","stock_on_hand":3}));
    zoho.put_item(json!({"name":"Repair","product_type":"service"}));
    let source = source(&online(&zoho), "stock");
    for row in all(&*source, None).await.0 {
        assert_eq!(row.version, None);
        match row.payload {
            None => assert_eq!(row.id.as_str(), cable),
            Some(payload) => {
                assert!(source.decode(&payload).expect("readable").children["stock_levels"].is_empty());
            }
        }
    }
}

#[tokio::test]
async fn a_row_without_a_readable_id_is_listed_and_its_decoding_says_why() {
    let zoho = FakeZoho::start().await;
    let good = zoho.put_bill(json!({"bill_number":"1"}));
    let bad = zoho.put_bill(json!({"bill_number":"2"}));
    zoho.update_silently(Module::BILLS, &bad, json!({"bill_id": 1.5}));
    let source = source(&online(&zoho), "bills");
    let (rows, _) = all(&*source, None).await;
    let broken = rows.iter().find(|row| row.id.as_str() != good).expect("listed too");
    assert!(broken.id.as_str().starts_with("unreadable:") && broken.id.as_str().len() == 23, "{}", broken.id);
    let error = source.decode(broken.payload.as_ref().expect("the row")).expect_err("no id");
    assert!(error.to_string().contains("bill_id: 1.5"), "{error}");
}

#[tokio::test]
async fn a_row_with_an_unreadable_value_keeps_its_id() {
    let zoho = FakeZoho::start().await;
    let id = zoho.put_item(json!({"name":"Cable","rate":"cheap"}));
    let source = source(&online(&zoho), "products");
    let (rows, _) = all(&*source, None).await;
    assert_eq!(rows[0].id.as_str(), id);
    assert!(source.decode(rows[0].payload.as_ref().expect("the row")).is_err());
}

#[tokio::test]
async fn a_contact_in_the_wrong_list_is_still_what_it_is() {
    let zoho = FakeZoho::start().await;
    // A contact without its own type is in the list of either kind.
    let id = zoho.put_contact(json!({"contact_name":"Acme"}));
    zoho.update_silently(Module::CONTACTS, &id, json!({"contact_type":"vendor"}));
    let client = online(&zoho);
    let (rows, _) = all(&*source(&client, "vendors"), None).await;
    let customers = source(&client, "customers");
    let record = customers.decode(rows[0].payload.as_ref().expect("the row")).expect("readable");
    assert_eq!(record.entity, entity("vendors"));
    assert_eq!(customers.profile().sibling, Some(entity("vendors")));
}

#[tokio::test]
async fn one_unreadable_row_leaves_the_others_of_its_page_readable() {
    let zoho = FakeZoho::start().await;
    let client = online(&zoho);
    let source = source(&client, "customers");
    let guilty = zoho.put_contact(json!({"contact_name":"~guilty~","contact_type":"customer"}));
    for n in 0..4 {
        zoho.put_contact(json!({"contact_name":format!("C {n}"),"contact_type":"customer"}));
    }
    for (text, bytes, readable) in [
        ("~guilty~", &b"half \\ud83d"[..], true),
        ("~guilty~", b"\xff", true),
        ("~guilty~", b"\\u0000", true),
        ("\"~guilty~\"", b"NaN", true),
        ("\"~guilty~\"", b"", false),
    ] {
        zoho.faults().next("/contacts", 1, Fault::Rewritten(text.to_owned(), bytes.to_vec()));
        let rows = page(&*source, None, None).await.expect("a page").rows;
        assert_eq!(rows.len(), 5);
        for row in rows {
            let payload = row.payload.expect("a row");
            let is_guilty = row.id.as_str() == guilty;
            assert_eq!(source.decode(&payload).is_ok(), readable || !is_guilty, "{bytes:?}");
            assert!(!payload.json.as_str().contains("\\u0000"));
        }
    }
}

#[tokio::test]
async fn documents_are_selected_by_their_dates_and_a_list_that_ignores_them_is_an_error() {
    let zoho = FakeZoho::start().await;
    let client = online(&zoho);
    for (number, day) in [("1", "2026-01-31"), ("2", "2026-02-01"), ("3", "2026-02-28"), ("4", "2026-03-01")]
    {
        zoho.put_invoice(json!({"invoice_number": number, "date": day}));
    }
    let dates = DateRange::new(Some(date!(2026 - 02 - 01)), Some(date!(2026 - 02 - 28))).expect("a range");
    let request = ListRequest { dates: Some(dates), ..ListRequest::first(Lane::Full) };
    let invoices = source(&client, "invoices");
    assert_eq!(invoices.profile().date_column, Some("date"));
    let page = invoices.list(&request).await.expect("a page");
    assert_eq!((page.rows.len(), page.next), (2, None));
    let shown: Vec<&str> =
        page.rows.iter().filter_map(|row| row.payload.as_ref()).map(|row| row.json.as_str()).collect();
    assert!(shown.iter().all(|row| row.contains("2026-02-")), "{shown:?}");

    // The list can state the number of these documents and the sum of their totals without showing them.
    let total = page.rows.iter().filter_map(|row| row.payload.as_ref()).map(|row| {
        let row: Value = serde_json::from_str(row.json.as_str()).expect("JSON");
        decimal(&row["total"])
    });
    let calls = zoho.calls();
    let sums = invoices.sums(dates, Lane::Verify).await.expect("sums").expect("invoices have sums");
    assert_eq!((sums.records, sums.total), (Some(2), Some(total.sum())));
    assert_eq!(zoho.calls(), calls + 1);
    assert_eq!(source(&client, "bills").sums(dates, Lane::Verify).await.expect("no call"), None);

    zoho.set_list_habit(ListHabit { ignores_dates: true, ..ListHabit::default() });
    let error = invoices.list(&request).await.expect_err("other dates");
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, Retry::Permanent));
    assert!(error.to_string().contains("ignores its filter by date"), "{error}");

    let products = source(&client, "products");
    assert_eq!(products.profile().date_column, None);
    let error = products.list(&request).await.expect_err("no filter");
    assert!(error.to_string().contains("the list of products has no filter by date"), "{error}");
}
