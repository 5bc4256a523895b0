//! What the writer makes of answers, and what its calls cost.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tds_core::{
    clock::SystemClock,
    error::{ErrorKind, Retry},
    outbound::{LocalRecord, Writable, WriteError},
    queue::Lane,
    record::{Content, Observed, Shape},
};
use tds_zoho::{
    ZohoClient,
    testkit::{Fault, Module},
    write::contracts,
};

use crate::{
    local::{Ids, local},
    support::Caller,
    writer::{config, refusal, writer},
    writes_in_doubt::shop,
};

fn names(columns: &[&str]) -> BTreeSet<String> {
    columns.iter().map(|column| (*column).to_owned()).collect()
}

/// Returns the error of a call whose outcome is open.
fn doubt<T: std::fmt::Debug>(result: Result<T, WriteError>) -> tds_core::error::Error {
    match result.expect_err("a doubt") {
        WriteError::InDoubt(error) => error,
        other => panic!("no doubt: {other:?}"),
    }
}

async fn created(caller: &Caller, entity: &str, record: LocalRecord, status: &str) -> LocalRecord {
    let written = caller.writer(entity).create(&record).await;
    let written = written.unwrap_or_else(|error| panic!("{entity}: {error}"));
    record.at_source(written.id, Some(status))
}

#[tokio::test]
async fn an_invalid_record_costs_no_call() {
    let caller = Caller::new().await;
    let requests = caller.fake.token_requests();
    for contract in contracts() {
        let entity = contract.entity.as_str();
        let writer = caller.writer(entity);
        let mut record = local(entity, 1, &Ids::default());
        let column = contract.fields.iter().find(|field| field.required).expect("a required column").column;
        record.fields.insert(column.to_owned(), Value::Null);
        let expected = format!("{column} ");
        for error in [refusal(writer.create(&record).await), refusal(writer.check(&record, None))] {
            assert!(error.contains(&expected), "{entity}: {error}");
        }
        let known = record.at_source("460000000099001", None);
        let changed = names(&["raw"]);
        assert!(refusal(writer.update(&known, &changed).await).contains("raw cannot be written"));
        assert!(refusal(writer.check(&known, Some(&changed))).contains("raw cannot be written"));
    }
    assert!(
        refusal(
            caller
                .writer("stock")
                .remove(
                    &LocalRecord::new("k", Value::Null.as_object().cloned().unwrap_or_default())
                        .at_source("1", None)
                )
                .await
        )
        .contains("opposite")
    );
    let mut order = local("sales_orders", 1, &Ids::default());
    order.fields.extend([("customer_zoho_id".to_owned(), Value::Null), ("customer_id".to_owned(), json!(7))]);
    let waits = caller.writer("sales_orders").create(&order).await.expect_err("a wait");
    assert_eq!(waits.to_string(), "waits for customers 7");
    assert_eq!((caller.fake.calls(), caller.fake.token_requests()), (0, requests));
}

