//! What the engine has stored of a document that names the person: a conflict that is open, earlier states, local changes,
//! findings, and errors that quote the name.

use serde_json::{Value, json};
use tds_zoho::testkit::Module;

use super::{NAME, STREET, World, at};
use crate::process::{Process, until_count};

pub(super) struct Planted {
    conflict: i64,
    /// The events whose bodies name the person, and the one that names a longer id.
    named: Vec<i64>,
    other: i64,
}

impl Planted {
    pub(super) async fn around(world: &World, server: &Process, contact: &Value, invoice: &Value) -> Self {
        let text = |record: &Value, key: &str| record[key].as_str().expect("an id").to_owned();
        let (person, invoice_id) = (text(contact, "contact_id"), text(invoice, "invoice_id"));
        let conflict = conflict(world, server, invoice, &invoice_id).await;
        // Values that a conflict, a change and a link may have, and errors that quote a value.
        let address = format!(r#"{{"address": "{STREET}", "city": "Basra"}}"#);
        let sql = format!(
            r#"
            UPDATE tds_conflicts SET decisions = '{{"customer_name": {{"zoho": "{NAME}", "winner": "erp"}}}}', fields = fields
              || '[{{"field": "billing_address", "base": {address}, "erp": null, "zoho": {address}, "winner": null}},
                   {{"field": "billing_address.address", "base": null, "erp": "{STREET}", "zoho": "x", "winner": null}}]'
             WHERE id = {conflict};
            UPDATE tds_outbox SET note = 'refused: {NAME} is not active',
              differences = '[{{"field": "customer_name", "zoho": "{NAME}", "erp": "x"}}, {{"field": "total", "zoho": 5, "erp": 6}}]'
             WHERE entity_type = 'invoices';
            UPDATE tds_links SET kept = '{{"fields": {{"customer_name": "{NAME}", "total": 5}}, "children": {{}}}}',
              sent = '[{{"creates": false, "values": {{"fields": {{"billing_address": {address}}}, "children": {{}}}}}}]'
             WHERE entity_type = 'invoices';
            WITH run AS (INSERT INTO tds_sync_runs (run_type, entity_type, source_type, status, error_log)
              VALUES ('verify', 'invoices', 'zoho', 'completed_with_errors', '1 record: {invoice_id}: found "{NAME}"') RETURNING id)
            INSERT INTO tds_verify_findings (run_id, zoho_id, state, class, fields, error)
              SELECT id, '{invoice_id}', 'drift', 'field_diff',
                '[{{"field": "customer_name", "zoho": "{NAME}", "erp": "x"}}]', 'found "{NAME}"' FROM run;
            UPDATE tds_queue_done SET error_message = 'found "{NAME}"' WHERE entity_type = 'invoices';
            INSERT INTO tds_queue_attempts (item_id, attempt, result, error)
              SELECT id, 1, 'retry', 'found "{NAME}"' FROM tds_queue_done WHERE entity_type = 'invoices';
            WITH dead AS (INSERT INTO tds_queue_live
              (entity_type, zoho_entity_id, status, dead_lettered_at, error_message, payload) VALUES
              ('credit_notes', '460000000088001', 'dead_letter', now(), 'found "{NAME}"',
               '{{"creditnote_id": "460000000088001", "customer_id": "{person}", "customer_name": "{NAME}"}}') RETURNING id)
            INSERT INTO tds_queue_attempts (item_id, attempt, result, error)
              SELECT id, 1, 'dead_letter', 'found "{NAME}"' FROM dead;
            UPDATE tds_inbox_events SET error_message = 'found "{NAME}"' WHERE entity_type = 'invoices'"#
        );
        world.database.execute(sql).await;
        let event = async |entity: &str, id: &str, body: String| {
            let event = format!(
                "INSERT INTO tds_inbox_events (event_id, source_type, entity_type, entity_id, event_type, raw_payload, status)
                 VALUES (gen_random_uuid()::text, 'zoho', '{entity}', '{id}', 'updated', convert_to('{body}', 'UTF8'), 'completed')
                 RETURNING id::text"
            );
            world.text(&event).await.and_then(|id| id.parse().ok()).expect("an id")
        };
        let form = format!("JSONString=%7B%22customer_id%22%3A%22{person}%22%2C%22name%22%3A%22{NAME}%22%7D");
        let part = json!({"invoice_id": invoice_id, "customer_name": NAME}).to_string();
        let longer = json!({"contact": {"contact_id": format!("{person}1"), "n": format!("1{person}")}});
        Self {
            conflict,
            named: vec![event("estimates", "7", form).await, event("invoices", &invoice_id, part).await],
            other: event("customers", &format!("{person}1"), longer.to_string()).await,
        }
    }

