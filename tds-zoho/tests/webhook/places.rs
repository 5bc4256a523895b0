//! Where the record is in a body or in an address, and which module the record belongs to.

use serde_json::{Value, json};
use tds_core::{inbox::Disposition, queue::Work};
use tds_zoho::{
    entities::Catalogue,
    webhook::{Event, parse_id},
};

use crate::{
    bodies::{ORGANIZATION, event, parse, parse_as, parse_json, work},
    support::entity,
};

/// Returns every path, with a whole record of its kind without an envelope.
fn bare_records() -> Vec<(&'static str, &'static str, Value)> {
    let lines = json!([{"line_item_id": "1", "item_id": "2", "quantity": 2}]);
    // An invoice names its contact in an object that has the name of a contact's envelope, but has no id there.
    let contact = json!({"credit_limit": 0, "customer_balance": 0});
    vec![
        ("products", "item", json!({"item_id": "1", "name": "Cable", "group_id": "9", "vendor_id": "8"})),
        ("customers", "contact", json!({"contact_id": "1", "contact_name": "Tigris", "pricebook_id": "7"})),
        (
            "invoices",
            "invoice",
            json!({"invoice_id": "1", "invoice_number": "INV-1", "customer_id": "2",
            "contact": contact, "recurring_invoice_id": "", "project_id": "", "line_items": lines}),
        ),
        (
            "bills",
            "bill",
            json!({"bill_id": "1", "bill_number": "B-1", "vendor_id": "2", "purchaseorder_id": "3",
            "pricebook_id": "4", "line_items": lines}),
        ),
        (
            "credit_notes",
            "creditnote",
            json!({"creditnote_id": "1", "creditnote_number": "CN-1", "customer_id": "2",
            "line_items": lines}),
        ),
        (
            "prices",
            "pricebook",
            json!({"pricebook_id": "1", "name": "Trade", "currency_id": "5",
            "pricebook_items": [{"pricebook_item_id": "3", "item_id": "2"}]}),
        ),
        (
            "sales_orders",
            "salesorder",
            json!({"salesorder_id": "1", "salesorder_number": "SO-1", "customer_id": "2", "estimate_id": "6",
            "invoices": [{"invoice_id": "7"}], "line_items": lines}),
        ),
        (
            "customer_payments",
            "payment",
            json!({"payment_id": "1", "payment_number": "5", "customer_id": "2",
            "invoices": [{"invoice_id": "7", "amount_applied": 3}]}),
        ),
        (
            "purchase_orders",
            "purchaseorder",
            json!({"purchaseorder_id": "1", "purchaseorder_number": "PO-1", "vendor_id": "2",
            "bills": [{"bill_id": "7"}], "line_items": lines}),
        ),
        (
            "vendor_payments",
            "vendorpayment",
            json!({"payment_id": "1", "payment_number": 5, "vendor_id": "2",
            "bills": [{"bill_payment_id": "8", "bill_id": "7", "amount_applied": 3}]}),
        ),
        (
            "vendor_credits",
            "vendor_credit",
            json!({"vendor_credit_id": "1", "vendor_credit_number": "VC-1", "vendor_id": "2",
            "bills_credited": [{"bill_id": "7"}], "line_items": lines}),
        ),
    ]
}

/// Returns true if a record carries the id of a record of this path, or an id with the same key.
fn names_a_record_of(path: &str, record: &Value) -> bool {
    let key = match path {
        "purchase_orders" => "purchaseorder_id",
        "customer_payments" | "vendor_payments" => "payment_id",
        _ => return false,
    };
    record.get(key).is_some()
}

/// Returns bare records of modules that no path of this version handles.
fn unhandled() -> Vec<(&'static str, Value)> {
    vec![
        ("estimate", json!({"estimate_id": "1", "estimate_number": "E-1", "customer_id": "2"})),
        ("task", json!({"task_id": "1", "task_name": "Count"})),
        ("banktransaction", json!({"transaction_id": "1", "amount": 2})),
    ]
}

fn is_ignored(parsed: &Event, of: &str) {
    assert!(matches!(parsed.disposition, Disposition::Ignored(_)), "{of}: {parsed:?}");
    assert_eq!(parsed.entity_id.as_deref(), Some("1"), "{of}");
}

