//! Tests modes, local changes and conflicts, over PostgreSQL.

use axum::body::Body;
use serde_json::{Value, json};
use tds_postgres::{PgStore, StoreSettings, testkit::TestDatabase};

use super::common::{Answer, Server, operator, server_changed};

const MODES: &str = "/api/zoho/sync/modes";

/// A server whose outbox and modes are in a database.
struct Place {
    server: Server,
    database: TestDatabase,
}

impl Place {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let store = PgStore::new(database.database().clone(), StoreSettings::default());
        let server = server_changed(|services| {
            services.ports = services.ports.clone().pushing(&store).measuring(&store);
        });
        Self { server, database }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.server.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    async fn put(&self, body: Value) -> Answer {
        let request = operator("PUT", MODES).body(Body::from(body.to_string())).expect("a request");
        self.server.send(request).await
    }

    /// Stores products 1 and 2, and gives each of them a change that waits for a person.
    async fn conflicts(&self) {
        self.database
            .execute(
                "SELECT set_config('tds.origin', 'remote', true);
                 INSERT INTO erp.products (zoho_id, name, rate, raw) VALUES ('1', 'Lamp', 5, '{}'), ('2', 'Chair', 7, '{}');
                 INSERT INTO tds_conflicts (entity_type, local_id, zoho_id, fields)
                   SELECT 'products', id, zoho_id, '[{\"field\": \"rate\", \"base\": 4.5, \"erp\": 5, \"zoho\": 6.25, \"winner\": null},
                     {\"field\": \"name\", \"base\": \"L\", \"erp\": \"Lamp\", \"zoho\": \"Desk lamp\", \"winner\": null}]'
                     FROM erp.products ORDER BY zoho_id;
                 INSERT INTO tds_outbox (entity_type, local_id, zoho_id, operation, fields, status, relayed, conflict_id)
                   SELECT 'products', local_id, zoho_id, 'upsert', '{name,rate}', 'conflict', true, id FROM tds_conflicts ORDER BY id",
            )
            .await;
    }
}

fn of<'a>(list: &'a Value, entity: &str) -> &'a Value {
    let modes = list["modes"].as_array().expect("modes");
    modes.iter().find(|mode| mode["entity_type"] == entity).unwrap_or_else(|| panic!("no {entity}: {list}"))
}

