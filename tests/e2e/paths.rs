//! Every entity type arrives on every path: the tests compare the ERP rows column by column.

use serde_json::{Value, json};

use crate::{shop::Shop, way::Way};

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_with_the_whole_record_lands_without_a_read() {
    for way in Way::all() {
        let shop = Shop::open().await;
        shop.zoho.put(way.module, way.record.clone());
        let before = shop.zoho.calls_to(way.detail_path);
        shop.webhook_done(way.webhook, &way.whole_body(&shop)).await;
        way.assert_landed(&shop).await;
        if way.webhook_is_enough {
            assert_eq!(shop.zoho.calls_to(way.detail_path), before, "{} needed a read", way.entity);
        }
        let event = &shop.rows("tds_inbox_events", "id").await[0];
        assert_eq!(
            (&event["status"], &event["outcome"]),
            (&json!("completed"), &json!("applied")),
            "{event:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_only_names_the_record_makes_a_read() {
    for way in Way::all() {
        let shop = Shop::open().await;
        shop.zoho.put(way.module, way.record.clone());
        shop.webhook_done(way.webhook, &way.naming_body()).await;
        way.assert_landed(&shop).await;
        assert!(shop.zoho.calls_to(way.detail_path) > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_brings_every_column() {
    for way in Way::all() {
        let shop = Shop::open().await;
        shop.zoho.put(way.module, way.record.clone());
        let run = shop.sync(way.entity, "full").await;
        assert_eq!(
            (&run["total_items"], &run["processed_items"], &run["failed_items"]),
            (&json!(1), &json!(1), &json!(0))
        );
        way.assert_landed(&shop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_sync_brings_what_changed() {
    for way in Way::all() {
        let shop = Shop::open().await;
        shop.zoho.put(way.module, way.record.clone());
        shop.sync(way.entity, "full").await;
        let (change, _, wanted) = &way.change;
        shop.zoho.update(way.module, way.id(), change.clone());
        shop.sync(way.entity, "incremental").await;
        assert_eq!(&way.changed_column(&shop).await, wanted, "{}", way.entity);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_webhook_leaves_a_tombstone() {
    for way in Way::all() {
        let shop = Shop::open().await;
        shop.zoho.put(way.module, way.record.clone());
        shop.sync(way.entity, "full").await;
        shop.zoho.delete(way.module, way.id());
        shop.webhook_done(&format!("{}?event=deleted", way.webhook), &way.naming_body()).await;
        way.assert_gone(&shop).await;
        let event = &shop.rows("tds_inbox_events", "id DESC").await[0];
        assert_eq!(event["outcome"], "deleted", "{event:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_webhook_for_a_record_that_is_still_there_deletes_nothing() {
    for way in Way::all() {
        let shop = Shop::open().await;
        shop.zoho.put(way.module, way.record.clone());
        shop.sync(way.entity, "full").await;
        shop.webhook_done(&format!("{}?event=deleted", way.webhook), &way.naming_body()).await;
        way.assert_landed(&shop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_finds_what_was_deleted() {
    for way in Way::all() {
        let shop = Shop::open().await;
        shop.zoho.put(way.module, way.record.clone());
        shop.sync(way.entity, "full").await;
        shop.zoho.delete(way.module, way.id());
        shop.sync(way.entity, "full").await;
        way.assert_gone(&shop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn children_are_replaced_as_a_set() {
    for way in Way::all().into_iter().filter(|way| way.record.get("line_items").is_some()) {
        let shop = Shop::open().await;
        shop.zoho.put(way.module, way.record.clone());
        shop.sync(way.entity, "full").await;
        let one_line = json!({"line_items": [way.record["line_items"][1]]});
        shop.zoho.update(way.module, way.id(), one_line);
        shop.webhook_done(way.webhook, &way.naming_body()).await;
        let lines = way.entity.trim_end_matches('s').to_owned() + "_lines";
        let rows = shop.rows(&format!("erp.{lines}"), "position").await;
        let ids: Vec<&Value> = rows.iter().map(|row| &row["line_zoho_id"]).collect();
        assert_eq!(ids, [&json!("460000000567022")], "{}", way.entity);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_full_sync_writes_nothing() {
    for way in Way::all() {
        let shop = Shop::open().await;
        shop.zoho.put(way.module, way.record.clone());
        shop.sync(way.entity, "full").await;
        let Some(table) = way.head_table() else { continue };
        let version = format!("SELECT xmin::text FROM erp.{table}");
        let before = shop.text(&version).await;
        shop.sync(way.entity, "full").await;
        assert_eq!(shop.text(&version).await, before, "{} was written again", way.entity);
    }
}
