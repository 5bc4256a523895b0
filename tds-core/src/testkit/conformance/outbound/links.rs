//! The connection of local records with the source.

use super::*;

pub async fn a_create_is_in_doubt_until_it_is_linked_or_refused(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    let in_doubt = async || {
        let entry = out.entries().await.pop().expect("an entry");
        assert_eq!(out.loaded(&PRODUCT_SCHEMA, local_id).await.link.in_doubt_since.is_some(), entry.in_doubt);
        entry.in_doubt
    };
    assert!(!in_doubt().await);
    out.outbox().sending(&push, &creation(&push)).await.expect("noted");
    assert!(in_doubt().await);
    out.outbox().not_created(&push).await.expect("noted");
    assert!(!in_doubt().await);
    out.outbox().sending(&push, &creation(&push)).await.expect("noted");
    out.outbox().sending(&push, &creation(&push)).await.expect("a repetition changes nothing");
    assert!(in_doubt().await);
    out.outbox().linked(&push, &RecordId::new("77")).await.expect("linked");
    assert!(!in_doubt().await);
}

pub async fn a_linked_record_is_the_record_of_the_source(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    out.outbox().sending(&push, &creation(&push)).await.expect("noted");
    out.outbox().linked(&push, &RecordId::new("1")).await.expect("linked");
    assert_eq!(harness.column("products", "1", "name").await.as_deref(), Some("lamp"));
    assert_eq!(harness.local_id(&PRODUCT_SCHEMA, "1").await, Some(local_id));
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    assert_eq!(push.link.remote_id, Some(RecordId::new("1")));
    out.settle(&push, &Settlement::new(Settled::Pushed)).await;
    // The answer is written to the same row.
    let answer = answered(named("lamp", 1).fields(json!({"sku": "L-1"})).read(at(10), at(11)));
    applied(harness, &PRODUCT_SCHEMA, answer).await;
    assert_eq!(harness.local_column(&PRODUCT_SCHEMA, local_id, "sku").await.as_deref(), Some("L-1"));
}

pub async fn the_lines_of_a_linked_document_belong_to_it(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let invoice = out.insert(&INVOICE_SCHEMA, json!({"number": "INV-1"})).await;
    out.write_lines(invoice, vec![json!({"position": 1, "name": "lamp"})]).await;
    let push = out.loaded(&INVOICE_SCHEMA, invoice).await;
    out.outbox().sending(&push, &creation(&push)).await.expect("noted");
    out.outbox().linked(&push, &RecordId::new("1")).await.expect("linked");
    out.settle(&push, &Settlement::new(Settled::Pushed)).await;
    let line = || json!({"line_zoho_id": "11", "position": 1, "name": "lamp"});
    let answer = RecordBuilder::new(&INVOICES, "1")
        .version(at(1))
        .fields(json!({"number": "INV-1"}))
        .children("invoice_lines", [line()]);
    applied(harness, &INVOICE_SCHEMA, answered(answer.read(at(10), at(11)))).await;
    assert_eq!(harness.local_child_column(&INVOICE_SCHEMA, invoice, "line_zoho_id").await, ["11"]);
    assert_eq!(harness.child_column("invoice_lines", "document_zoho_id", "1", "name").await, ["lamp"]);
}

pub async fn a_local_record_never_gets_another_id(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    for _ in 0..2 {
        out.outbox().linked(&push, &RecordId::new("1")).await.expect("linked");
    }
    assert_eq!(kind(out.outbox().linked(&push, &RecordId::new("2")).await), ErrorKind::Conflict);
    assert_eq!(out.loaded(&PRODUCT_SCHEMA, local_id).await.link.remote_id, Some(RecordId::new("1")));
}

pub async fn a_row_that_the_mirror_got_meanwhile_gives_way_to_the_local_row(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.insert(&CUSTOMER_SCHEMA, json!({"name": "ours"})).await;
    let push = out.loaded(&CUSTOMER_SCHEMA, local_id).await;
    // The webhook of the create was handled before its answer, and somebody refers to the new row.
    let read = RecordBuilder::new(&CUSTOMERS, "1").version(at(1)).fields(json!({"name": "as created"}));
    applied(harness, &CUSTOMER_SCHEMA, read.read(at(10), at(11))).await;
    let other = harness.local_id(&CUSTOMER_SCHEMA, "1").await.expect("a row");
    assert_ne!(other, local_id);
    let invoice = out.insert(&INVOICE_SCHEMA, json!({"number": "INV-1", "customer_id": other})).await;
    out.outbox().sending(&push, &creation(&push)).await.expect("noted");
    out.outbox().linked(&push, &RecordId::new("1")).await.expect("linked");
    assert_eq!(harness.local_id(&CUSTOMER_SCHEMA, "1").await, Some(local_id));
    assert_eq!(harness.local_column(&CUSTOMER_SCHEMA, local_id, "name").await.as_deref(), Some("ours"));
    assert_eq!(harness.local_column(&CUSTOMER_SCHEMA, other, "name").await, None, "the other row is gone");
    let record = out.loaded(&INVOICE_SCHEMA, invoice).await.record.expect("the row");
    assert_eq!(record.value("customer_zoho_id"), Some(&json!("1")));
    assert_eq!(record.value("customer_id"), Some(&json!(local_id)), "references follow");
    let push = out.loaded(&CUSTOMER_SCHEMA, local_id).await;
    assert_eq!(push.base, None, "until the push of the create has ended, both sides have nothing in common");
    out.settle(&push, &Settlement::new(Settled::Pushed)).await;
    out.update(&CUSTOMER_SCHEMA, local_id, json!({"name": "renamed"})).await;
    let push = out.loaded(&CUSTOMER_SCHEMA, local_id).await;
    let body: Value = push.base.expect("a base").0.parse().expect("JSON");
    assert_eq!(body["fields"]["name"], "as created", "then the source's record is the base");
}

pub async fn unknown_records_are_put_off_while_a_create_is_in_doubt(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let read = |id: &str, version: i64| {
        let record = RecordBuilder::new(&PRODUCTS, id).version(at(version));
        record.fields(json!({"name": version.to_string()})).read(at(version * 10), at(version * 10 + 1))
    };
    applied(harness, &PRODUCT_SCHEMA, read("1", 1)).await;
    let local_id = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    let push = out.loaded(&PRODUCT_SCHEMA, local_id).await;
    out.outbox().sending(&push, &creation(&push)).await.expect("noted");
    assert_eq!(kind(apply(harness, &PRODUCT_SCHEMA, read("2", 1)).await), ErrorKind::Locked);
    assert_eq!(harness.local_id(&PRODUCT_SCHEMA, "2").await, None);
    applied(harness, &PRODUCT_SCHEMA, read("1", 2)).await;
    let customer = RecordBuilder::new(&CUSTOMERS, "2").version(at(1)).fields(json!({"name": "Graz"}));
    applied(harness, &CUSTOMER_SCHEMA, customer.read(at(10), at(11))).await;
    out.outbox().linked(&push, &RecordId::new("3")).await.expect("linked");
    applied(harness, &PRODUCT_SCHEMA, read("2", 1)).await;
    assert!(harness.local_id(&PRODUCT_SCHEMA, "2").await.is_some());
}
