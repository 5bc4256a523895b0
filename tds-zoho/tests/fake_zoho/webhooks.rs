use serde_json::Value;
use tds_zoho::testkit::{
    FakeZoho, Module,
    webhook::{self, Delivery, Form, SIGNATURE_HEADER, signature_base64, signature_hex},
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

const SECRET: &str = "TdsSecret0123456";

#[test]
fn the_signature_equals_the_known_vectors() {
    let pairs = [("subscription_id", "90343"), ("name", "basic")];
    let body = r#"{"created_date":"2019-03-06","event_id":"5675"}"#;
    let hex = "f0813db3c757d0f7cdb4387db80fd9211f6c114fd8b474e8427217b898124985";
    assert_eq!(signature_hex(SECRET, &pairs, body), hex);
    let base64 = "8IE9s8dX0PfNtDh9uA/ZIR9sEU/YtHToQnIXuJgSSYU=";
    assert_eq!(signature_base64(SECRET, &pairs, body), base64);
    let body = r#"{"item":{"item_id":"460000000012345","sku":"A-1"}}"#;
    let hex = "d3bf0da4117522b4df686369b0d18b2ed5eeb86102baf3cb9a5071e7e58b3168";
    assert_eq!(signature_hex(SECRET, &[], body), hex);
    assert_eq!(signature_base64(SECRET, &[], body), "078NpBF1IrTfaGNpsNGLLtXuuGECuvPLmlBx5+WLMWg=");
}

/// Starts a receiver that accepts everything, and returns what it received from one delivery.
async fn received(form: Form, event: &str, secret: &str) -> wiremock::Request {
    let receiver = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_string("kept"))
        .mount(&receiver)
        .await;
    let body = r#"{"item":{"item_id":"1","name":"a b&c","rate":5.00}}"#.to_owned();
    let delivery = Delivery { entity_path: "products".to_owned(), event: event.to_owned(), body };
    let receipt = webhook::deliver(&delivery, &receiver.uri(), secret, form).await.expect("delivered");
    assert_eq!((receipt.status, receipt.body.as_str()), (200, "kept"));
    receiver.received_requests().await.expect("recorded").remove(0)
}

#[tokio::test]
async fn a_json_delivery_is_signed_over_parameters_and_body() {
    let request = received(Form::Json, "updated", SECRET).await;
    assert_eq!(request.url.path(), "/api/zoho/webhooks/products");
    assert_eq!(request.url.query(), Some("event=updated"));
    let body = std::str::from_utf8(&request.body).expect("text");
    assert_eq!(request.headers[SIGNATURE_HEADER], signature_hex(SECRET, &[("event", "updated")], body));
}

#[tokio::test]
async fn form_deliveries_are_signed_over_decoded_fields() {
    let request = received(Form::JsonString, "", SECRET).await;
    let json = r#"{"item":{"item_id":"1","name":"a b&c","rate":5.00}}"#;
    assert_eq!(request.headers[SIGNATURE_HEADER], signature_hex(SECRET, &[("JSONString", json)], ""));
    assert!(request.body.starts_with(b"JSONString=%7B"));
    let request = received(Form::Plain, "", SECRET).await;
    let fields = [("rate", "5.00"), ("name", "a b&c"), ("item_id", "1")];
    assert_eq!(request.headers[SIGNATURE_HEADER], signature_hex(SECRET, &fields, ""));
}

#[tokio::test]
async fn a_delivery_without_a_secret_is_unsigned() {
    let request = received(Form::Json, "updated", "").await;
    assert!(!request.headers.contains_key(SIGNATURE_HEADER));
}

#[tokio::test]
async fn payloads_hold_the_record_under_its_module() {
    let fake = FakeZoho::start().await;
    let invoice = fake.generate(Module::INVOICES, 1).remove(0);
    let parsed = |body: String| serde_json::from_str::<Value>(&body).expect("JSON");
    let full = parsed(fake.webhook_body(Module::INVOICES, &invoice));
    assert_eq!(full["organization_id"], fake.credentials().organization_id.as_str());
    assert!(full["invoice"]["line_items"].is_array());
    let poor = parsed(fake.webhook_body_without_lines(Module::INVOICES, &invoice));
    assert!(poor["invoice"].get("line_items").is_none());
    fake.delete(Module::INVOICES, &invoice);
    assert_eq!(
        parsed(fake.webhook_body(Module::INVOICES, &invoice)),
        full,
        "the last state of a deleted record"
    );
    assert_eq!(parsed(fake.webhook_body(Module::ITEMS, "7"))["item"]["item_id"], "7");
}
