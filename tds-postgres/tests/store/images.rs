//! Tests of the rows of product images.

use tds_core::{
    images::{Candidate, ImageRecord, ImageRecords as _, KeptImage, Look, ShownImage},
    record::RecordId,
};
use tds_postgres::PgImages;

use crate::support::{store, text};

const ROW: &str = "SELECT concat_ws(' ', product_zoho_id, document_id, image_name, content_type, byte_size, sha256, location,
  error, CASE WHEN looked_at > now() - interval '1 hour' THEN 'looked' END, CASE WHEN deleted_at IS NOT NULL THEN 'removed' END)
  FROM erp.product_images";

#[tokio::test]
async fn images_have_one_row_a_product_and_candidates_come_in_pages() {
    let (database, _store) = store().await;
    database
        .execute(
            "INSERT INTO erp.products (zoho_id, image_document_id, image_name, zoho_modified_at, deleted_at) VALUES
             ('1', '', NULL, '2026-01-01Z', NULL), ('2', 'd2', NULL, '2026-01-02Z', NULL),
             ('3', NULL, 'c.png', '2026-01-03Z', NULL), ('4', 'd4', 'd.png', NULL, now()), ('5', '', '', NULL, NULL),
             (NULL, 'd6', 'born here.png', NULL, NULL);
             INSERT INTO erp.product_images (product_zoho_id, location) VALUES ('5', 'file:///srv/old.png')",
        )
        .await;
    let images = PgImages::new(database.database().clone());
    let page = |after: Option<&'static str>, among: Option<&'static [&'static str]>| {
        let images = &images;
        async move {
            let among: Option<Vec<RecordId>> =
                among.map(|ids| ids.iter().copied().map(RecordId::new).collect());
            let after = after.map(RecordId::new);
            images.candidates(after.as_ref(), among.as_deref(), 2).await.expect("candidates")
        }
    };
    let ids = |page: &[Candidate]| page.iter().map(|candidate| candidate.id.to_string()).collect::<Vec<_>>();

    let first = page(None, None).await;
    assert_eq!(ids(&first), ["2", "3"]);
    assert_eq!((first[0].shown.document_id.as_deref(), first[0].shown.name.as_deref()), (Some("d2"), None));
    assert!(first[0].shown.version.is_some() && first[0].kept.is_none());
    let second = page(Some("3"), None).await;
    assert_eq!(ids(&second), ["4", "5"]);
    assert!(second[0].shown.deleted && !second[0].shown.exists());
    let kept = second[1].kept.clone().expect("a row that another program wrote");
    assert_eq!((kept.looked_at, kept.location.as_deref()), (None, Some("file:///srv/old.png")));
    assert_eq!(second[1].shown, ShownImage::default(), "an empty text is no image");
    assert!(page(Some("5"), None).await.is_empty());
    assert_eq!(ids(&page(None, Some(&["1", "3", "9"])).await), ["3"]);

    database.execute("DELETE FROM erp.product_images").await;
    let id = RecordId::new("2");
    let store = |shown: ShownImage, look: Look| {
        let (images, id) = (&images, id.clone());
        async move { images.record(&ImageRecord { id, shown, look }).await.expect("stored") }
    };
    let shown = first[0].shown.clone();
    let failed = || Look::Failed { error: "too long\0".to_owned() };
    store(shown.clone(), failed()).await;
    assert!(text(&database, ROW).await.starts_with("2 d2 too long"), "{}", text(&database, ROW).await);
    let kept = Look::Kept {
        content_type: "image/png",
        byte_size: 70,
        sha256: "abab".to_owned(),
        location: "s3://shop/ab/abab.png".to_owned(),
    };
    store(shown.clone(), kept).await;
    assert_eq!(text(&database, ROW).await, "2 d2 image/png 70 abab s3://shop/ab/abab.png looked");
    let read = page(None, Some(&["2"])).await.remove(0).kept.expect("a row");
    let expected = KeptImage {
        document_id: shown.document_id.clone(),
        version: shown.version,
        looked_at: read.looked_at,
        sha256: Some("abab".to_owned()),
        location: Some("s3://shop/ab/abab.png".to_owned()),
        ..KeptImage::default()
    };
    assert_eq!(read, expected);
    store(shown.clone(), failed()).await;
    let after = text(&database, ROW).await;
    assert!(after.contains("abab.png too long") && after.ends_with("looked"), "the last file stays: {after}");
    store(ShownImage::default(), Look::Removed).await;
    assert_eq!(text(&database, ROW).await, "2 image/png 70 abab s3://shop/ab/abab.png looked removed");
    store(shown, Look::Absent).await;
    assert_eq!(text(&database, ROW).await, "2 d2 looked");
}
