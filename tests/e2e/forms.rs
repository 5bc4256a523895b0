//! Bodies in every form that Zoho may send, over real HTTP: every authentic body is stored and answered with 200.

use reqwest::Client;
use serde_json::{Value, json};
use tds_zoho::testkit::{
    Module,
    webhook::{SIGNATURE_HEADER, signature_base64, signature_hex},
};

use crate::{
    records::{self, Kind},
    shop::{SECRET, Shop, assert_columns},
};

const ITEM: &str = "460000000027009";

/// One request that the test builds by hand: the form of the body decides which parts are signed.
#[derive(Default)]
struct Sent<'a> {
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    content_type: Option<&'a str>,
    /// The decoded pairs of a form body; empty for other bodies.
    form: Vec<(&'a str, &'a str)>,
    body: Vec<u8>,
    base64: bool,
}

impl Sent<'_> {
    /// Sends the request and returns the answer, which must have the status 200.
    async fn to(&self, shop: &Shop) -> Value {
        let mut pairs = self.query.to_vec();
        pairs.extend(&self.form);
        let raw = if self.form.is_empty() { self.body.as_slice() } else { b"" };
        let raw = std::str::from_utf8(raw).expect("the tests send text");
        let sign = if self.base64 { signature_base64 } else { signature_hex };
        let client = Client::builder().no_proxy().build().expect("a client");
        let mut request = client
            .post(format!("{}/api/zoho/webhooks/{}", shop.base, self.path))
            .query(self.query)
            .header(SIGNATURE_HEADER, sign(SECRET, &pairs, raw))
            .body(self.body.clone());
        if let Some(kind) = self.content_type {
            request = request.header("content-type", kind);
        }
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
    }
}

/// Percent-encodes everything but letters and digits.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

async fn shop_with_item() -> Shop {
    let shop = Shop::open().await;
    shop.zoho.put(Module::ITEMS, records::item());
    shop
}

