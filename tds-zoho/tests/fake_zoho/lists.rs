use std::{collections::HashSet, time::Duration};

use serde_json::json;
use tds_zoho::testkit::{
    FakeZoho, Module,
    sample::{self, ContactKind},
    stamp,
};

use crate::support::{Caller, column};

#[tokio::test]
async fn pages_walk_over_every_record_once() {
    let caller = Caller::new().await;
    caller.fake.generate(Module::ITEMS, 2_050);
    let mut seen = HashSet::new();
    for page in 1.. {
        let page = page.to_string();
        let query = [("page", page.as_str()), ("per_page", "500"), ("filter_by", "Status.All")];
        let body = caller.ok("/inventory/v1/items", &query).await;
        let ids = column(&body["items"], "item_id");
        assert!(ids.len() <= 200, "a page is never larger than 200");
        seen.extend(ids);
        if body["page_context"]["has_more_page"] == false {
            break;
        }
    }
    assert_eq!(seen.len(), 2_050);
    assert_eq!(caller.fake.calls_to("/items"), 11);
}

#[tokio::test]
async fn a_page_has_ten_rows_in_books_unless_asked() {
    let caller = Caller::new().await;
    caller.fake.generate(Module::ITEMS, 30);
    let books = caller.ok("/books/v3/items", &[]).await;
    assert_eq!(books["items"].as_array().map(Vec::len), Some(10));
    let inventory = caller.ok("/inventory/v1/items", &[]).await;
    assert_eq!(inventory["items"].as_array().map(Vec::len), Some(30));
    let beyond = caller.ok("/books/v3/items", &[("page", "9")]).await;
    assert_eq!(beyond["items"], json!([]));
    assert_eq!(beyond["page_context"]["has_more_page"], false);
}

/// Enters two records of each kind. The second record is an hour younger.
fn old_and_new(fake: &FakeZoho) -> String {
    let (customer, item) = (sample::contact(1, ContactKind::Customer), sample::item(1));
    let vendor = sample::contact(1, ContactKind::Vendor);
    let enter = |n: u64| {
        fake.put_item(sample::item(n));
        fake.put_contact(sample::contact(n, ContactKind::Customer));
        fake.put_invoice(sample::invoice(n, &customer, std::slice::from_ref(&item)));
        fake.put_bill(sample::bill(n, &vendor, std::slice::from_ref(&item)));
        fake.put_credit_note(sample::credit_note(n, &customer, std::slice::from_ref(&item)));
        fake.put_price_list(sample::price_list_unit(n, std::slice::from_ref(&item)));
    };
    enter(1);
    fake.advance(Duration::from_secs(3_600));
    let boundary = stamp(fake.now());
    enter(2);
    // Both clocks have whole seconds, so the second batch is at the boundary or after it.
    boundary
}

#[tokio::test]
async fn the_time_filter_works_only_where_it_is_documented() {
    let caller = Caller::new().await;
    let since = old_and_new(&caller.fake);
    let rows = async |path: &str| {
        let body = caller.ok(path, &[("last_modified_time", since.as_str()), ("per_page", "200")]).await;
        let key = path.rsplit('/').next().unwrap_or_default();
        body[key].as_array().map(Vec::len)
    };
    for filtered in ["/books/v3/invoices", "/books/v3/bills", "/books/v3/creditnotes", "/inventory/v1/items"]
    {
        assert_eq!(rows(filtered).await, Some(1), "{filtered}");
    }
    for ignored in ["/books/v3/items", "/books/v3/contacts", "/books/v3/pricebooks", "/inventory/v1/invoices"]
    {
        assert_eq!(rows(ignored).await, Some(2), "{ignored}");
    }
}

#[tokio::test]
async fn the_time_filter_includes_its_boundary_and_refuses_a_trailing_z() {
    let caller = Caller::new().await;
    let at = "2026-09-20T12:00:00+0300";
    caller.fake.put_invoice(json!({"last_modified_time": at}));
    let count = async |since: &str| {
        caller.ok("/books/v3/invoices", &[("last_modified_time", since)]).await["invoices"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(count(at).await, Some(1));
    assert_eq!(count("2026-09-20T09:00:00+0000").await, Some(1));
    assert_eq!(count("2026-09-20T12:00:01+0300").await, Some(0));
    for refused in ["2026-09-20T09:00:00Z", "2026-09-20T09:00:00 0000", "yesterday"] {
        let (status, body) = caller.get("/books/v3/invoices", &[("last_modified_time", refused)]).await;
        assert_eq!((status, &body["code"]), (400, &json!(2)), "{refused}");
    }
}

#[tokio::test]
async fn inactive_records_are_hidden_until_asked_for() {
    let caller = Caller::new().await;
    let ids = caller.fake.generate(Module::ITEMS, 3);
    caller.fake.update(Module::ITEMS, &ids[0], json!({"status": "inactive"}));
    let count = async |query: &[(&str, &str)]| {
        caller.ok("/inventory/v1/items", query).await["items"].as_array().map(Vec::len)
    };
    assert_eq!(count(&[]).await, Some(2));
    assert_eq!(count(&[("filter_by", "Status.All")]).await, Some(3));
    assert_eq!(count(&[("filter_by", "Status.Inactive")]).await, Some(1));
}

#[tokio::test]
async fn customers_and_vendors_are_distinguished_in_books_only() {
    let caller = Caller::new().await;
    caller.fake.put_contact(sample::contact(1, ContactKind::Customer));
    caller.fake.put_contact(sample::contact(1, ContactKind::Vendor));
    let query = [("contact_type", "vendor")];
    let books = caller.ok("/books/v3/contacts", &query).await;
    assert_eq!(column(&books["contacts"], "contact_type"), ["vendor"]);
    let inventory = caller.ok("/inventory/v1/contacts", &query).await;
    assert_eq!(inventory["contacts"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn sorting_works_by_documented_columns() {
    let caller = Caller::new().await;
    for (n, created) in [(1, "2026-03-01"), (2, "2026-01-01"), (3, "2026-02-01")] {
        let mut item = sample::item(n);
        item["created_time"] = json!(format!("{created}T10:00:00+0300"));
        caller.fake.put_item(item);
    }
    let order =
        async |path: &str, query: &[(&str, &str)]| column(&caller.ok(path, query).await["items"], "sku");
    let by_age = [("sort_column", "created_time"), ("sort_order", "A")];
    assert_eq!(order("/inventory/v1/items", &by_age).await, ["CBL-2", "CBL-3", "CBL-1"]);
    assert_eq!(order("/books/v3/items", &by_age).await, ["CBL-1", "CBL-2", "CBL-3"], "not a column of Books");
    let dear_first = [("sort_column", "rate"), ("sort_order", "D")];
    assert_eq!(order("/books/v3/items", &dear_first).await, ["CBL-3", "CBL-2", "CBL-1"]);
}
