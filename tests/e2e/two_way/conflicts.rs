//! Edits of both sides: what merges, what conflicts, and who decides.

use serde_json::{Value, json};
use tds_core::record::EntityType;
use tds_zoho::testkit::{Module, stamp};

use super::both::Both;
use crate::process::until;

const CUSTOMERS: EntityType = EntityType::from_static("customers");

/// Changes a record on both sides, before either side knows of the other's change.
async fn both_change(shop: &Both, n: usize, here: &str, there: Value) -> (i64, String) {
    let (local, remote) = shop.known("customers", n).await;
    shop.edit_unheard(Module::CONTACTS, &remote, there);
    shop.write(&format!("UPDATE erp.customers SET {here} WHERE id = {local}")).await;
    (local, remote)
}

/// Returns a column of the ERP, and the value of Zoho.
async fn sides(shop: &Both, local: i64, remote: &str, (column, key): (&str, &str)) -> (Value, Value) {
    (shop.row("customers", local).await[column].clone(), shop.in_zoho(Module::CONTACTS, remote, key))
}

/// Different fields: both changes are on both sides afterwards, and no conflict is noted.
pub(super) async fn fields_merge(shop: &Both) {
    let (local, remote) = both_change(shop, 0, "notes = 'here'", json!({"company_name": "there"})).await;
    shop.arrived("different fields").await;
    for field in [("notes", "notes", "here"), ("company_name", "company_name", "there")] {
        let (column, key, value) = field;
        let found = sides(shop, local, &remote, (column, key)).await;
        assert_eq!(found, (json!(value), json!(value)), "{column}");
    }
    assert_eq!(shop.count("tds_conflicts").await, 0);
    // The webhook of Zoho's user arrives late, after the merge. Nothing goes back.
    let writes = shop.zoho.writes();
    let body = shop.zoho.webhook_body(Module::CONTACTS, &remote);
    shop.server.webhook_accepted("customers", &body).await;
    shop.echo().await;
    shop.arrived("late webhooks").await;
    assert_eq!(shop.zoho.writes(), writes);
}

/// Lines merge by their ids: one side changes a quantity, the other a description, and each adds a line.
pub(super) async fn lines_merge(shop: &Both) {
    let (product, item) = shop.known("products", 0).await;
    let (customer, _) = shop.known("customers", 1).await;
    let invoice = shop
        .write(&format!(
            "WITH head AS (INSERT INTO erp.invoices (customer_id, date, currency_code) VALUES ({customer}, current_date, 'IQD') RETURNING id),
                  line AS (INSERT INTO erp.invoice_lines (document_id, position, product_id, quantity, rate)
                           SELECT id, n, {product}, n, 10 FROM head, generate_series(1, 2) AS n)
             SELECT id FROM head"
        ))
        .await;
    shop.arrived("an invoice").await;
    let remote = shop.row("invoices", invoice).await["zoho_id"].as_str().expect("an id").to_owned();
    let mut lines = shop.in_zoho(Module::INVOICES, &remote, "line_items");
    lines[1]["description"] = json!("of Zoho");
    shop.edit_unheard(Module::INVOICES, &remote, json!({"line_items": lines}));
    shop.write(&format!(
        "UPDATE erp.invoice_lines SET quantity = 5 WHERE document_id = {invoice} AND position = 1"
    ))
    .await;
    shop.write(&format!(
        "INSERT INTO erp.invoice_lines (document_id, position, product_id, quantity, rate) VALUES ({invoice}, 3, {product}, 1, 7)"
    ))
    .await;
    shop.arrived("lines of both sides").await;
    let lines = shop.in_zoho(Module::INVOICES, &remote, "line_items");
    let shown: Vec<(String, &Value)> = lines
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| {
            (line["quantity"].to_string().trim_end_matches(['0', '.']).to_owned(), &line["description"])
        })
        .collect();
    assert_eq!(shown.len(), 3, "{lines:#}");
    assert_eq!(
        (shown[0].0.as_str(), shown[1].1, shown[2].0.as_str()),
        ("5", &json!("of Zoho"), "1"),
        "{lines:#}"
    );
    let rows = shop.lines("invoice_lines", "document_id", invoice).await;
    for (row, line) in rows.iter().zip(lines.as_array().expect("lines")) {
        assert_eq!(
            (&row["line_zoho_id"], &row["product_zoho_id"]),
            (&line["line_item_id"], &json!(item)),
            "{row:#}"
        );
    }
    assert_eq!(rows.len(), 3, "{rows:#?}");
    assert_eq!(rows[1]["description"], "of Zoho", "{rows:#?}");
    let head = shop.row("invoices", invoice).await;
    assert_eq!(head["total"].to_string(), "77.00", "5 and 2 at 10, and 1 at 7: {head:#}");
}