#[tokio::test]
async fn calls_count_for_the_lane_and_the_entity_type_and_their_answers_are_reads() {
    let (caller, ids) = shop().await;
    let mut order = created(&caller, "sales_orders", local("sales_orders", 1, &ids), "open").await;
    order.fields.insert("notes".to_owned(), json!("by noon"));
    let orders = caller.writer("sales_orders");
    let written = orders.update(&order, &names(&["notes"])).await.expect("a change");
    let read = written.read.expect("the whole record");
    assert_eq!((&read.key.id, read.shape, &read.cause), (&written.id, Shape::Detail, &None));
    assert!(matches!(read.observed, Observed::Call(interval) if interval.began <= interval.ended));
    let Content::Present(record) = &read.content else { panic!("{read:?}") };
    assert_eq!((&record.fields["notes"], record.children["sales_order_lines"].len()), (&json!("by noon"), 2));
    assert!(record.version.is_some());
    // The answer to an action has no record, and the record of another product is not the whole record.
    order.fields.insert("status".to_owned(), json!("void"));
    assert_eq!(orders.update(&order, &names(&["notes", "status"])).await.expect("a change").read, None);
    let mut plain = local("products", 2, &ids);
    plain.fields.retain(|column, _| !matches!(column.as_str(), "unit" | "upc" | "ean"));
    assert_eq!(caller.writer("products").create(&plain).await.expect("a product").read, None);
    let product = caller.writer("products").create(&local("products", 3, &ids)).await;
    assert!(product.expect("a product").read.is_some(), "the last call was made to the product that is read");

    caller.client.close().await;
    let calls = caller.client.usage().await.expect("statistics").calls;
    let known =
        |call: &tds_core::limits::budget::CallCount| call.entity.is_some() && call.lane == Lane::Outbound;
    assert!(calls.iter().all(known), "{calls:?}");
    assert_eq!(calls.iter().map(|call| u64::from(call.calls)).sum::<u64>(), caller.fake.calls());
    let endpoints: BTreeSet<&str> = calls.iter().map(|call| call.endpoint.as_str()).collect();
    for endpoint in [
        "books PUT /salesorders",
        "books PUT /salesorders/{id}",
        "books PUT /salesorders/{id}/address/billing",
        "books POST /salesorders/{id}/status/open",
        "inventory PUT /items/{id}",
    ] {
        assert!(endpoints.contains(endpoint), "{endpoint}: {endpoints:?}");
    }
}

#[tokio::test]
async fn only_what_certainly_had_no_effect_is_sent_again() {
    let (caller, ids) = shop().await;
    let invoices = caller.writer("invoices");
    drop(invoices.create(&local("invoices", 1, &ids)).await.expect("an invoice"));
    let (mints, sent) = (caller.fake.mints(), caller.fake.calls_to("/invoices"));
    caller.fake.expire_tokens();
    drop(invoices.create(&local("invoices", 2, &ids)).await.expect("a new token"));
    assert_eq!(caller.fake.mints() - mints, 1);
    // The create twice, two addresses and the status.
    assert_eq!(caller.fake.calls_to("/invoices") - sent, 5);
    assert_eq!(caller.fake.count(Module::INVOICES), 2);

    // A token that may not write.
    let mints = caller.fake.mints();
    caller.fake.faults().next_writes("/contacts", 9, Fault::not_authorized(Some(57)));
    for n in 3..6 {
        let refused = caller.writer("customers").create(&local("customers", n, &ids)).await;
        let Err(WriteError::Refused(error)) = refused else { panic!("{refused:?}") };
        assert!(matches!(error.retry(), Retry::AuthPaused { .. }), "{error:?}");
        assert!(error.to_string().contains("ZohoBooks.contacts.UPDATE"), "{error}");
    }
    assert_eq!(caller.fake.mints() - mints, 1, "another token does not help");
    caller.fake.faults().clear();

    // The answer comes too late, and no connection at all.
    let with = |change: &dyn Fn(&mut tds_zoho::ZohoConfig)| {
        let mut config = config(&caller.fake);
        change(&mut config);
        writer(&ZohoClient::new(config, Arc::new(SystemClock)).expect("a client"), "invoices")
    };
    let hasty = with(&|config| config.request_timeout = Duration::from_millis(250));
    caller.fake.faults().next_writes("/invoices", 1, Fault::answered_late(Duration::from_secs(2)));
    let before = caller.fake.count(Module::INVOICES);
    doubt(hasty.create(&local("invoices", 7, &ids)).await);
    assert_eq!(caller.fake.count(Module::INVOICES) - before, 1);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", closed.local_addr().expect("an address"));
    drop(closed);
    let unheard = with(&|config| config.api_url = Some(address.clone()));
    let Err(WriteError::Refused(error)) = unheard.create(&local("invoices", 8, &ids)).await else {
        panic!("a refusal");
    };
    assert!(error.kind() == ErrorKind::Unavailable && error.retry() != Retry::Permanent, "{error:?}");
}