#[test]
fn a_record_of_another_module_is_ignored_on_every_path_bare_and_in_its_envelope() {
    for (path, own, _) in bare_records() {
        let others = bare_records().into_iter().map(|(_, module, record)| (module, record));
        for (module, record) in others.chain(unhandled()).filter(|(module, _)| *module != own) {
            let of = format!("{module} on {path}");
            if names_a_record_of(path, &record) {
                // The record with this id is read at most.
                let found = work(&parse_json(path, &record));
                assert!(found.iter().all(|(_, work)| work.payload.is_none()), "{of}: {found:?}");
                continue;
            }
            is_ignored(&parse_json(path, &record), &of);
            is_ignored(&parse_json(path, &json!({module: record})), &of);
            is_ignored(&parse_json(path, &json!({"data": {module: record}})), &of);
            is_ignored(&parse_json(path, &json!([{module: record}])), &of);
            is_ignored(&parse(path, format!("payload={record}").as_bytes()), &of);
        }
    }
}

#[test]
fn a_record_of_the_path_is_work_bare_and_in_its_envelope() {
    for (path, module, record) in bare_records() {
        for body in [
            record.clone(),
            json!({module: record}),
            json!({"data": {module: record}}),
            json!({"data": record}),
            json!([record]),
            json!([{module: record}]),
            json!({format!("{module}s"): [record]}),
            json!({module: [record]}),
        ] {
            let keys: Vec<String> = work(&parse_json(path, &body)).into_iter().map(|(key, _)| key).collect();
            assert_eq!(keys, [format!("{path} 1")], "{body}");
        }
    }
}

#[test]
fn a_bare_invoice_whose_contact_has_no_id_is_ignored_by_the_customers_path() {
    let body = include_bytes!("../data/bodies/bare-invoice.json");
    let parsed = parse("customers", body);
    assert!(matches!(parsed.disposition, Disposition::Ignored(_)), "{parsed:?}");
    assert_eq!((parsed.entity_id.as_deref(), parsed.has_version), (Some("460000000910010"), true));
    assert_eq!(work(&parse("invoices", body))[0].0, "invoices 460000000910010");
    assert_eq!(work(&parse("stock", body))[0].0, "stock 460000000992263");
    for path in ["products", "bills", "credit_notes", "prices"] {
        assert!(matches!(parse(path, body).disposition, Disposition::Ignored(_)), "{path}");
    }
}

#[test]
fn an_envelope_of_the_path_without_an_id_needs_an_operator() {
    for (path, module, _) in bare_records() {
        for body in [
            json!({module: {}}),
            json!({module: {"name": "x"}}),
            json!({"organization": {"organization_id": "60000000001"}, module: {}}),
        ] {
            assert!(matches!(parse_json(path, &body).disposition, Disposition::Unparsed(_)), "{path} {body}");
        }
    }
}

#[test]
fn several_records_in_one_body_are_all_work_each_once() {
    let ids = |parsed: &Event| -> Vec<String> { work(parsed).into_iter().map(|(key, _)| key).collect() };
    let list = json!({"items": [{"item_id": "1"}, {"item_id": "2"}, {"item_id": "1"}]});
    assert_eq!(ids(&parse_json("products", &list)), ["products 1", "products 2"]);
    assert_eq!(ids(&parse_json("stock", &list)), ["stock 1", "stock 2"]);
    let both = json!({"customer": {"contact_id": "1", "contact_type": "customer"},
        "vendor": {"contact_id": "2", "contact_type": "vendor"}});
    assert_eq!(ids(&parse_json("customers", &both)), ["customers 1", "vendors 2"]);
    let mixed = json!({"item": {"item_id": "1"}, "invoice": {"invoice_id": "2"}});
    assert_eq!(ids(&parse_json("products", &mixed)), ["products 1"]);
    assert_eq!(ids(&parse_json("invoices", &mixed)), ["invoices 2"]);
    let list = json!([{"item_id": "1", "last_modified_time": "2026-11-20T12:00:00+0300"}, {"item_id": "2"}]);
    assert!(!parse_json("products", &list).has_version, "one of them states none");
    let many: Vec<Value> = (0..1_001).map(|id| json!({"item_id": id.to_string()})).collect();
    let parsed = parse_json("products", &json!(many));
    assert!(matches!(&parsed.disposition, Disposition::Unparsed(why) if why.contains("1000")), "{parsed:?}");
    assert_eq!(work(&parse_json("products", &json!(many[..1_000]))).len(), 1_000);
}

