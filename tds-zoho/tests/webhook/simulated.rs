//! Bodies and signatures of the simulated organization, which shares no code with the receiver.

use secrecy::SecretString;
use tds_core::record::Shape;
use tds_zoho::{
    testkit::{
        FakeZoho, Module,
        webhook::{signature_base64, signature_hex},
    },
    webhook::{Encoding, sign, verify},
};

use crate::{
    bodies::{event, work},
    support::{offline, source},
};

const SECRET: &str = "TdsSecret0123456";
const MODULES: [(&str, Module); 10] = [
    ("products", Module::ITEMS),
    ("customers", Module::CONTACTS),
    ("invoices", Module::INVOICES),
    ("bills", Module::BILLS),
    ("credit_notes", Module::CREDIT_NOTES),
    ("sales_orders", Module::SALES_ORDERS),
    ("customer_payments", Module::CUSTOMER_PAYMENTS),
    ("purchase_orders", Module::PURCHASE_ORDERS),
    ("vendor_payments", Module::VENDOR_PAYMENTS),
    ("vendor_credits", Module::VENDOR_CREDITS),
];

#[tokio::test]
async fn a_default_payload_is_complete_and_says_what_a_read_would() {
    let zoho = FakeZoho::start().await;
    let organization = zoho.credentials().organization_id;
    for (name, module) in MODULES {
        let id = zoho.generate(module, 1).remove(0);
        let body = zoho.webhook_body(module, &id);
        let parsed = event(name, "updated", &organization, &[], body.as_bytes());
        assert!(parsed.has_version, "{name}");
        assert_eq!(parsed.entity_id.as_deref(), Some(id.as_str()));
        let payload = work(&parsed)[0].1.payload.clone().unwrap_or_else(|| panic!("{name} is not complete"));
        let client = crate::support::online(&zoho);
        let read = source(&client, name)
            .fetch(&[tds_core::record::RecordId::new(id)], tds_core::queue::Lane::Webhook)
            .await;
        let Ok(tds_core::record::Read { content: tds_core::record::Content::Present(read), .. }) = &read[0]
        else {
            panic!("{name}: {read:?}")
        };
        let pushed = source(&offline(), name).decode(&payload).expect("readable");
        assert_eq!((payload.shape, pushed.fields), (Shape::Webhook, read.fields.clone()), "{name}");
        assert_eq!(pushed.children, read.children);
    }
}

#[tokio::test]
async fn an_invoice_without_lines_is_read_and_a_deleted_one_too() {
    let zoho = FakeZoho::start().await;
    let organization = zoho.credentials().organization_id;
    let id = zoho.generate(Module::INVOICES, 1).remove(0);
    let poor = zoho.webhook_body_without_lines(Module::INVOICES, &id);
    zoho.delete(Module::INVOICES, &id);
    let last = zoho.webhook_body(Module::INVOICES, &id);
    let unknown = zoho.webhook_body(Module::INVOICES, "4600000000000000404");
    for (event_type, body) in [("updated", poor), ("deleted", last), ("deleted", unknown)] {
        let parsed = event("invoices", event_type, &organization, &[], body.as_bytes());
        assert_eq!(work(&parsed)[0].1.payload, None, "{event_type} {body}");
    }
}

#[test]
fn both_sides_sign_alike() {
    let json = r#"{"item":{"item_id":"1"}}"#;
    let pairs = [("event", "updated"), ("B", "é"), ("a", "1")];
    let owned: Vec<(String, String)> =
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let secret = SecretString::from(SECRET);
    let hex = signature_hex(SECRET, &pairs, json);
    assert_eq!(sign(&secret, &owned, json.as_bytes()), hex);
    let base64 = signature_base64(SECRET, &pairs, json);
    let verified = verify(&[secret], &owned, None, json.as_bytes(), Some(&base64)).expect("authentic");
    assert_eq!(verified.signature().map(|signature| signature.encoding), Some(Encoding::Base64));
}
