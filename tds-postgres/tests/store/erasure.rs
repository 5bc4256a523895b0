//! Tests of erasures: the image of an erased product, and ids that contain the id of an erased record.

use std::sync::Arc;

use tds_core::{
    images::{ImageRecord, ImageRecords as _, Look, ShownImage},
    mirror::MirrorSchema,
    privacy::{ErasedFile, Eraser as _},
    record::RecordId,
    testkit::ColumnRedaction,
};
use tds_postgres::{PgEraser, PgImages};

use crate::support::{PRODUCTS, key, store, text};

const SCHEMA: MirrorSchema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };

#[tokio::test]
async fn an_erased_product_keeps_only_the_place_of_its_file_until_the_file_is_removed() {
    let (database, _store) = store().await;
    let db = database.database();
    // Products name no person.
    let persons = Arc::new(ColumnRedaction::default());
    let (eraser, images) = (PgEraser::new(db.clone(), persons), PgImages::new(db.clone()));
    database
        .execute(
            "INSERT INTO erp.products (zoho_id, name, image_name) VALUES ('46000', 'lamp', 'a.png'), ('460001', 'x', 'b.png');
             INSERT INTO erp.product_images (product_zoho_id, image_name, sha256, location, error) VALUES
               ('46000', 'a.png', 'ab', 'file:///srv/ab.png', 'x'), ('460001', 'b.png', 'ab', 'file:///srv/ab.png', NULL);
             INSERT INTO tds_queue_live (entity_type, zoho_entity_id, status, dead_lettered_at, payload, error_message) VALUES
               ('products', '46000', 'dead_letter', now(), '{}', 'lamp'),
               ('products', '460001', 'dead_letter', now(), '{\"item_id\": 460001}', 'of another'),
               ('prices', '7', 'dead_letter', now(), '{\"items\": [146000, 46000]}', 'lamp');
             INSERT INTO tds_inbox_events (event_id, source_type, entity_type, event_type, raw_payload)
               SELECT n, 'zoho', 'products', 'updated', convert_to(body, 'UTF8') FROM (VALUES
                 ('a', '{\"item_id\": 46000}'), ('b', '{\"item_id\": 460001, \"n\": \"146000\"}'),
                 ('c', E'46000\\nbegins'), ('d', E'ends\\n46000'), ('e', 'of%20146000'), ('f', 'item%3A%2246000%22'))
                 AS v (n, body)",
        )
        .await;
    let erase = || async { eraser.erase(&[&SCHEMA], &RecordId::new("46000"), "test").await.expect("erased") };
    let counts = erase().await.expect("it is known").counts;
    assert_eq!((counts.rows, counts.files, counts.events, counts.items), (1, 1, 4, 2));

    // A longer id is another record.
    let kept =
        "SELECT string_agg(event_id, '' ORDER BY event_id) FROM tds_inbox_events WHERE raw_payload <> ''";
    assert_eq!(text(&database, kept).await, "be");
    let errors = "SELECT string_agg(concat(error_message, payload), '') FROM tds_queue_live";
    assert_eq!(text(&database, errors).await, "of another{\"item_id\": 460001}");

    let row =
        "SELECT concat_ws(' ', product_zoho_id, image_name, sha256, location, error, deleted_at IS NOT NULL)
      FROM erp.product_images WHERE product_zoho_id = '46000'";
    assert_eq!(text(&database, row).await, "46000 file:///srv/ab.png t");
    let file = |is_shared| ErasedFile { location: "file:///srv/ab.png".to_owned(), is_shared };
    let files = || async { eraser.files(&key("46000")).await.expect("read") };
    assert_eq!(files().await, [file(true)]);
    assert!(eraser.files(&key("460001")).await.expect("read").is_empty(), "it is not erased");
    eraser.forget_files(&key("460001")).await.expect("nothing to forget");
    database.execute("UPDATE erp.product_images SET location = NULL WHERE product_zoho_id = '460001'").await;
    // A second erasure finds the file that nobody has removed.
    assert_eq!(erase().await.expect("it is known").counts.files, 1);
    assert_eq!(files().await, [file(false)]);
    eraser.forget_files(&key("46000")).await.expect("forgotten");
    assert!(files().await.is_empty());

    // A look that began before the erasure leaves nothing, until the record may return.
    let late = ImageRecord {
        id: RecordId::new("46000"),
        shown: ShownImage::default(),
        look: Look::Failed { error: "too long".to_owned() },
    };
    let rows = "SELECT count(*)::text FROM erp.product_images";
    images.record(&late).await.expect("ignored");
    assert_eq!(text(&database, rows).await, "1");
    assert!(eraser.allow_return(&[PRODUCTS], &RecordId::new("46000"), "test").await.expect("undone"));
    images.record(&late).await.expect("stored");
    assert_eq!(text(&database, rows).await, "2");
}
