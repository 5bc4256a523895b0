//! Every entity type arrives on every path: the tests compare the ERP rows column by column.

use serde_json::{Value, json};

use crate::{shop::Shop, subject::Subject};

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_with_the_whole_record_lands_without_a_read() {
    for subject in Subject::all() {
        let shop = Shop::open().await;
        shop.zoho.put(subject.module, subject.record.clone());
        let before = shop.zoho.calls_to(subject.detail_path);
        shop.webhook_done(subject.webhook, &subject.whole_body(&shop)).await;
        subject.assert_landed(&shop).await;
        if subject.webhook_is_enough {
            assert_eq!(shop.zoho.calls_to(subject.detail_path), before, "{} needed a read", subject.entity);
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
    for subject in Subject::all() {
        let shop = Shop::open().await;
        shop.zoho.put(subject.module, subject.record.clone());
        shop.webhook_done(subject.webhook, &subject.naming_body()).await;
        subject.assert_landed(&shop).await;
        assert!(shop.zoho.calls_to(subject.detail_path) > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_brings_every_column() {
    for subject in Subject::all() {
        let shop = Shop::open().await;
        shop.zoho.put(subject.module, subject.record.clone());
        let run = shop.sync(subject.entity, "full").await;
        assert_eq!(
            (&run["total_items"], &run["processed_items"], &run["failed_items"]),
            (&json!(1), &json!(1), &json!(0))
        );
        subject.assert_landed(&shop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_sync_brings_what_changed() {
    for subject in Subject::all() {
        let shop = Shop::open().await;
        shop.zoho.put(subject.module, subject.record.clone());
        shop.sync(subject.entity, "full").await;
        let (change, _, wanted) = &subject.change;
        shop.zoho.update(subject.module, subject.id(), change.clone());
        shop.sync(subject.entity, "incremental").await;
        assert_eq!(&subject.changed_column(&shop).await, wanted, "{}", subject.entity);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_webhook_leaves_a_tombstone() {
    for subject in Subject::all() {
        let shop = Shop::open().await;
        shop.zoho.put(subject.module, subject.record.clone());
        shop.sync(subject.entity, "full").await;
        shop.zoho.delete(subject.module, subject.id());
        shop.webhook_done(&format!("{}?event=deleted", subject.webhook), &subject.naming_body()).await;
        subject.assert_gone(&shop).await;
        let event = &shop.rows("tds_inbox_events", "id DESC").await[0];
        assert_eq!(event["outcome"], "deleted", "{event:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_webhook_for_a_record_that_is_still_there_deletes_nothing() {
    for subject in Subject::all() {
        let shop = Shop::open().await;
        shop.zoho.put(subject.module, subject.record.clone());
        shop.sync(subject.entity, "full").await;
        shop.webhook_done(&format!("{}?event=deleted", subject.webhook), &subject.naming_body()).await;
        subject.assert_landed(&shop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_finds_what_was_deleted() {
    for subject in Subject::all() {
        let shop = Shop::open().await;
        shop.zoho.put(subject.module, subject.record.clone());
        shop.sync(subject.entity, "full").await;
        shop.zoho.delete(subject.module, subject.id());
        shop.sync(subject.entity, "full").await;
        subject.assert_gone(&shop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn children_are_replaced_as_a_set() {
    for subject in Subject::all().into_iter().filter(|subject| subject.record.get("line_items").is_some()) {
        let shop = Shop::open().await;
        shop.zoho.put(subject.module, subject.record.clone());
        shop.sync(subject.entity, "full").await;
        let one_line = json!({"line_items": [subject.record["line_items"][1]]});
        shop.zoho.update(subject.module, subject.id(), one_line);
        shop.webhook_done(subject.webhook, &subject.naming_body()).await;
        let lines = subject.entity.trim_end_matches('s').to_owned() + "_lines";
        let rows = shop.rows(&format!("erp.{lines}"), "position").await;
        let ids: Vec<&Value> = rows.iter().map(|row| &row["line_zoho_id"]).collect();
        assert_eq!(ids, [&json!("460000000567022")], "{}", subject.entity);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_full_sync_writes_nothing() {
    for subject in Subject::all() {
        let shop = Shop::open().await;
        shop.zoho.put(subject.module, subject.record.clone());
        shop.sync(subject.entity, "full").await;
        let Some(table) = subject.head_table() else { continue };
        let version = format!("SELECT xmin::text FROM erp.{table}");
        let before = shop.text(&version).await;
        shop.sync(subject.entity, "full").await;
        assert_eq!(shop.text(&version).await, before, "{} was written again", subject.entity);
    }
}
