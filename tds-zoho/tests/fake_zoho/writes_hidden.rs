//! Hidden columns: no call carries a hash, and none loses what is hidden. Zoho replaces persons and lines as a whole.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use tds_core::{
    outbound::{LocalRecord, RemoteWriter, Writable},
    queue::Lane,
    record::{Content, Record, RecordId},
};
use tds_zoho::{
    TokenKey,
    entities::{Catalogue, HashKey},
    testkit::{
        Module,
        sample::{self, ContactKind},
    },
    write::contracts,
};

use crate::{
    local::{Ids, UNIQUE, local},
    support::Caller,
    writer::refusal,
};

/// What a hash of a hidden value begins with.
const HASH: &str = "hmac-sha256:";

fn hiding(rules: &str) -> Catalogue {
    let rules: Vec<_> = rules.split(',').map(|rule| rule.parse().expect("a rule")).collect();
    let key = TokenKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").expect("a key");
    Catalogue::default().hide(&rules, HashKey::derived(&key)).expect("columns that can be hidden")
}

impl Caller {
    fn hiding_writer(&self, rules: &str, entity: &str) -> Arc<dyn RemoteWriter> {
        let writers = hiding(rules).writers(&self.client, UNIQUE);
        let of_entity = |writer: &Arc<dyn RemoteWriter>| writer.schema().entity.as_str() == entity;
        writers.into_iter().find(of_entity).expect("an entity type that is written")
    }
}

fn names(columns: &[&str]) -> BTreeSet<String> {
    columns.iter().map(|column| (*column).to_owned()).collect()
}

#[tokio::test]
async fn what_goes_to_zoho_together_with_a_hidden_part_is_not_written() {
    let caller = Caller::new().await;
    // The rules, the entity type, what a read shows cut, what is not written, and what still is.
    type Names = &'static [&'static str];
    let cases: [(&str, &str, Names, Names, Names); 15] = [
        (
            "customers.phone,customers.email=hash",
            "customers",
            &[],
            &["mobile", "first_name", "email", "phone", "contact_persons", "billing_address"],
            &["notes", "name", "custom_fields", "status"],
        ),
        ("vendors.email=hash", "vendors", &[], &["last_name", "contact_persons"], &["notes"]),
        ("customers.first_name", "customers", &[], &["mobile", "contact_persons"], &["billing_address"]),
        ("customers.contact_persons", "customers", &[], &["mobile"], &["billing_address"]),
        ("customers.name=hash", "customers", &[], &["name"], &["notes", "mobile", "billing_address"]),
        ("customers.cf_note=hash", "customers", &[], &["custom_fields"], &["notes"]),
        (
            "invoice_lines.description",
            "invoices",
            &[],
            &["terms", "customer_id", "invoice_lines", "invoice_lines.quantity"],
            &["status", "billing_address"],
        ),
        ("credit_note_lines.name", "credit_notes", &[], &["notes", "credit_note_lines"], &["status"]),
        ("purchase_order_lines.unit", "purchase_orders", &[], &["notes"], &["status"]),
        ("sales_order_lines.description", "sales_orders", &[], &["sales_order_lines"], &["notes"]),
        ("bill_lines.name", "bills", &[], &["bill_lines"], &["notes"]),
        ("customer_payment_allocations.document_number", "customer_payments", &[], &["description"], &[]),
        ("price_lists.pricing_scheme", "prices", &[], &["price_list_items", "pricing_scheme"], &["name"]),
        ("customers.phone", "invoices", &["invoice_lines"], &["terms", "invoice_lines"], &["status"]),
        ("products.sku", "customers", &["contact_persons"], &["mobile"], &["notes"]),
    ];
    for (rules, entity, cut, withheld, written) in cases {
        let writer = caller.hiding_writer(rules, entity);
        let cut = names(cut);
        for column in withheld {
            assert!(writer.hides(column, &cut), "{rules}: {column}");
            let is_static = cut.is_empty() && !column.ends_with("_id");
            assert!(!is_static || writer.writable(column, true) != Writable::Yes, "{rules}: {column}");
        }
        for column in written {
            assert!(!writer.hides(column, &cut), "{rules}: {column}");
            assert_eq!(writer.writable(column, true), Writable::Yes, "{rules}: {column}");
        }
        if cut.is_empty() {
            let record = local(entity, 1, &Ids::default()).at_source("460000000099001", None);
            let error = refusal(writer.update(&record, &names(&withheld[..1])).await);
            assert!(error.contains("is not written"), "{error}");
        }
    }
}