#[tokio::test]
async fn refusals_say_what_to_do_and_what_is_gone() {
    let (caller, ids) = shop().await;
    let customers = caller.writer("customers");
    let customer = created(&caller, "customers", local("customers", 2, &ids), "active").await;
    let mut same = local("customers", 3, &ids);
    same.fields.insert("name".to_owned(), customer.fields["name"].clone());
    let text = refusal(customers.create(&same).await);
    assert!(
        text.starts_with("customer: Zoho answered HTTP 400") && text.ends_with("change one of the two"),
        "{text}"
    );

    let lists = caller.writer("prices");
    let list = created(&caller, "prices", local("prices", 3, &ids), "active").await;
    let mut same = local("prices", 4, &ids);
    same.fields.extend([
        ("name".to_owned(), list.fields["name"].clone()),
        ("description".to_owned(), json!("of somebody else")),
    ]);
    let text = refusal(lists.create(&same).await);
    assert!(text.contains("another price list in Zoho has the same name"), "{text}");
    let id = list.remote_id.clone().expect("an id");
    let stored = |id: &str| caller.fake.get(Module::PRICE_LISTS, id).expect("a list");
    assert_eq!(stored(id.as_str())["description"], "for shops");
    // What an earlier create made is found under the name that it sent, and stays as it is.
    let mut changed = list.clone();
    changed.fields.extend([
        ("name".to_owned(), json!("Retail (new)")),
        ("description".to_owned(), json!("for all shops")),
    ]);
    let before = caller.fake.count(Module::PRICE_LISTS);
    let sent = [changed.clone(), list.clone()];
    assert_eq!(lists.find(&sent).await.expect("a search"), Some(id.clone()));
    assert_eq!(stored(id.as_str())["description"], "for shops");
    assert_eq!(caller.fake.count(Module::PRICE_LISTS), before);

    let mut lost = local("invoices", 5, &ids);
    lost.fields.insert("customer_zoho_id".to_owned(), json!("460000000099999"));
    let error = caller.writer("invoices").create(&lost).await.expect_err("a refusal");
    assert!(matches!(&error, WriteError::Refused(error) if error.kind() == ErrorKind::Invalid), "{error:?}");
    assert!(error.to_string().contains("refers to a record that Zoho does not have"), "{error}");
    let mut invoice = created(&caller, "invoices", local("invoices", 6, &ids), "sent").await;
    invoice.fields.insert("customer_zoho_id".to_owned(), json!("460000000099999"));
    let invoices = caller.writer("invoices");
    let error = invoices.update(&invoice, &names(&["notes"])).await.expect_err("a refusal");
    assert!(matches!(&error, WriteError::Refused(error) if error.kind() == ErrorKind::Invalid), "{error:?}");
    let gone = local("invoices", 9, &ids).at_source("460000000099998", Some("sent"));
    let error = invoices.update(&gone, &names(&["notes"])).await.expect_err("a refusal");
    assert!(matches!(&error, WriteError::Refused(error) if error.kind() == ErrorKind::NotFound), "{error:?}");
    let others = tds_zoho::write::writers(&caller.client, "cf_other");
    let others = others.iter().find(|writer| writer.schema().entity.as_str() == "invoices");
    let text = refusal(others.expect("a writer").create(&local("invoices", 7, &ids)).await);
    assert!(text.contains("needs the custom field cf_other"), "{text}");
}

