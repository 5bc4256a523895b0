//! Phase 3: the ERP is primary, and the way back.

use serde_json::{Value, json};
use tds_zoho::testkit::{Module, stamp};

use super::assert_guarded;
use crate::two_way::{both::Both, entries::KINDS};

/// Acts as if everything had been read an hour ago: a verification looks again, and later, at what was just seen.
const AGE: &str = "UPDATE tds_sync_records SET observed_began = observed_began - interval '1 hour',
    observed_ended = observed_ended - interval '1 hour', first_seen_at = first_seen_at - interval '1 hour',
    detail_seen = detail_seen - interval '1 hour', volatile_seen = volatile_seen - interval '1 hour'";

/// The ERP is primary: what others change in Zoho is drift.
pub(super) async fn phase_three(shop: &Both) {
    shop.set_modes("erp_primary").await;
    let writes = shop.zoho.writes();
    let mut edited = Vec::new();
    for kind in &KINDS {
        let (column, key) = kind.change;
        let (local, remote) = shop.known(kind.table, 2).await;
        let old = shop.row(kind.table, local).await[column].clone();
        // The edit is older than a minute, so that it cannot be a change on its way.
        let at = stamp(shop.zoho.now() - time::Duration::minutes(10));
        shop.edit(kind.path, kind.module, &remote, json!({key: "of a foreigner", "last_modified_time": at}))
            .await;
        edited.push((kind, local, remote, old));
    }
    shop.arrived("edits of foreigners").await;
    for (kind, local, _, old) in &edited {
        assert_eq!(&shop.row(kind.table, *local).await[kind.change.0], old, "{} is not applied", kind.entity);
    }
    assert_eq!(shop.zoho.writes(), writes);

    // Each of them is drift, and the switch back is refused.
    shop.write(AGE).await;
    let found = drift(shop).await;
    for (kind, _, remote, _) in &edited {
        let is_found = found.iter().any(|(entity, id)| entity == kind.entity.as_str() && id == remote);
        assert!(is_found, "{} {remote} is not in {found:?}", kind.entity);
    }
    assert_eq!(found.len(), KINDS.len(), "{found:?}");
    let (status, stdout, stderr) =
        shop.server.told(&["mode", "switch", "sales_orders", "bidirectional"]).await;
    assert!(status == 1 && stderr.contains("differ"), "{status}: {stdout}{stderr}");

    // The ERP's values go to Zoho again. Then nothing keeps the types from switching.
    for (kind, local, ..) in &edited {
        shop.write(&format!("SELECT tds_push('{}', {local}, 'upsert')", kind.entity)).await;
    }
    shop.arrived("the ERP's values").await;
    for (kind, local, remote, old) in &edited {
        let now = shop.in_zoho(kind.module, remote, kind.change.1);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert_eq!(text(&now), text(old), "{} {local}", kind.entity);
    }
    shop.echo().await;
    shop.arrived("the echoes of phase 3").await;
}

/// Returns the records that a verification of everything reports.
async fn drift(shop: &Both) -> Vec<(String, String)> {
    let (_, report) = shop.server.command(&["verify", "--json"]).await;
    let report: Value = serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {report}"));
    let entities = report["entities"].as_array().expect("entities");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut found = Vec::new();
    for entity in entities {
        for example in entity["examples"].as_array().expect("examples") {
            found.push((text(&entity["entity_type"]), text(&example["zoho_id"])));
        }
    }
    assert_eq!(report["drift_total"], json!(found.len()), "{report:#}");
    found
}

/// Back to both sides, and to Zoho: an edit in Zoho arrives again, and at the end nothing differs.
pub(super) async fn back(shop: &Both) {
    shop.write(AGE).await;
    let (status, stdout, stderr) =
        shop.server.told(&["mode", "switch", "sales_orders", "bidirectional"]).await;
    assert_eq!(status, 0, "{stdout}{stderr}");
    shop.set_modes("bidirectional").await;
    let (local, remote) = shop.known("sales_orders", 2).await;
    shop.edit("sales-orders", Module::SALES_ORDERS, &remote, json!({"reference_number": "again"})).await;
    shop.arrived("an edit after the way back").await;
    assert_eq!(shop.row("sales_orders", local).await["reference_number"], "again");

    let (status, stdout, stderr) = shop.server.told(&["mode", "switch", "products", "zoho_primary"]).await;
    assert_eq!(status, 0, "{stdout}{stderr}");
    assert_guarded(shop, &KINDS[4]).await;
    shop.write(AGE).await;
    let (status, report) = shop.server.command(&["verify", "--json"]).await;
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!((status, &report["drift_total"]), (0, &json!(0)), "{report:#}");
}
