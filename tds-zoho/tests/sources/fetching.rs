use serde_json::json;
use tds_core::{
    error::{ErrorKind, Result},
    queue::Lane,
    record::{Content, Observed, Read, Record, RecordId, Shape},
};
use tds_zoho::testkit::{FakeZoho, Fault, Module};

use crate::support::{entity, id, offline, online, source};

fn ids(all: &[String]) -> Vec<RecordId> {
    all.iter().map(|text| id(text)).collect()
}

fn record(read: &Result<Read>) -> &Record {
    match read.as_ref().map(|read| &read.content) {
        Ok(Content::Present(record)) => record,
        other => panic!("no record: {other:?}"),
    }
}

#[tokio::test]
async fn whole_records_come_in_the_order_asked_with_what_lists_lack() {
    let zoho = FakeZoho::start().await;
    for module in [
        Module::ITEMS,
        Module::CONTACTS,
        Module::BILLS,
        Module::INVOICES,
        Module::CREDIT_NOTES,
        Module::PRICE_LISTS,
        Module::SALES_ORDERS,
        Module::CUSTOMER_PAYMENTS,
        Module::PURCHASE_ORDERS,
        Module::VENDOR_PAYMENTS,
        Module::VENDOR_CREDITS,
    ] {
        zoho.generate(module, 3);
    }
    let client = online(&zoho);
    for (name, module, column) in [
        ("products", Module::ITEMS, "custom_fields"),
        ("invoices", Module::INVOICES, "sub_total"),
        ("bills", Module::BILLS, "sub_total"),
        ("credit_notes", Module::CREDIT_NOTES, "sub_total"),
        ("prices", Module::PRICE_LISTS, "name"),
        ("sales_orders", Module::SALES_ORDERS, "exchange_rate"),
        ("customer_payments", Module::CUSTOMER_PAYMENTS, "bank_charges"),
        ("purchase_orders", Module::PURCHASE_ORDERS, "sub_total"),
        ("vendor_payments", Module::VENDOR_PAYMENTS, "location_zoho_id"),
        ("vendor_credits", Module::VENDOR_CREDITS, "sub_total"),
    ] {
        let mut asked = zoho.ids(module);
        asked.reverse();
        let reads = source(&client, name).fetch(&ids(&asked), Lane::Full).await;
        let got: Vec<&str> = reads.iter().map(|read| record(read).id.as_str()).collect();
        assert_eq!(got, asked, "{name}");
        for read in reads {
            let read = read.expect("read");
            assert_eq!((read.shape, &read.key.entity), (Shape::Detail, &entity(name)));
            let Observed::Call(seen) = read.observed else { panic!("a call") };
            assert!(seen.began <= seen.ended);
            let Content::Present(record) = read.content else { panic!("present") };
            assert!(record.fields.contains_key(column), "{name}");
            assert!(record.children.values().all(|rows| !rows.is_empty()), "{name}");
        }
    }
}

#[tokio::test]
async fn a_hundred_items_are_read_with_one_call() {
    let zoho = FakeZoho::start().await;
    let asked = zoho.generate(Module::ITEMS, 250);
    let client = online(&zoho);
    for name in ["products", "stock"] {
        assert_eq!(source(&client, name).profile().fetch_batch, 100);
        let reads = source(&client, name).fetch(&ids(&asked), Lane::Full).await;
        assert_eq!(reads.iter().map(|read| record(read).id.as_str()).collect::<Vec<_>>(), asked);
    }
    assert_eq!((zoho.calls_to("/itemdetails"), zoho.calls_to("/items/")), (6, 0));
}

#[tokio::test]
async fn a_record_that_does_not_exist_is_absent_and_no_error() {
    let zoho = FakeZoho::start().await;
    let known = zoho.put_item(json!({"name":"Cable","stock_on_hand":1}));
    let client = online(&zoho);
    for name in ["products", "stock"] {
        let reads = source(&client, name).fetch(&[id("404"), id(&known)], Lane::Webhook).await;
        let gone = reads[0].as_ref().expect("an answer");
        assert_eq!((&gone.content, gone.key.id.as_str()), (&Content::Absent, "404"));
        assert_eq!(record(&reads[1]).id.as_str(), known);
    }
    assert_eq!(zoho.calls_to("/items/404"), 2, "what one call leaves out is asked for by itself");
    for name in ["customers", "vendors", "invoices", "bills", "credit_notes", "prices"] {
        let reads = source(&client, name).fetch(&[id("404")], Lane::Webhook).await;
        assert_eq!(reads[0].as_ref().expect("an answer").content, Content::Absent, "{name}");
    }
}