#[tokio::test]
async fn what_is_half_done_is_neither_done_nor_refused() {
    let (caller, ids) = shop().await;
    let orders = caller.writer("sales_orders");
    let refuse = || Fault::Status(400, 4_711, "No.".to_owned());
    for (n, fault) in (1..).zip([refuse(), Fault::Html(502), Fault::answer_lost()]) {
        caller.fake.faults().next_writes("/salesorders/", 1, fault.clone());
        let record = local("sales_orders", n, &ids);
        let error = orders.create(&record).await.expect_err("half a create");
        let WriteError::Partly { id, .. } = error else { panic!("{fault:?}: {error:?}") };
        assert!(caller.fake.get(Module::SALES_ORDERS, id.as_str()).is_some());
    }
    let mut order = created(&caller, "sales_orders", local("sales_orders", 9, &ids), "open").await;
    order.fields.insert("status".to_owned(), json!("void"));
    let changed = names(&["notes", "status"]);
    caller.fake.faults().next_writes("/books/v3/salesorders/*/status/void", 1, refuse());
    let error = doubt(orders.update(&order, &changed).await);
    assert_eq!(error.retry(), Retry::Permanent, "{error}");
    // An answer that shows another record is no success.
    let id = order.remote_id.clone().expect("an id");
    let other = Fault::Rewritten(id.as_str().to_owned(), b"460000000000001".to_vec());
    caller.fake.faults().next_writes("/salesorders", 1, other);
    doubt(orders.update(&order, &names(&["notes"])).await);
    let other = Fault::Rewritten(order.key.clone(), b"another key".to_vec());
    caller.fake.faults().next_writes("/salesorders", 1, other);
    doubt(orders.find(std::slice::from_ref(&order)).await);
    // A removal whose answer got lost is found done.
    caller.fake.faults().next_writes("/salesorders", 1, Fault::answer_lost());
    doubt(orders.remove(&order).await);
    assert_eq!(orders.remove(&order).await.expect("a removal"), tds_core::outbound::Removed::Gone);
    assert_eq!(orders.find(std::slice::from_ref(&order)).await.expect("a search"), None);
}

#[tokio::test]
async fn columns_say_whether_they_are_written() {
    let caller = Caller::new().await;
    let says = |entity: &str, column: &str, exists: bool| match caller.writer(entity).writable(column, exists)
    {
        Writable::Yes => "yes".to_owned(),
        Writable::No(reason) => reason,
    };
    for (entity, column, exists, expected) in [
        ("invoices", "customer_id", true, "yes"),
        ("invoices", "customer_zoho_id", true, "yes"),
        ("invoices", "currency_code", true, "yes"),
        ("invoices", "status", true, "yes"),
        ("invoices", "billing_address", true, "yes"),
        ("invoices", "invoice_lines", true, "yes"),
        ("invoices", "invoice_lines.rate", true, "yes"),
        ("invoices", "invoice_lines.product_id", true, "yes"),
        ("invoices", "invoice_lines.total", true, "Zoho states it"),
        ("invoices", "invoice_lines.colour", true, "not a column"),
        ("invoices", "bill_lines.rate", true, "not a table"),
        ("invoices", "balance", true, "enter a payment"),
        ("invoices", "zoho_id", true, "TDS itself keeps it"),
        ("customers", "email", true, "yes"),
        ("products", "item_type", false, "yes"),
        ("products", "item_type", true, "cannot change"),
        ("stock", "stock_adjustment_lines.quantity_adjusted", false, "yes"),
        ("stock", "reason", false, "yes"),
        ("stock", "reason", true, "created once"),
        ("stock", "reference_number", false, "TDS writes its own key"),
    ] {
        let said = says(entity, column, exists);
        assert!(said.contains(expected), "{entity}.{column}: {said}");
    }
    let stock = caller.writer("stock");
    assert!(!stock.is_mirrored() && caller.writer("invoices").is_mirrored());
    let schema = stock.schema();
    assert_eq!(
        (schema.head, schema.children[0].table),
        (Some("stock_adjustments"), "stock_adjustment_lines")
    );
    assert_eq!(tds_zoho::write::writers(&caller.client, "cf_tds_id").len(), 12);
}