#[test]
fn what_a_record_of_another_module_refers_to_is_no_work() {
    let job = json!({"job": {"job_id": "1", "line_items": [{"item_id": "5"}]}});
    is_ignored(&parse_json("products", &job), "an unknown module with lines");
    let list = json!({"pricebook_id": "1", "pricebook_items": [{"item_id": "5"}]});
    is_ignored(&parse_json("products", &list), "a price list on the products path");
    is_ignored(&parse_json("stock", &list), "a price list on the stock path");
}

/// A credit note carries the id of its invoice. Its content must not become the content of the invoice.
#[test]
fn a_body_that_looks_like_another_document_is_never_applied_as_ours() {
    let body = json!({"creditnote_id": "1", "creditnote_number": "CN-1", "invoice_id": "2", "customer_id": "3",
        "status": "open", "date": "2026-11-20", "currency_code": "IQD", "total": 1, "balance": 1,
        "line_items": [{"line_item_id": "1", "item_id": "2"}], "last_modified_time": "2026-11-20T12:00:00+0300",
        "custom_fields": []});
    let found = work(&parse_json("invoices", &body));
    assert_eq!((found[0].0.as_str(), &found[0].1.payload), ("invoices 2", &None));
}

/// An invoice carries the id and the number of its sales order, and a bill those of its purchase order.
#[test]
fn a_document_is_never_applied_as_the_order_that_it_was_made_from() {
    let whole = json!({"status": "open", "date": "2026-11-20", "currency_code": "IQD", "total": 1, "balance": 1,
        "line_items": [{"line_item_id": "1", "item_id": "2"}], "last_modified_time": "2026-11-20T12:00:00+0300"});
    for (path, ids) in [
        (
            "sales_orders",
            json!({"invoice_id": "1", "invoice_number": "INV-1", "due_date": "2026-11-20", "customer_id": "3",
            "salesorder_id": "2", "salesorder_number": "SO-2"}),
        ),
        (
            "purchase_orders",
            json!({"bill_id": "1", "bill_number": "B-1", "due_date": "2026-11-20", "vendor_id": "3",
            "purchaseorder_id": "2", "purchaseorder_number": "PO-2"}),
        ),
    ] {
        let mut body = whole.clone();
        body.as_object_mut().expect("an object").extend(ids.as_object().expect("an object").clone());
        let found = work(&parse_json(path, &body));
        assert_eq!((found[0].0.as_str(), &found[0].1.payload), (format!("{path} 2").as_str(), &None));
    }
}

/// A list of documents that is empty may not have been filled in; an empty list would erase the rows of the payment.
#[test]
fn a_pushed_payment_without_documents_is_read() {
    let payment = json!({"payment_id": "1", "payment_number": "5", "payment_mode": "cash", "date": "2026-11-20",
        "currency_code": "IQD", "amount": 3, "last_modified_time": "2026-11-20T12:00:00+0300"});
    for (path, party, rest, list, id) in [
        ("customer_payments", "customer_id", "unused_amount", "invoices", "invoice_id"),
        ("vendor_payments", "vendor_id", "balance", "bills", "bill_id"),
    ] {
        let mut payment = payment.clone();
        payment[party] = json!("2");
        payment[rest] = json!(0);
        payment[list] = json!([{id: "7", "amount_applied": 3}]);
        assert!(work(&parse_json(path, &payment))[0].1.payload.is_some(), "{payment}");
        payment[list] = json!([]);
        assert!(work(&parse_json(path, &payment))[0].1.payload.is_none(), "{payment}");
    }
}

#[test]
fn a_form_field_of_any_name_that_holds_json_is_a_body() {
    let whole = json!({"invoice_id": "7", "invoice_number": "INV-7", "status": "sent", "customer_id": "46",
        "date": "2026-11-17", "currency_code": "IQD", "total": 25000.00, "balance": 25000.00,
        "line_items": [{"line_item_id": "1", "item_id": "2", "quantity": 2, "rate": 12500.00, "item_total": 25000.00}],
        "custom_fields": [], "last_modified_time": "2026-11-17T09:17:40+0300"});
    let encoded = |json: &Value| json.to_string().replace('%', "%25").replace('&', "%26").replace('+', "%2B");
    for field in ["payload", "JSONString", "data", "invoice", "body[0]"] {
        for json in [
            whole.clone(),
            json!({"invoice": whole}),
            json!({"organization_id": "60000000001", "invoice": whole}),
        ] {
            for body in
                [format!("{field}={}", encoded(&json)), format!("event=x&{field}={}&zeta=1", encoded(&json))]
            {
                let parsed = parse("invoices", body.as_bytes());
                let found = work(&parsed);
                assert_eq!(found[0].0, "invoices 7", "{body}");
                assert!(
                    found[0].1.payload.is_some() && parsed.has_version,
                    "the whole record is applied: {body}"
                );
            }
        }
    }
    let foreign = json!({"organization_id": "60000000002", "invoice": whole});
    let parsed = parse("invoices", format!("payload={}", encoded(&foreign)).as_bytes());
    assert!(matches!(parsed.disposition, Disposition::Ignored(_)), "{parsed:?}");
}