/// Sends to the products path and expects the whole item in the mirror.
async fn lands(sent: Sent<'_>) {
    let shop = shop_with_item().await;
    let answer = Sent { path: "products", ..sent }.to(&shop).await;
    assert_eq!(answer["status"], "accepted", "{answer}");
    shop.settled().await;
    assert_columns(&shop.row("products", ITEM).await.expect("a row"), &records::item_row());
    let event = &shop.rows("tds_inbox_events", "id").await[0];
    assert_eq!((&event["status"], &event["entity_id"]), (&json!("completed"), &json!(ITEM)), "{event:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_and_a_bare_record_land_alike() {
    let envelope = json!({"organization_id": organization().await, "item": records::item()});
    for body in [envelope, json!({"item": records::item()}), records::item()] {
        lands(Sent { body: body.to_string().into(), ..Sent::default() }).await;
    }
}

async fn organization() -> String {
    tds_zoho::testkit::FakeZoho::start().await.credentials().organization_id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_with_json_string_lands() {
    let json = json!({"item": records::item()}).to_string();
    let body = format!("JSONString={}", encoded(&json)).into_bytes();
    for content_type in [Some("application/x-www-form-urlencoded; charset=UTF-8"), None, Some("text/plain")] {
        lands(Sent {
            content_type,
            form: vec![("JSONString", &json)],
            body: body.clone(),
            ..Sent::default()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_form_pairs_name_the_record_which_is_read() {
    let form = vec![("item_id", ITEM), ("name", "old & +5% =name="), ("rate", "1.00")];
    let body: Vec<String> = form.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
    let content_type = Some("application/x-www-form-urlencoded");
    lands(Sent { content_type, form, body: body.join("&").into(), ..Sent::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_may_be_numbers() {
    let mut item = records::item();
    for key in ["item_id", "tax_id", "category_id", "image_document_id", "group_id"] {
        item[key] = serde_json::from_str(item[key].as_str().expect("an id")).expect("a number");
    }
    lands(Sent { body: json!({"item": item}).to_string().into(), ..Sent::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_and_a_wrong_or_missing_content_type_do_no_harm() {
    let json = json!({"item": records::item()}).to_string();
    let marked = format!("\u{feff}{json}");
    lands(Sent { body: marked.into(), content_type: Some("application/json"), ..Sent::default() }).await;
    for content_type in [None, Some("text/html"), Some("application/x-www-form-urlencoded"), Some("nonsense")]
    {
        lands(Sent { body: json.clone().into(), content_type, ..Sent::default() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base64_signature_and_signed_query_parameters_are_believed() {
    let body = json!({"item": records::item()}).to_string().into_bytes();
    lands(Sent { body: body.clone(), base64: true, ..Sent::default() }).await;
    let query: &[_] = &[("zeta", "1 & 2"), ("event", "updated"), ("Alpha", "كيبل"), ("empty", "")];
    lands(Sent { body: body.clone(), query, ..Sent::default() }).await;
    lands(Sent { body, query, base64: true, ..Sent::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn query_parameters_that_were_not_signed_are_refused() {
    let shop = shop_with_item().await;
    let body = json!({"item": records::item()}).to_string();
    let client = Client::builder().no_proxy().build().expect("a client");
    let request = client
        .post(format!("{}/api/zoho/webhooks/products?event=deleted", shop.base))
        .header(SIGNATURE_HEADER, signature_hex(SECRET, &[], &body))
        .body(body);
    assert_eq!(request.send().await.expect("an answer").status().as_u16(), 401);
    assert_eq!(shop.count("tds_inbox_events").await, 0);
}

/// Sends to a path and expects the event to be stored and ignored, with no item in the queue.
async fn is_ignored(path: &str, body: Value) {
    let shop = shop_with_item().await;
    let answer = Sent { path, body: body.to_string().into(), ..Sent::default() }.to(&shop).await;
    assert_eq!(answer["status"], "ignored", "{answer}");
    let event = &shop.rows("tds_inbox_events", "id").await[0];
    assert_eq!((&event["status"], &event["outcome"]), (&json!("completed"), &json!("ignored")), "{event:#}");
    assert_eq!(shop.count("tds_sync_queue").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organization_and_unknown_modules_are_ignored() {
    is_ignored("products", json!({"organization_id": "70000000002", "item": records::item()})).await;
    is_ignored("products", json!({"organization_id": 70_000_000_002_i64, "item": records::item()})).await;
    is_ignored("products", json!({"salesorder": {"salesorder_id": "460000000099001", "total": 1}})).await;
    is_ignored("invoices", json!({"payment": {"payment_id": "460000000099002"}})).await;
    is_ignored("stock", json!({"package": {"package_id": "460000000099003"}})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_the_test_button_are_kept_as_failed_and_never_queued() {
    let shop = shop_with_item().await;
    let bodies =
        ["", "{}", "null", "Hello from Zoho!", "[]", "[{\"item\":1}]", "{\"item\":", "7", "{\"item\":{}}"];
    for (index, body) in bodies.into_iter().enumerate() {
        let answer = Sent { path: "products", body: body.into(), ..Sent::default() }.to(&shop).await;
        assert_eq!(
            (&answer["status"], &answer["duplicate"]),
            (&json!("unparsed"), &json!(false)),
            "{body}: {answer}"
        );
        let events = shop.rows("tds_inbox_events", "id").await;
        assert_eq!(events.len(), index + 1, "{body} is a row of its own");
        assert_eq!(events[index]["status"], "failed", "{body}");
        let reason = events[index]["error_message"].as_str().unwrap_or_default();
        assert!(reason.len() > 10, "{body:?} needs a reason, not {reason:?}");
    }
    assert_eq!(shop.count("tds_sync_queue").await, 0);
    let (_, failed) = shop.get("/api/zoho/webhooks/inbox?status=failed").await;
    assert_eq!(failed["items"].as_array().map(Vec::len), Some(bodies.len()), "listed for a person");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_adjustment_re_reads_the_stock_of_all_its_items() {
    let shop = Shop::open().await;
    let mut lines = Vec::new();
    for n in 1..=3 {
        let mut item = records::item();
        item["item_id"] = json!(format!("46000000002700{n}"));
        item["stock_on_hand"] = json!(n * 10);
        item["locations"] = json!([]);
        lines
            .push(json!({"line_item_id": n.to_string(), "item_id": item["item_id"], "quantity_adjusted": n}));
        shop.zoho.put(Module::ITEMS, item);
    }
    let adjustment =
        json!({"inventory_adjustment_id": "460000000044001", "date": "2026-11-20", "line_items": lines});
    shop.webhook_done("stock", &json!({"inventory_adjustment": adjustment})).await;
    let rows = shop.rows("erp.stock_levels", "product_zoho_id").await;
    let found: Vec<_> = rows.iter().map(|row| (&row["product_zoho_id"], &row["stock_on_hand"])).collect();
    let ids = [json!("460000000027001"), json!("460000000027002"), json!("460000000027003")];
    assert_eq!(found, [(&ids[0], &json!(10)), (&ids[1], &json!(20)), (&ids[2], &json!(30))]);
    let event = &shop.rows("tds_inbox_events", "id").await[0];
    assert_eq!((&event["status"], &event["entity_id"]), (&json!("completed"), &json!("460000000044001")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_without_its_type_is_read_and_stored_as_what_it_is() {
    let shop = Shop::open().await;
    let mut contact = records::contact("vendor");
    shop.zoho.put(Module::CONTACTS, contact.clone());
    contact.as_object_mut().expect("an object").remove("contact_type");
    shop.webhook_done("customers", &json!({"contact": contact})).await;
    let row = shop.row("vendors", "460000000038029").await.expect("a row");
    assert_columns(&row, &records::contact_row("vendor"));
    assert_eq!(shop.count("erp.customers").await, 0);
}

/// The predecessor's paths, each with the table that it fills and the body that is sent to it.
fn aliases() -> Vec<(String, &'static str, Value)> {
    let item = || json!({"item": records::item()});
    let customer = || json!({"contact": records::contact("customer")});
    let vendor = || json!({"contact": records::contact("vendor")});
    let document = |kind: Kind| json!({kind.key(): records::document(kind)});
    let prices = || json!({"pricebook": {"pricebook_id": "460000000870002"}});
    let sync = [
        ("products", "products", item()),
        ("customers", "customers", customer()),
        ("invoices", "invoices", document(Kind::Invoice)),
        ("bills", "bills", document(Kind::Bill)),
        ("credit-notes", "credit_notes", document(Kind::CreditNote)),
        ("stock", "stock_levels", item()),
        ("prices", "price_lists", prices()),
    ];
    let tds = [
        ("products", "products", item()),
        ("customers", "customers", customer()),
        ("vendors", "vendors", vendor()),
        ("invoices", "invoices", document(Kind::Invoice)),
        ("stock", "stock_levels", item()),
        ("prices", "price_lists", prices()),
    ];
    let sync = sync.into_iter().map(|(name, table, body)| (format!("/api/zoho/sync-{name}"), table, body));
    sync.chain(tds.into_iter().map(|(name, table, body)| (format!("/api/tds/webhooks/{name}"), table, body)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_of_the_predecessor_does_its_work() {
    for (path, table, body) in aliases() {
        let shop = shop_with_item().await;
        shop.zoho.put(Module::PRICE_LISTS, records::price_list());
        for kind in ["customer", "vendor"] {
            shop.zoho.put(Module::CONTACTS, records::contact(kind));
        }
        let (status, answer) = shop.signed(&path, &body.to_string()).await;
        assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("accepted")), "{path}: {answer}");
        shop.settled().await;
        assert!(shop.count(&format!("erp.{table}")).await > 0, "{path} filled no row of {table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_the_predecessor_that_nothing_handles_are_kept_and_ignored() {
    let shop = Shop::open().await;
    let body = json!({"user": {"user_id": "1"}}).to_string();
    let (status, answer) = shop.signed("/api/tds/webhooks/users", &body).await;
    assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("ignored")), "{answer}");
    let kept = "tds_inbox_events WHERE status = 'completed' AND outcome = 'ignored'";
    assert_eq!((shop.count(kept).await, shop.count("tds_sync_queue").await), (1, 0));
}