#[tokio::test]
async fn a_refused_number_of_ids_is_halved() {
    let zoho = FakeZoho::start().await;
    let asked = zoho.generate(Module::ITEMS, 100);
    zoho.set_max_item_ids(30);
    let reads = source(&online(&zoho), "products").fetch(&ids(&asked), Lane::Full).await;
    assert_eq!(reads.iter().map(|read| record(read).id.as_str()).collect::<Vec<_>>(), asked);
    assert_eq!(zoho.calls_to("/itemdetails"), 7, "100, then 50 and 50, then 25 four times");
    assert_eq!(zoho.calls_to("/items/"), 0);
}

#[tokio::test]
async fn where_many_items_cannot_be_read_at_once_single_calls_do() {
    let zoho = FakeZoho::start().await;
    let asked = zoho.generate(Module::ITEMS, 3);
    zoho.faults().every("/itemdetails", 1, Fault::Status(400, 2, "Invalid value passed for item_ids".into()));
    let reads = source(&online(&zoho), "products").fetch(&ids(&asked), Lane::Full).await;
    assert_eq!(reads.iter().map(|read| record(read).id.as_str()).collect::<Vec<_>>(), asked);
}

#[tokio::test]
async fn a_limit_is_not_halved() {
    let zoho = FakeZoho::start().await;
    let asked = zoho.generate(Module::ITEMS, 100);
    let quota = Fault::Status(429, 45, "The API call for this organization has exceeded the limit".into());
    zoho.faults().every("/itemdetails", 1, quota);
    let reads = source(&online(&zoho), "products").fetch(&ids(&asked), Lane::Full).await;
    assert!(
        reads.iter().all(|read| read.as_ref().is_err_and(|error| error.kind() == ErrorKind::QuotaExhausted))
    );
    assert_eq!(zoho.calls_to("/itemdetails"), 1);
    assert_eq!(zoho.calls_to("/items/"), 0);
}

/// A production incident: 1,300 single calls spent the budget of a day.
#[tokio::test]
async fn an_answer_that_leaves_out_items_that_exist_is_not_completed_by_single_calls() {
    let zoho = FakeZoho::start().await;
    let asked = zoho.generate(Module::ITEMS, 100);
    zoho.faults().every("/itemdetails", 1, Fault::EmptyPageWithMore);
    let reads = source(&online(&zoho), "stock").fetch(&ids(&asked), Lane::Full).await;
    assert_eq!(reads.iter().filter(|read| read.is_ok()).count(), 5);
    assert_eq!(zoho.calls_to("/items/"), 5);
    let protocol =
        |read: &Result<Read>| read.as_ref().is_err_and(|error| error.kind() == ErrorKind::Protocol);
    assert_eq!(reads.iter().filter(|read| protocol(read)).count(), 95);
}

#[tokio::test]
async fn a_bad_item_fails_alone() {
    let zoho = FakeZoho::start().await;
    let asked = zoho.generate(Module::ITEMS, 3);
    zoho.update(Module::ITEMS, &asked[1], json!({"rate":"cheap"}));
    let reads = source(&online(&zoho), "products").fetch(&ids(&asked), Lane::Full).await;
    assert_eq!(reads.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(reads[1].as_ref().expect_err("no number").kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn an_id_that_would_change_the_address_is_never_sent() {
    let client = offline();
    for bad in ["..", "../organizations", "1?x=1", "1,2", "", "unreadable:0123456789ab", "1/2", "é"] {
        for name in ["products", "invoices"] {
            let reads = source(&client, name).fetch(&[id(bad)], Lane::Webhook).await;
            assert_eq!(reads[0].as_ref().expect_err(bad).kind(), ErrorKind::Invalid);
        }
    }
}

#[tokio::test]
async fn an_id_asked_for_twice_is_answered_twice() {
    let zoho = FakeZoho::start().await;
    let item = id(&zoho.generate(Module::ITEMS, 1)[0]);
    let reads = source(&online(&zoho), "products").fetch(&[item.clone(), item], Lane::Webhook).await;
    assert_eq!(record(&reads[0]).id, record(&reads[1]).id);
}

#[tokio::test]
async fn a_detail_in_an_unknown_envelope_is_an_error() {
    let zoho = FakeZoho::start().await;
    let invoice = zoho.generate(Module::INVOICES, 1);
    zoho.faults().next("/invoices/", 1, Fault::WrongEnvelope);
    let reads = source(&online(&zoho), "invoices").fetch(&ids(&invoice), Lane::Full).await;
    assert_eq!(reads[0].as_ref().expect_err("no invoice").kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn a_vendor_asked_for_as_a_customer_is_a_vendor() {
    let zoho = FakeZoho::start().await;
    let contact = zoho.put_contact(json!({"contact_name":"Acme","contact_type":"vendor"}));
    let reads = source(&online(&zoho), "customers").fetch(&[id(&contact)], Lane::Webhook).await;
    assert_eq!(record(&reads[0]).entity, entity("vendors"));
}