#[test]
fn json_in_a_field_beside_the_record_s_own_pairs_changes_nothing_about_them() {
    let body = r#"invoice_id=7&status=sent&billing_address={"city":"Baghdad"}&line_items=[{"item_id":"2"}]"#;
    let found = work(&parse("invoices", body.as_bytes()));
    assert_eq!(
        (found[0].0.as_str(), &found[0].1.payload),
        ("invoices 7", &None),
        "pairs are never the whole record"
    );
}

fn query(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Returns the event for an address alone; `None` if the address names no record of a known module.
fn by_address(path: &str, pairs: &[(String, String)]) -> Option<Event> {
    let event = event(path, "deleted", ORGANIZATION, pairs, b" ");
    let is_nothing = match &event.disposition {
        Disposition::Unparsed(reason) => reason == "the body is empty",
        Disposition::Ignored(reason) => reason.starts_with("nothing handles"),
        Disposition::Work(_) => false,
    };
    (!is_nothing).then_some(event)
}

#[test]
fn an_id_in_the_address_is_read() {
    for (path, key) in [
        ("products", "item_id"),
        ("customers", "contact_id"),
        ("customers", "customer_id"),
        ("customers", "vendor_id"),
        ("invoices", "invoice_id"),
        ("bills", "bill_id"),
        ("credit_notes", "creditnote_id"),
        ("stock", "item_id"),
        ("prices", "pricebook_id"),
        ("sales_orders", "salesorder_id"),
        ("customer_payments", "payment_id"),
        ("purchase_orders", "purchaseorder_id"),
        ("vendor_payments", "payment_id"),
        ("vendor_credits", "vendor_credit_id"),
    ] {
        let parsed = by_address(path, &query(&[("event", "deleted"), (key, "46")])).expect("a record");
        assert_eq!(work(&parsed), [(format!("{path} 46"), Work::fetch())]);
        assert_eq!((parsed.entity_id.as_deref(), parsed.has_version), (Some("46"), false));
        let again =
            Event { disposition: parse_id(&Catalogue::default(), &entity(path), "46"), ..parsed.clone() };
        assert_eq!(work(&again), work(&parsed), "and again by its id");
    }
}

/// Zoho joins pairs before it signs them, so the signatures of `?a=bc` and `?ab=c` are equal. Only exact names count.
#[test]
fn only_the_exact_key_of_a_module_names_a_record() {
    for pairs in [
        &[("invoice_i", "d46")][..],
        &[("Invoice_id", "46")],
        &[("invoice_id ", "46")],
        &[("id", "46")],
        &[("invoice_id", "")],
        &[("invoice_id", "4 6")],
        &[("invoice_id", "../46")],
        &[("organization_id", "46")],
        &[("payload", "{\"invoice_id\":\"46\"}")],
        &[],
    ] {
        assert!(by_address("invoices", &query(pairs)).is_none(), "{pairs:?}");
    }
    let other = by_address("invoices", &query(&[("bill_id", "46")])).expect("known");
    assert!(matches!(other.disposition, Disposition::Ignored(_)) && other.entity_id.is_none(), "{other:?}");
    assert!(by_address("orders", &query(&[("salesorder_id", "46")])).is_none());
}

#[test]
fn whatever_comes_to_a_path_that_nothing_handles_is_ignored() {
    for body in ["", "{}", "no record", "{\"user\":{\"user_id\":\"1\"}}"] {
        let parsed = parse_as("users", "updated", body.as_bytes());
        assert!(matches!(parsed.disposition, Disposition::Ignored(_)), "{body:?}: {parsed:?}");
    }
}