#[tokio::test]
async fn modes_are_shown_for_every_entity_type_and_changed_by_epoch() {
    let place = Place::new().await;
    let list = place.get(MODES).await;
    assert_eq!(list["modes"].as_array().map(Vec::len), Some(18), "{list}");
    let products = json!({"entity_type": "products", "mode": "zoho_primary", "conflict_policy": "manual",
        "field_policies": {}, "epoch": 1, "changed_at": null, "writable": true});
    assert_eq!(of(&list, "products"), &products);
    assert_eq!(of(&list, "taxes")["writable"], false);

    let change = json!({"entity_type": "credit-notes", "mode": "bidirectional", "conflict_policy": "newest_wins",
        "field_policies": {"credit_note_lines": "erp_wins"}, "epoch": 1});
    let answer = place.put(change.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let list = answer.json();
    let changed = of(&list, "credit_notes");
    assert_eq!((&changed["mode"], &changed["epoch"]), (&json!("bidirectional"), &json!(2)), "{changed}");
    assert_eq!(changed["field_policies"], json!({"credit_note_lines": "erp_wins"}));
    assert!(changed["changed_at"].is_string());
    assert_eq!(list, place.get(MODES).await, "the answer is the list");
    place.put(change).await.is_problem(409, "conflict");
    // What is not stated stays.
    let list = place.put(json!({"entity_type": "credit_notes", "mode": "shadow"})).await.json();
    let changed = of(&list, "credit_notes");
    assert_eq!(
        (&changed["mode"], &changed["conflict_policy"], &changed["epoch"]),
        (&json!("shadow"), &json!("newest_wins"), &json!(3))
    );

    for (body, part) in [
        (
            json!({"entity_type": "products", "mode": "two_way"}),
            "zoho_primary, shadow, bidirectional, erp_primary",
        ),
        (json!({"entity_type": "products", "mode": "source_primary"}), "zoho_primary"),
        (json!({"entity_type": "products", "conflict_policy": "source_wins"}), "zoho_wins, erp_wins"),
        (
            json!({"entity_type": "products", "field_policies": {"rate": "zoho_win"}}),
            "did you mean zoho_wins?",
        ),
        (json!({"entity_type": "products", "field_policies": {"rat": "manual"}}), "did you mean rate?"),
        (json!({"entity_type": "taxes", "field_policies": {"name": "manual"}}), "does not write taxes"),
        (json!({"entity_type": "products"}), "State mode"),
        (json!({"entity_type": "products", "mod": "shadow"}), "unknown field"),
    ] {
        let answer = place.put(body).await;
        answer.is_problem(422, "invalid-value");
        assert!(answer.text.contains(part), "{part} in {}", answer.text);
    }
    for mode in ["shadow", "bidirectional", "erp_primary"] {
        let answer = place.put(json!({"entity_type": "taxes", "mode": mode})).await;
        answer.is_problem(422, "invalid-value");
        assert!(answer.text.contains(&format!("taxes cannot be {mode}")), "{}", answer.text);
    }
    assert_eq!(place.put(json!({"entity_type": "taxes", "mode": "zoho_primary"})).await.status, 200);
    place
        .put(json!({"entity_type": "orders", "mode": "shadow"}))
        .await
        .is_problem(422, "unknown-entity-type");
}

#[tokio::test]
async fn local_changes_are_listed_filtered_and_shown() {
    let place = Place::new().await;
    assert_eq!(place.get("/api/zoho/outbox").await, json!({"items": [], "next_cursor": null}));
    place
        .database
        .execute(
            "INSERT INTO tds_outbox (entity_type, local_id, operation, fields, status, settled_at, differences, note) VALUES
               ('invoices', 7, 'upsert', NULL, 'pending', NULL, NULL, NULL),
               ('products', 8, 'upsert', '{rate}', 'shadow', now(), '[{\"field\": \"rate\", \"zoho\": 4.5, \"erp\": 5}]',
                'the push would have been refused: rate is negative'),
               ('products', 9, 'delete', '{}', 'shadow', now(), '[]', NULL)",
        )
        .await;
    let page = place.get("/api/zoho/outbox?limit=2").await;
    assert_eq!(
        (&page["items"][0]["local_id"], &page["items"][1]["local_id"]),
        (&json!(9), &json!(8)),
        "{page}"
    );
    let rest = page["next_cursor"].as_str().expect("a cursor");
    let rest = place.get(&format!("/api/zoho/outbox?limit=2&cursor={rest}")).await;
    assert_eq!((&rest["items"][0]["local_id"], &rest["next_cursor"]), (&json!(7), &Value::Null));
    assert_eq!(rest["items"][0]["fields"], Value::Null);
    let some = place.get("/api/zoho/outbox?status=shadow&entity_type=products").await;
    assert_eq!(some["items"].as_array().map(Vec::len), Some(2));
    let change = &some["items"][1];
    let shown = place.get(&format!("/api/zoho/outbox/{}", change["id"])).await;
    assert_eq!(&shown, change);
    assert_eq!(shown["differences"], json!([{"field": "rate", "zoho": 4.5, "erp": 5}]));
    let document = place.get("/openapi.json").await;
    let described = document["components"]["schemas"]["LocalChange"]["properties"].as_object().expect("keys");
    assert!(shown.as_object().expect("an object").keys().eq(described.keys()), "{shown}");

    place.server.get("/api/zoho/outbox/99").await.is_problem(404, "unknown-id");
    for query in ["status=done", "limit=0", "search=x", "cursor=no-cursor"] {
        place.server.get(&format!("/api/zoho/outbox?{query}")).await.is_problem(422, "invalid-value");
    }
    let metrics = place.server.get("/metrics").await.text;
    for line in [
        r#"tds_outbox_pending{entity="invoices"} 1"#,
        r#"tds_outbox_pending{entity="products"} 0"#,
        r#"tds_conflicts_open{entity="vendors"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    let readiness = place.get("/api/zoho/readiness").await;
    let checks = readiness["checks"].as_array().expect("checks");
    let shadow = checks.iter().find(|check| check["name"] == "shadow_pushes").expect("a check");
    assert_eq!((&shadow["status"], &shadow["value"]), (&json!("fail"), &json!(1.0)), "{shadow}");
    assert!(shadow["hint"].as_str().is_some_and(|hint| hint.contains("rate is negative")), "{shadow}");
}

#[tokio::test]
async fn a_conflict_is_counted_shown_and_decided_once() {
    let place = Place::new().await;
    place.conflicts().await;
    let stats = place.get("/api/zoho/sync/stats").await;
    assert_eq!(stats["needs_attention"]["conflicts"], 2, "{stats}");
    let metrics = place.server.get("/metrics").await.text;
    for line in [r#"tds_conflicts_open{entity="products"} 2"#, r#"tds_needs_attention{kind="conflicts"} 2"#] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }

    let page = place.get("/api/zoho/conflicts?status=open&entity_type=products").await;
    let (second, first) = (&page["items"][0], &page["items"][1]);
    let expected = json!({"field": "rate", "base": 4.5, "erp": 5, "zoho": 6.25, "winner": null});
    assert_eq!((&first["zoho_id"], &first["fields"][0]), (&json!("1"), &expected), "{page}");
    let address = |conflict: &Value| format!("/api/zoho/conflicts/{}", conflict["id"]);
    assert_eq!(&place.get(&address(first)).await, first);
    assert_eq!(place.get("/api/zoho/conflicts?status=resolved").await["items"], json!([]));

    let resolve = async |conflict: &Value, body: Value| {
        place.server.post(&format!("{}/resolve", address(conflict)), body).await
    };
    for body in [
        json!({"take": "source"}),
        json!({"take": ""}),
        json!({}),
        json!({"take": "merge", "fields": {"rate": 6}}),
        json!({"take": "zoho", "fields": {"sku": "x"}}),
        json!({"take": "zoho", "field": {}}),
    ] {
        resolve(first, body).await.is_problem(422, "invalid-value");
    }
    let decided = resolve(first, json!({"take": "zoho"})).await;
    assert_eq!(decided.status, 200, "{}", decided.text);
    let decided = decided.json();
    assert_eq!(
        (&decided["status"], &decided["resolved_by"]),
        (&json!("resolved"), &json!("ann")),
        "{decided}"
    );
    assert_eq!(decided["fields"][1]["winner"], "zoho");
    assert_eq!(decided["fields"][1]["erp"], "Lamp", "the version that lost is kept");
    resolve(first, json!({"take": "erp"})).await.is_problem(409, "conflict");
    let merged =
        resolve(second, json!({"take": "merge", "fields": {"rate": 5.75, "name": "Desk lamp"}})).await;
    assert_eq!(merged.status, 200, "{}", merged.text);
    let winners = merged.json()["fields"].as_array().expect("fields").clone();
    assert_eq!((&winners[0]["winner"], &winners[1]["winner"]), (&json!("erp"), &json!("zoho")));

    let again = place.get("/api/zoho/outbox?status=pending").await;
    assert_eq!(again["items"].as_array().map(Vec::len), Some(2), "the pushes continue: {again}");
    assert_eq!(place.get("/api/zoho/sync/stats").await["needs_attention"]["conflicts"], 0);
    let missing = place.server.post("/api/zoho/conflicts/99/resolve", json!({"take": "erp"})).await;
    missing.is_problem(404, "unknown-id");
    place.server.get("/api/zoho/conflicts/99").await.is_problem(404, "unknown-id");
    place.server.get("/api/zoho/conflicts?state=open").await.is_problem(422, "invalid-value");
}
