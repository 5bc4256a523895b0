//! A production incident: an unknown list was read as "0 rows, success".

use std::sync::Arc;

use serde_json::{Value, json};
use tds_core::{
    error::{ErrorKind, Retry},
    queue::Lane,
    record::RecordId,
    source::Source,
};
use tds_zoho::{
    entities::{Api, Catalogue},
    testkit::{FakeZoho, Fault},
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::{
    listing::page,
    support::{offline, online, source},
};

#[tokio::test]
async fn an_answer_that_is_not_certainly_a_page_is_an_error_and_never_an_empty_page() {
    let zoho = FakeZoho::start().await;
    zoho.put_item(json!({"name":"Cable"}));
    let client = online(&zoho);
    for fault in [Fault::WrongEnvelope, Fault::MissingPageContext, Fault::EmptyPageWithMore] {
        // Zoho writes no page context in some short lists.
        let needs_context = !matches!(fault, Fault::WrongEnvelope);
        for descriptor in Catalogue::default().iter().filter(|known| known.list.paged || !needs_context) {
            let source = source(&client, descriptor.name());
            let base = if descriptor.api == Api::Inventory { "/inventory/v1" } else { "/books/v3" };
            zoho.faults().next(base, 1, fault.clone());
            let error = page(&*source, None, None).await.expect_err("no page");
            assert_eq!(error.kind(), ErrorKind::Protocol, "{fault:?} {}", source.schema().entity);
            assert_eq!(error.retry(), Retry::Transient { retry_after: None });
        }
    }
}

#[tokio::test]
async fn a_cursor_that_nobody_wrote_is_refused() {
    let source = source(&offline(), "products");
    for cursor in ["", "7", "{}", "{\"page\":0}", "{\"page\":4294967295}", "null"] {
        let error = page(&*source, None, Some(cursor.to_owned())).await.expect_err(cursor);
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

/// Answers every call of this path with this body.
async fn answering(path: &str, body: Value, entity: &str) -> (MockServer, FakeZoho, Arc<dyn Source>) {
    let zoho = FakeZoho::start().await;
    let server = MockServer::start().await;
    let call = Mock::given(matchers::path(path));
    call.respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    let credentials = zoho.credentials();
    let mut config = tds_zoho::ZohoConfig::new(
        credentials.client_id,
        credentials.client_secret,
        credentials.refresh_token,
        credentials.organization_id,
        tds_zoho::DataCenter::Us,
    );
    config.accounts_url = zoho.accounts_url();
    config.api_url = Some(server.uri());
    let client = tds_zoho::ZohoClient::new(config, Arc::new(tds_core::clock::SystemClock)).expect("valid");
    (server, zoho, source(&client, entity))
}

/// Answers every list of price lists with this body, whatever page is requested.
async fn stubborn(body: Value) -> (MockServer, FakeZoho, Arc<dyn Source>) {
    answering("/books/v3/pricebooks", body, "prices").await
}

/// Zoho's files and its readers disagree about the names of some lists and records.
#[tokio::test]
async fn a_list_and_a_record_are_found_under_every_name_that_was_seen() {
    for (entity, path, id_key, lists, records) in [
        (
            "customer_payments",
            "/books/v3/customerpayments",
            "payment_id",
            &["customer_payments", "customerpayments"][..],
            &["payment", "customer_payment"][..],
        ),
        (
            "vendor_credits",
            "/books/v3/vendorcredits",
            "vendor_credit_id",
            &["vendorcredits", "vendor_credits"],
            &["vendor_credit"],
        ),
        (
            "purchase_orders",
            "/books/v3/purchaseorders",
            "purchaseorder_id",
            &["purchaseorders"],
            &["purchaseorder", "purchase_order"],
        ),
        (
            "vendor_payments",
            "/books/v3/vendorpayments",
            "payment_id",
            &["vendorpayments"],
            &["vendorpayment"],
        ),
        ("sales_orders", "/books/v3/salesorders", "salesorder_id", &["salesorders"], &["salesorder"]),
    ] {
        for name in lists {
            let body = json!({"code":0,*name:[{id_key:"1"}],"page_context":{"page":1,"has_more_page":false}});
            let (_server, _zoho, source) = answering(path, body, entity).await;
            assert_eq!(page(&*source, None, None).await.expect(name).rows.len(), 1, "{entity} {name}");
        }
        for name in records {
            let body = json!({"code":0,*name:{id_key:"1"}});
            let (_server, _zoho, source) = answering(&format!("{path}/1"), body, entity).await;
            let read = source.fetch(&[RecordId::new("1")], Lane::Full).await.remove(0);
            assert!(read.is_ok(), "{entity} {name}: {read:?}");
        }
    }
}

#[tokio::test]
async fn the_same_page_again_and_again_ends_the_list_with_an_error() {
    let body = json!({"code":0,"pricebooks":[{"pricebook_id":"1"}],"page_context":{"has_more_page":true}});
    let (_server, _zoho, source) = stubborn(body).await;
    let mut next = None;
    for _ in 0..3 {
        next = page(&*source, None, next).await.expect("a page").next;
    }
    let error = page(&*source, None, next).await.expect_err("the same page");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("repeats the page before it"), "{error}");
}

#[tokio::test]
async fn a_page_of_another_number_is_an_error() {
    let body =
        json!({"code":0,"pricebooks":[{"pricebook_id":"1"}],"page_context":{"page":2,"has_more_page":true}});
    let (_server, _zoho, source) = stubborn(body).await;
    assert_eq!(page(&*source, None, None).await.expect_err("page 2").kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn a_list_that_does_not_say_whether_it_goes_on_is_an_error() {
    for context in [json!({}), json!({"has_more_page":"perhaps"}), json!([]), json!("")] {
        let (_server, _zoho, source) =
            stubborn(json!({"code":0,"pricebooks":[],"page_context":context})).await;
        assert_eq!(page(&*source, None, None).await.expect_err("unsure").kind(), ErrorKind::Protocol);
    }
}

#[tokio::test]
async fn the_page_context_may_be_an_array_and_a_row_may_be_no_object() {
    let body = json!({"code":0,"pricebooks":[7],"page_context":[{"page":1,"has_more_page":false}]});
    let (_server, _zoho, source) = stubborn(body).await;
    let page = page(&*source, None, None).await.expect("a page");
    assert!(page.next.is_none());
    assert!(source.decode(page.rows[0].payload.as_ref().expect("the row")).is_err());
}
