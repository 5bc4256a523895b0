//! Tests `/metrics`.

use tds_server::Health;

use super::common::{item, no_zoho, server, server_with, settings};

#[tokio::test]
async fn webhooks_and_the_queue_are_counted() {
    let server = server();
    server.deliver("/api/zoho/webhooks/products", &item("5", 0)).await;
    server.deliver("/api/zoho/webhooks/products", &item("5", 0)).await;
    server.deliver("/api/zoho/webhooks/products", r#"{"odd":1}"#).await;
    let answer = server.get("/metrics").await;
    assert!(answer.headers["content-type"].to_str().expect("text").starts_with("text/plain"));
    for line in [
        r#"tds_webhook_requests_total{source="zoho",result="accepted"} 1"#,
        r#"tds_webhook_requests_total{source="zoho",result="duplicate"} 1"#,
        r#"tds_webhook_requests_total{source="zoho",result="unauthorized"} 0"#,
        r#"tds_queue_jobs{entity="products",state="pending"} 1"#,
        r#"tds_queue_jobs{entity="vendors",state="dead_letter"} 0"#,
        r#"tds_dead_letters{entity="vendors"} 0"#,
        r#"tds_queue_oldest_age_seconds{entity="vendors"} 0"#,
        r#"tds_end_to_end_lag_seconds{entity="products",statistic="p99"} 0"#,
        r#"tds_paused{entity="stock"} 0"#,
        r#"tds_needs_attention{kind="unparsed_events"} 1"#,
        r#"tds_needs_attention{kind="dead_letters"} 0"#,
        "tds_deferred_items 0",
        r#"tds_healed_total{kind="event"} 0"#,
        r#"tds_healed_total{kind="run"} 0"#,
        r#"tds_healed_total{kind="waiter"} 0"#,
        r#"tds_sync_last_success_timestamp_seconds{entity="bills"} 0"#,
    ] {
        assert!(answer.text.contains(line), "{line} in\n{}", answer.text);
    }
    for series in [
        "tds_build_info{",
        "tds_oldest_waiting_seconds ",
        "tds_queue_oldest_age_seconds{entity=\"products\"}",
        "tds_webhook_request_duration_seconds_bucket{",
    ] {
        assert!(answer.text.contains(series), "{series}");
    }
}

#[tokio::test]
async fn metrics_with_a_listener_of_their_own_are_not_on_the_main_one() {
    let mut settings = settings();
    settings.metrics_apart = true;
    let server = server_with(settings, Health::default(), no_zoho());
    server.get("/metrics").await.is_problem(404, "not-found");
}