#[tokio::test]
async fn an_update_does_without_a_hidden_value_and_only_a_create_needs_it() {
    let caller = Caller::new().await;
    for (entity, column, changed) in [
        ("customers", "name", "notes"),
        ("vendors", "name", "notes"),
        ("products", "name", "description"),
        ("products", "rate", "description"),
        ("bills", "number", "notes"),
        ("credit_notes", "number", "notes"),
        ("customer_payments", "payment_mode", "description"),
        ("prices", "name", "description"),
    ] {
        let how = if column == "rate" { "" } else { "=hash" };
        let writer = caller.hiding_writer(&format!("{entity}.{column}{how}"), entity);
        let mut record = local(entity, 1, &Ids::default());
        if column != "rate" {
            record.fields.insert(column.to_owned(), json!(format!("{HASH}0")));
        }
        let record = writer.visible(record);
        assert!(!record.fields.contains_key(column), "{entity}");
        for error in [refusal(writer.check(&record, None)), refusal(writer.create(&record).await)] {
            assert!(
                error.contains(&format!("Zoho requires {column}, whose values are hidden")),
                "{entity}: {error}"
            );
        }
        let known = record.at_source("460000000099001", None);
        let checked = writer.check(&known, Some(&names(&[changed])));
        assert!(checked.is_ok(), "{entity}: {checked:?}");
    }
    let lines = caller.hiding_writer("invoice_lines.quantity", "invoices");
    let error = refusal(lines.check(&lines.visible(local("invoices", 1, &Ids::default())), None));
    assert!(error.contains("invoice_lines.quantity, whose values are hidden"), "{error}");

    // What Zoho has under the hidden name stays.
    caller.fake.put(Module::CONTACTS, contact());
    let writer = caller.hiding_writer("customers.name=hash", "customers");
    let mut customer = known();
    customer.fields.extend([
        ("name".to_owned(), json!(format!("{HASH}0"))),
        ("mobile".to_owned(), json!("777")),
        ("contact_persons".to_owned(), contact()["contact_persons"].clone()),
    ]);
    let written = writer.update(&writer.visible(customer), &names(&["notes", "mobile"])).await;
    assert!(written.is_ok(), "{written:?}");
    let now = caller.fake.get(Module::CONTACTS, ID).expect("the contact");
    assert_eq!((&now["contact_name"], &now["notes"]), (&json!(NAME), &json!("since 2019")));
    assert_eq!(
        (&now["contact_persons"][0]["mobile"], &now["contact_persons"][1]["email"]),
        (&json!("777"), &json!("other@shop.example"))
    );
}

#[tokio::test]
async fn a_hash_is_the_last_thing_that_a_body_may_have() {
    let caller = Caller::new().await;
    for contract in contracts().filter(|contract| contract.schema.is_none()) {
        let entity = contract.entity.as_str();
        // Nothing is hidden any more, but the mirror may still have hashes.
        let writer = caller.writer(entity);
        let mut record = local(entity, 1, &Ids::default());
        let text = ["notes", "description"].into_iter().find(|column| record.value(column).is_some());
        let text = text.expect("a column with text");
        record.fields.insert(text.to_owned(), json!(format!(" {HASH}0")));
        assert!(refusal(writer.create(&record).await).contains("has the hash of a value"), "{entity}");
        let record = record.at_source("460000000099001", None);
        let error = refusal(writer.update(&record, &names(&[text])).await);
        assert!(error.contains(&format!("{text} has the hash of a value")), "{entity}: {error}");
    }
    let mut customer = known();
    customer.fields.insert("contact_persons".to_owned(), json!([{"email": format!("{HASH}0")}]));
    let error = refusal(caller.writer("customers").update(&customer, &names(&["mobile"])).await);
    assert!(error.contains("contact_persons has the hash"), "{error}");
    // A program has copied a hash into a column that is not hidden: nothing is known of the column.
    let writer = caller.hiding_writer("customers.email=hash", "customers");
    customer.fields.insert("notes".to_owned(), json!(format!("{HASH}0")));
    assert!(!writer.visible(customer).fields.contains_key("notes"));
}

#[tokio::test]
async fn a_read_says_of_what_it_shows_a_part_only() {
    let caller = Caller::new().await;
    caller.fake.put(Module::CONTACTS, contact());
    let read = async |rules: &str| -> Record {
        let sources = hiding(rules).sources(&caller.client);
        let source = sources.iter().find(|source| source.schema().entity.as_str() == "customers");
        let mut reads = source.expect("a source").fetch(&[RecordId::new(ID)], Lane::Outbound).await;
        match reads.pop().expect("a read").expect("an answer").content {
            Content::Present(record) => *record,
            Content::Absent => panic!("the contact is there"),
        }
    };
    let record = read("customers.phone").await;
    assert_eq!(record.cut, names(&["contact_persons", "custom_fields", "name", "phone"]));
    assert!(!record.fields.contains_key("name"), "the name repeats the number");
    let hashed = read("customers.phone=hash").await;
    assert_eq!(hashed.cut, names(&["contact_persons", "custom_fields", "name", "phone"]));
    assert_eq!(read("customers.cf_other").await.cut, BTreeSet::new());
    assert_eq!(read("products.sku").await.cut, BTreeSet::new());
    // A name that nobody here knows is left out of the call.
    let writer = caller.hiding_writer("customers.phone", "customers");
    let mut customer = known();
    customer.fields.remove("name");
    writer.update(&writer.visible(customer), &names(&["notes"])).await.expect("written");
    assert_eq!(caller.fake.get(Module::CONTACTS, ID).expect("the contact")["contact_name"], NAME);
}

const ID: &str = "460000000026049";
const NAME: &str = "+964 770 1";

/// Returns a contact whose name and custom field repeat its number.
fn contact() -> Value {
    let mut contact = sample::contact(1, ContactKind::Customer);
    let fields = json!({"contact_id": ID, "contact_name": NAME, "phone": "+964 770 1", "mobile": "", "email": "",
        "billing_address": {"city": "Basra"}, "shipping_address": {},
        "custom_fields": [{"api_name": "cf_whatsapp", "label": "WhatsApp", "value": "+964 770 1"}],
        "contact_persons": [
            {"contact_person_id": "1", "phone": "+964 770 1", "is_primary_contact": true},
            {"contact_person_id": "2", "email": "other@shop.example", "is_primary_contact": false}]});
    contact.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    contact
}

/// Returns the customer of the ERP that has this contact.
fn known() -> LocalRecord {
    local("customers", 1, &Ids::default()).at_source(ID, None)
}