/// The same field: the policy of the entity type or of the field decides, and the loser is kept.
pub(super) async fn policies_decide(shop: &Both) {
    let long_ago = stamp(shop.zoho.now() - time::Duration::minutes(20));
    let just_now = stamp(shop.zoho.now() + time::Duration::seconds(5));
    let cases = [
        (2, json!({"conflict_policy": "zoho_wins"}), None, "zoho"),
        (3, json!({"conflict_policy": "erp_wins"}), None, "erp"),
        (4, json!({"conflict_policy": "newest_wins"}), Some(&long_ago), "erp"),
        (5, json!({"conflict_policy": "newest_wins"}), Some(&just_now), "zoho"),
        (
            6,
            json!({"conflict_policy": "zoho_wins", "field_policies": {"company_name": "erp_wins"}}),
            None,
            "erp",
        ),
    ];
    for (n, policy, at, winner) in cases {
        let mut change = json!({"entity_type": "customers"});
        change.as_object_mut().expect("an object").extend(policy.as_object().expect("an object").clone());
        shop.set(change).await;
        let mut there = json!({"company_name": format!("zoho {n}")});
        if let Some(at) = at {
            there["last_modified_time"] = json!(at);
        }
        let (local, remote) = both_change(shop, n, &format!("company_name = 'erp {n}'"), there).await;
        shop.arrived("a conflict that a policy decides").await;
        let stays = json!(format!("{winner} {n}"));
        let found = sides(shop, local, &remote, ("company_name", "company_name")).await;
        assert_eq!(found, (stays.clone(), stays), "{policy}");
        let kept = shop.server.get("/api/zoho/conflicts?limit=1").await;
        let conflict = &kept["items"][0];
        assert_eq!(
            (&conflict["status"], &conflict["local_id"]),
            (&json!("resolved"), &json!(local)),
            "{kept:#}"
        );
        let field = &conflict["fields"][0];
        assert_eq!(
            (&field["field"], &field["erp"], &field["zoho"], &field["winner"]),
            (&json!("company_name"), &json!(format!("erp {n}")), &json!(format!("zoho {n}")), &json!(winner)),
            "{kept:#}"
        );
    }
    shop.set(json!({"entity_type": "customers", "conflict_policy": "manual", "field_policies": {}})).await;
}

/// Nobody decides by himself: the push waits, both sides keep their values, and a person decides by API or command line.
pub(super) async fn a_person_decides(shop: &Both) {
    let merged = json!({"take": "merge", "fields": {"company_name": "merged"}});
    let decisions = [
        ("erp", json!({"take": "erp"}), "erp for erp"),
        ("zoho", json!({"take": "zoho"}), "zoho for zoho"),
        ("merge", merged, "merged"),
    ];
    for (take, decision, stays) in decisions {
        let here = format!("company_name = 'erp for {take}', notes = 'beside {take}'");
        let there = json!({"company_name": format!("zoho for {take}")});
        let (local, remote) = both_change(shop, 2, &here, there).await;
        shop.becomes(&CUSTOMERS, local, "conflict").await;
        let found = sides(shop, local, &remote, ("company_name", "company_name")).await;
        let own = (json!(format!("erp for {take}")), json!(format!("zoho for {take}")));
        assert_eq!(found, own, "both sides keep their values");
        let stats = shop.server.get("/api/zoho/sync/stats").await;
        assert_eq!(stats["needs_attention"]["conflicts"], json!(1), "{stats:#}");
        let open = shop.server.get("/api/zoho/conflicts?status=open&entity_type=customers").await;
        let conflict = &open["items"][0];
        assert_eq!(
            (&conflict["local_id"], &conflict["zoho_id"]),
            (&json!(local), &json!(remote)),
            "{open:#}"
        );
        let (status, _, stderr) = shop.server.told(&["mode", "switch", "customers", "erp_primary"]).await;
        assert!(status == 1 && stderr.contains("conflict"), "{status}: {stderr}");
        let id = conflict["id"].as_i64().expect("an id").to_string();
        if take == "zoho" {
            let (status, stdout, stderr) =
                shop.server.told(&["conflicts", "resolve", &id, "--take", "zoho"]).await;
            assert_eq!(status, 0, "{stdout}{stderr}");
        } else {
            let (status, answer) =
                shop.server.post(&format!("/api/zoho/conflicts/{id}/resolve"), decision).await;
            assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("resolved")), "{answer}");
        }
        shop.arrived("a decision").await;
        let sides_now = async || sides(shop, local, &remote, ("company_name", "company_name")).await;
        until(&format!("{take} is taken"), async || sides_now().await == (json!(stays), json!(stays))).await;
        let notes = sides(shop, local, &remote, ("notes", "notes")).await;
        assert_eq!(notes, (json!(format!("beside {take}")), json!(format!("beside {take}"))));
        let (status, _) =
            shop.server.post(&format!("/api/zoho/conflicts/{id}/resolve"), json!({"take": "erp"})).await;
        assert_eq!(status, 409, "a conflict is decided once");
        shop.echo().await;
        shop.arrived("the echo of a decision").await;
    }
}
