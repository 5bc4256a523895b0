//! Tests `mode`, `outbox` and `conflicts`.

use serde_json::json;
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, sample};

use crate::{program::Program, syncing};

/// A record that was quiet for an hour is looked at for the second time at once.
const AGE: &str = "UPDATE tds_sync_records SET observed_began = observed_began - interval '1 hour',
    observed_ended = observed_ended - interval '1 hour', first_seen_at = first_seen_at - interval '1 hour',
    detail_seen = detail_seen - interval '1 hour', volatile_seen = volatile_seen - interval '1 hour'";

fn program(database: &TestDatabase) -> Program {
    Program::new().with("DATABASE_URL", database.url())
}

#[tokio::test]
async fn modes_are_set_with_policies_and_refused_where_nothing_is_written() {
    let database = TestDatabase::new().await;
    let program = program(&database);
    let table = program.done(&["mode", "get"]).await;
    assert!(
        table.lines().any(|line| line.starts_with("products ") && line.contains("zoho_primary")),
        "{table}"
    );
    let set = program
        .run(&[
            "mode",
            "set",
            "credit-notes",
            "bidirectional",
            "--conflict-policy",
            "newest_wins",
            "--field",
            "notes=erp_wins",
        ])
        .await;
    assert_eq!(set.status, 0, "{}", set.stderr);
    assert!(
        set.stderr
            .contains("credit_notes is bidirectional (epoch 2); conflicts: newest_wins, notes erp_wins"),
        "{}",
        set.stderr
    );
    let add = [
        "mode",
        "set",
        "credit_notes",
        "shadow",
        "--field",
        "number=manual",
        "--field",
        "notes=default",
        "--json",
    ];
    let list = program.json(&add).await;
    let modes = list["modes"].as_array().expect("modes");
    let mode = modes.iter().find(|mode| mode["entity_type"] == "credit_notes").expect("a mode");
    assert_eq!((&mode["mode"], &mode["epoch"]), (&json!("shadow"), &json!(3)));
    assert_eq!(mode["field_policies"], json!({"number": "manual"}));
    let one = program.json(&["mode", "get", "credit_notes", "--json"]).await;
    assert_eq!(one["modes"], json!([mode]));
    for (arguments, part) in [
        (["mode", "set", "taxes", "shadow"].as_slice(), "TDS does not write taxes to Zoho"),
        (&["mode", "set", "products", "bidirectionl"], "'bidirectional'"),
        (&["mode", "set", "products", "shadow", "--field", "rat=manual"], "did you mean rate?"),
        (&["mode", "set", "products", "shadow", "--field", "rate=newest"], "newest_wins"),
        (&["mode", "set", "products", "shadow", "--conflict-policy", "source_wins"], "zoho_wins"),
        (&["mode", "get", "product"], "'products'"),
    ] {
        let ended = program.run(arguments).await;
        assert_eq!(ended.status, 2, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(part), "{arguments:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn local_changes_and_conflicts_are_shown_and_conflicts_are_decided() {
    let database = TestDatabase::new().await;
    let program = program(&database);
    let page = json!({"items": [], "next_cursor": null});
    assert_eq!(program.json(&["outbox", "list", "--json"]).await, page);
    assert_eq!(program.json(&["conflicts", "list", "--json"]).await, page);
    for arguments in [["outbox", "show", "1"], ["conflicts", "show", "1"]] {
        assert_eq!(program.run(&arguments).await.status, 1, "{arguments:?}");
    }
    database
        .execute(
            "SELECT set_config('tds.origin', 'remote', true);
             INSERT INTO erp.products (zoho_id, name, rate, raw) VALUES ('5', '007', 5, '{}'), ('6', 'Chair', 7, '{}');
             INSERT INTO tds_conflicts (entity_type, local_id, zoho_id, fields)
               SELECT 'products', id, zoho_id, '[{\"field\": \"rate\", \"base\": 4.5, \"erp\": 5, \"zoho\": 6.25, \"winner\": null},
                 {\"field\": \"name\", \"base\": \"L\", \"erp\": \"007\", \"zoho\": \"008\", \"winner\": null}]'
                 FROM erp.products ORDER BY zoho_id;
             INSERT INTO tds_outbox (entity_type, local_id, zoho_id, operation, fields, status, relayed, conflict_id)
               SELECT 'products', local_id, zoho_id, 'upsert', '{name,rate}', 'conflict', true, id FROM tds_conflicts ORDER BY id",
        )
        .await;
    let changes = program.done(&["outbox", "list", "--status", "conflict", "--entity", "products"]).await;
    assert!(changes.contains("name, rate") && changes.contains("upsert"), "{changes}");
    let list = program.json(&["conflicts", "list", "--status", "open", "--json"]).await;
    let (second, first) = (list["items"][0]["id"].to_string(), list["items"][1]["id"].to_string());
    let shown = program.done(&["conflicts", "show", &first]).await;
    for part in ["Zoho id 5", "a person has to decide", "4.5", "6.25", "008"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let none = program.run(&["conflicts", "resolve", &first, "--take", "erp", "--field", "sku=1"]).await;
    assert!(none.status == 2 && none.stderr.contains("rate, name"), "{}", none.stderr);
    let few = program.run(&["conflicts", "resolve", &first, "--take", "merge", "--field", "rate=1"]).await;
    assert_eq!(few.status, 1, "a field has no decision: {}", few.stderr);
    let merge = [
        "conflicts",
        "resolve",
        &first,
        "--take",
        "merge",
        "--field",
        "rate=@zoho",
        "--field",
        "name=009",
        "--json",
    ];
    let decided = program.json(&merge).await;
    assert_eq!((&decided["status"], &decided["resolved_by"]), (&json!("resolved"), &json!("cli")));
    assert_eq!(
        (&decided["fields"][0]["winner"], &decided["fields"][1]["winner"]),
        (&json!("zoho"), &json!("erp"))
    );
    let again = program.run(&["conflicts", "resolve", &first, "--take", "zoho"]).await;
    assert!(again.status == 1 && again.stderr.contains("decided already"), "{}", again.stderr);
    program.done(&["conflicts", "resolve", &second, "--take", "erp"]).await;
    let pending = program.json(&["outbox", "list", "--status", "pending", "--json"]).await;
    assert_eq!(pending["items"].as_array().map(Vec::len), Some(2), "the pushes continue");
    let one = program.done(&["outbox", "show", &pending["items"][0]["id"].to_string()]).await;
    assert!(one.contains("queue_item_status  pending"), "{one}");
}

#[tokio::test]
async fn a_mode_is_switched_only_if_nothing_waits_and_nothing_differs() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    // The version is old enough as well.
    let mut item = sample::item(1);
    item["last_modified_time"] = json!("2026-11-20T12:00:00+0300");
    let id = zoho.put_item(item);
    let program = syncing::program(&zoho, &database);
    program.done(&["bulk-sync", "--entity", "products", "--mode", "full"]).await;
    let switch = ["mode", "switch", "products", "bidirectional", "--wait", "1s"];

    database
        .execute("INSERT INTO tds_conflicts (entity_type, local_id, fields) VALUES ('products', 1, '[]')")
        .await;
    let ended = program.run(&switch).await;
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("products was not switched to bidirectional")
            && ended.stderr.contains("conflicts list --status open --entity products"),
        "{}",
        ended.stderr
    );
    database.execute("DELETE FROM tds_conflicts").await;

    // A local change that no server pushes is under way.
    database
        .execute("INSERT INTO tds_outbox (entity_type, local_id, operation) VALUES ('products', 1, 'upsert')")
        .await;
    let ended = program.run(&switch).await;
    assert!(ended.status == 1 && ended.stderr.contains("under way"), "{}", ended.stderr);
    database.execute("DELETE FROM tds_outbox").await;

    database
        .execute(format!(
            "{AGE}; SELECT set_config('tds.origin', 'remote', true); UPDATE erp.products SET name = 'by hand' WHERE zoho_id = '{id}'"
        ))
        .await;
    let ended = program.run(&switch).await;
    assert!(
        ended.status == 1 && ended.stderr.contains("verify --repair --entity products"),
        "{}",
        ended.stderr
    );
    program.done(&["verify", "--entity", "products", "--repair"]).await;

    let switched = program.run(&switch).await;
    assert_eq!(switched.status, 0, "{}", switched.stderr);
    for step in ["check: ", "drain: ", "verify: ", "money: ", "pause: ", "flip: ", "resume: "] {
        assert!(switched.stderr.contains(&format!("products: {step}")), "{step} in {}", switched.stderr);
    }
    assert!(switched.stderr.contains("products is bidirectional (epoch 2)"), "{}", switched.stderr);
    let again = program.run(&switch).await;
    assert!(again.status == 1 && again.stderr.contains("has this mode already"), "{}", again.stderr);
    let unwritten = program.run(&["mode", "switch", "taxes", "shadow"]).await;
    assert_eq!(unwritten.status, 2, "{}", unwritten.stderr);
}
