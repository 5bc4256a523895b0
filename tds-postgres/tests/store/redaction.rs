//! Values of hidden columns that a process with an older configuration stores after the redaction.

use sqlx::AssertSqlSafe;
use tds_core::{
    privacy::{RedactedColumn, RedactedTable, Redaction},
    record::EntityType,
};
use tds_postgres::testkit::TestDatabase;

/// Hides the phone and hashes the email of customers, and hides the description of lines of invoices.
struct Hiding;

impl Redaction for Hiding {
    fn rules(&self) -> String {
        "customers.phone,customers.email=hash,invoice_lines.description".to_owned()
    }

    fn tables(&self) -> Vec<RedactedTable> {
        let column = |name, hashed| RedactedColumn { name, hashed };
        let table = |entity, table, is_head, columns| RedactedTable {
            entity: EntityType::from_static(entity),
            table,
            is_head,
            columns,
        };
        vec![
            table("customers", "customers", true, vec![column("phone", false), column("email", true)]),
            table("invoices", "invoice_lines", false, vec![column("description", false)]),
        ]
    }

    fn json(&self, _entity: &EntityType, text: &str) -> Option<String> {
        text.contains("CANARY").then(|| text.replace("CANARY", ""))
    }

    fn differences(&self, _entity: &EntityType, _text: &str) -> Option<String> {
        None
    }

    fn body(&self, _entity: &EntityType, body: &[u8]) -> Option<Vec<u8>> {
        let text = String::from_utf8_lossy(body);
        text.contains("CANARY").then(|| text.replace("CANARY", "").into_bytes())
    }

    fn hash(&self, text: &str) -> Option<String> {
        Some(if text.starts_with("hash:") { text.to_owned() } else { format!("hash:{}", text.len()) })
    }
}

async fn text(test: &TestDatabase, sql: &str) -> String {
    let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
    query.fetch_one(test.database()).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_stored_after_the_redaction_are_removed_by_the_next_start() {
    let test = TestDatabase::new().await;
    let redact = async || test.database().redact(&Hiding).await.expect("redacted");
    assert_eq!(redact().await, 0);
    // What the older process writes: the change, and what is left of it.
    let customer = "SELECT concat_ws(' ', phone, email, raw ->> 'phone', raw ->> 'name') FROM erp.customers";
    test.execute("INSERT INTO erp.customers (zoho_id, email, raw, synced_at) VALUES ('1', 'hash:1', '{\"name\": \"x\"}', now())").await;
    let long_ago = "UPDATE tds_redaction SET changed_at = now() - interval '1 day'; ";
    for (change, look, left) in [
        ("UPDATE erp.customers SET phone = '7'", customer, "hash:1 x"),
        ("UPDATE erp.customers SET email = 'a@b'", customer, "hash:3 x"),
        (
            "UPDATE erp.customers SET synced_at = now(), raw = '{\"name\": \"x\", \"phone\": \"CANARY\"}'",
            customer,
            "hash:3  x",
        ),
        (
            "INSERT INTO erp.invoice_lines (document_zoho_id, description) VALUES ('1', 'tea')",
            "SELECT concat(description, '-') FROM erp.invoice_lines",
            "-",
        ),
        (
            "INSERT INTO tds_inbox_events (event_id, source_type, entity_type, event_type, raw_payload)
               VALUES ('1', 'zoho', 'customers', 'webhook', 'a CANARY')",
            "SELECT convert_from(raw_payload, 'UTF8') FROM tds_inbox_events",
            "a ",
        ),
    ] {
        test.execute(format!("{long_ago}{change}")).await;
        assert_eq!(redact().await, 1, "{change}");
        assert_eq!(text(&test, look).await, left, "{change}");
        assert_eq!(redact().await, 0, "{change}");
    }
    // What a program of the ERP wrote where the mode permits it stays, until TDS itself has stored a hidden value again.
    test.execute("INSERT INTO tds_modes (entity_type, mode) VALUES ('customers', 'bidirectional'); UPDATE erp.customers SET phone = '0770'").await;
    assert_eq!(redact().await, 0);
    assert_eq!(text(&test, customer).await, "0770 hash:3  x");
    // Only what is newer than the last look is read.
    test.execute(
        "UPDATE erp.customers SET synced_at = now() - interval '1 day', raw = '{\"phone\": \"CANARY\"}'",
    )
    .await;
    assert_eq!(redact().await, 0);
    test.execute("UPDATE erp.customers SET synced_at = now()").await;
    assert!(redact().await > 0);
    assert_eq!(text(&test, customer).await, "hash:3 ");
}