    pub(super) async fn is_erased_and_the_rest_is_there(&self, world: &World, server: &Process) {
        let Self { conflict, named, other } = self;
        for event in named {
            let body = format!(
                "SELECT (raw_payload = '' AND blanked_at IS NOT NULL)::text FROM tds_inbox_events WHERE id = {event}"
            );
            assert_eq!(world.text(&body).await.as_deref(), Some("true"));
        }
        let body =
            format!("SELECT convert_from(raw_payload, 'UTF8') FROM tds_inbox_events WHERE id = {other}");
        assert!(world.text(&body).await.is_some_and(|body| body.contains("contact_id")), "a longer id");
        let left = "SELECT concat_ws(' ', (SELECT kept #>> '{fields,total}' FROM tds_links WHERE entity_type = 'invoices'),
           (SELECT string_agg(DISTINCT note || (differences #>> '{1,zoho}'), '') FROM tds_outbox WHERE entity_type = 'invoices'),
           (SELECT count(*) FROM tds_queue_live WHERE entity_type = 'credit_notes' AND payload IS NULL))";
        assert_eq!(world.text(left).await.as_deref(), Some("5 erased5 1"));

        // The conflict still waits for a decision about what says nothing of the person.
        let path = format!("/api/zoho/conflicts/{conflict}");
        let open = server.get(&path).await;
        let field = |n: usize, side: &str| open["fields"][n][side].clone();
        assert_eq!(
            (field(0, "field"), field(0, "zoho")),
            (json!("reference_number"), json!("of Zoho")),
            "{open:#}"
        );
        assert_eq!(
            (field(1, "field"), field(1, "zoho")),
            (json!("billing_address"), Value::Null),
            "{open:#}"
        );
        let resolve = server.post(&format!("{path}/resolve"), json!({"take": "zoho"})).await;
        assert_eq!(resolve.0, 200, "{resolve:?}");
        until_count(&world.database, "tds_outbox WHERE status IN ('pending', 'conflict')", 0).await;
        world.settled().await;
        set_mode(server, "zoho_primary").await;
        world.database.execute("DELETE FROM tds_queue_live WHERE entity_type = 'credit_notes'").await;
    }
}

async fn set_mode(server: &Process, mode: &str) {
    let mode = json!({"entity_type": "invoices", "mode": mode});
    assert_eq!(server.put("/api/zoho/sync/modes", mode).await.0, 200);
}

/// Both sides change a column, and Zoho changes the invoice once more while nobody has decided. Returns the conflict.
async fn conflict(world: &World, server: &Process, invoice: &Value, id: &str) -> i64 {
    set_mode(server, "bidirectional").await;
    let mut theirs = at(invoice.clone(), "2026-11-19T12:00:00+0300");
    theirs["reference_number"] = json!("of Zoho");
    world.zoho.put(Module::INVOICES, theirs.clone());
    let ours = format!("UPDATE erp.invoices SET reference_number = 'ours' WHERE zoho_id = '{id}'");
    world.database.execute(ours).await;
    until_count(&world.database, "tds_conflicts WHERE status = 'open'", 1).await;
    let later = at(theirs, "2026-11-19T13:00:00+0300");
    world.zoho.put(Module::INVOICES, later.clone());
    world.webhook(server, "invoices", &json!({"invoice": later}).to_string()).await;
    let earlier = format!("tds_links WHERE entity_type = 'invoices' AND earlier::text LIKE '%{NAME}%'");
    until_count(&world.database, &earlier, 1).await;
    let conflict = world.text("SELECT id::text FROM tds_conflicts WHERE status = 'open'").await;
    conflict.and_then(|id| id.parse().ok()).expect("an open conflict")
}
