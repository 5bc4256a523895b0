//! Every way in which Zoho may call: methods, slashes, ids in the address, forms, and documents of any length.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tds_zoho::testkit::webhook::{SIGNATURE_HEADER, signature_hex};

use crate::{
    records::{self, Kind},
    shop::{SECRET, Shop},
    subject::Subject,
};

const INVOICE: &str = "460000000567114";

async fn send(shop: &Shop, method: Method, path: &str, body: &str) -> Value {
    let client = Client::builder().no_proxy().build().expect("a client");
    let mut request = shop.signed_request(path, body).build().expect("a request");
    *request.method_mut() = method;
    let answer = client.execute(request).await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200, "{path}");
    serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_names_the_record_in_its_address_leaves_a_tombstone() {
    for subject in Subject::all() {
        let shop = Shop::open().await;
        shop.zoho.put(subject.module, subject.record.clone());
        shop.sync(subject.entity, "full").await;
        shop.zoho.delete(subject.module, subject.id());
        let path = format!("/api/zoho/webhooks/{}/?{}={}", subject.webhook, subject.id_key, subject.id());
        let answer = send(&shop, Method::DELETE, &path, "").await;
        assert_eq!(answer["status"], "accepted", "{path}: {answer}");
        shop.settled().await;
        subject.assert_gone(&shop).await;
        let event = &shop.rows("tds_inbox_events", "id DESC").await[0];
        assert_eq!(
            (&event["event_type"], &event["outcome"]),
            (&json!("deleted"), &json!("deleted")),
            "{event:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_in_the_address_and_a_put_bring_the_record() {
    for subject in Subject::all() {
        let shop = Shop::open().await;
        shop.zoho.put(subject.module, subject.record.clone());
        let path = format!("/api/zoho/webhooks/{}?{}={}", subject.webhook, subject.id_key, subject.id());
        assert_eq!(send(&shop, Method::POST, &path, "").await["status"], "accepted", "{path}");
        shop.settled().await;
        subject.assert_landed(&shop).await;
        let (change, _, wanted) = &subject.change;
        shop.zoho.update(subject.module, subject.id(), change.clone());
        let path = format!("/api/zoho/webhooks/{}", subject.webhook);
        let answer = send(&shop, Method::PUT, &path, &subject.naming_body().to_string()).await;
        assert_eq!(answer["status"], "accepted", "{path}");
        shop.settled().await;
        assert_eq!(&subject.changed_column(&shop).await, wanted, "{}", subject.entity);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_field_of_any_name_that_holds_the_record_lands_without_a_read() {
    for subject in Subject::all().into_iter().filter(|subject| subject.webhook_is_enough) {
        let shop = Shop::open().await;
        shop.zoho.put(subject.module, subject.record.clone());
        let before = shop.zoho.calls_to(subject.detail_path);
        let json = subject.whole_body(&shop).to_string();
        let client = Client::builder().no_proxy().build().expect("a client");
        let request = client
            .post(format!("{}/api/zoho/webhooks/{}", shop.base, subject.webhook))
            .header(SIGNATURE_HEADER, signature_hex(SECRET, &[("payload", json.as_str())], ""))
            .form(&[("payload", json.as_str())]);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{}", subject.entity);
        shop.settled().await;
        subject.assert_landed(&shop).await;
        assert_eq!(shop.zoho.calls_to(subject.detail_path), before, "{} needed a read", subject.entity);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_with_five_hundred_lines_lands_with_all_of_them() {
    let shop = Shop::open().await;
    let mut invoice = records::document(Kind::Invoice);
    let line = invoice["line_items"][0].clone();
    let lines = (0..500).map(|at| {
        let mut line = line.clone();
        line["line_item_id"] = json!(format!("4600000009{at:05}"));
        line["item_order"] = json!(at);
        // A real line carries about 2 kB in addition to the columns.
        line["description"] = json!("وصف طويل ".repeat(130));
        line
    });
    invoice["line_items"] = Value::Array(lines.collect());
    let body = json!({"invoice": invoice}).to_string();
    assert!(body.len() > 1_100_000, "{}", body.len());
    let (status, answer) = shop.webhook("invoices", &body).await;
    assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("accepted")), "{answer}");
    shop.settled().await;
    assert_eq!(shop.count(&format!("erp.invoice_lines WHERE document_zoho_id = '{INVOICE}'")).await, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_another_module_is_completed_as_ignored_on_every_path() {
    let shop = Shop::open().await;
    let mut sent = 0;
    for path in Subject::all() {
        for record in Subject::all() {
            // The stock path reads the items of every body that names some, and each path takes its own module.
            if path.webhook == "stock" || path.id_key == record.id_key {
                continue;
            }
            let answer = send(
                &shop,
                Method::POST,
                &format!("/api/zoho/webhooks/{}", path.webhook),
                &record.record.to_string(),
            )
            .await;
            assert_eq!(answer["status"], "ignored", "{} on {}", record.entity, path.webhook);
            sent += i64::from(answer["duplicate"] == false);
        }
    }
    let ended = "tds_inbox_events WHERE status = 'completed' AND outcome = 'ignored'";
    assert_eq!((shop.count(ended).await, shop.count("tds_sync_queue").await), (sent, 0));
}
