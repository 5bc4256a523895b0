//! Images of items, from a simulated organization.

use serde_json::json;
use tds_core::{
    error::{ErrorKind, Retry},
    images::{Fetched, ImageFile, ImageKind, ImageSource as _},
    queue::Lane,
};
use tds_zoho::{
    ZohoImages,
    sim::{ItemImage, Module, sample},
    testkit::{FakeZoho, Fault},
};

use super::support::{id, online};

/// Enters an item and returns its id.
fn item(zoho: &FakeZoho, n: u64, image: &str) -> String {
    let mut item = sample::item(n);
    item["image_name"] = json!(image);
    item["image_document_id"] = json!(if image.is_empty() { "" } else { "46000007700001" });
    zoho.put(Module::ITEMS, item)
}

#[tokio::test]
async fn an_image_is_a_file_and_an_error_is_never_one() {
    let zoho = FakeZoho::start().await;
    let images = ZohoImages::new(online(&zoho));
    let fetch = |item: String| {
        let images = images.clone();
        async move { images.fetch(&id(&item), Lane::Verify).await }
    };

    let plain = item(&zoho, 1, "lamp.png");
    let Fetched::File { bytes, content_type } = fetch(plain.clone()).await.expect("an image") else {
        panic!("no file")
    };
    let first = ImageFile::new(bytes, content_type.as_deref()).expect("an image");
    assert_eq!((first.kind, content_type.as_deref()), (ImageKind::Png, Some("image/png")));
    assert_eq!(zoho.calls_to("/inventory/v1/items"), 1);
    zoho.set_image(&plain, ItemImage::png("another"));
    let Fetched::File { bytes, .. } = fetch(plain.clone()).await.expect("an image") else {
        panic!("no file")
    };
    assert_ne!(
        ImageFile::new(bytes, None).expect("an image").sha256,
        first.sha256,
        "the same id, another image"
    );

    // An item without an image, and an item that does not exist.
    for absent in [item(&zoho, 2, ""), "460000000099999".to_owned()] {
        assert_eq!(fetch(absent).await.expect("absent"), Fetched::Absent);
    }

    // Errors come as JSON, with any status.
    for status in [200, 400] {
        let refused = item(&zoho, 3, "refused.png");
        zoho.set_image(&refused, ItemImage::Error(status, 2006, "The image cannot be shown".to_owned()));
        let error = fetch(refused).await.expect_err("refused");
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Invalid, Retry::Permanent), "{error}");
    }
    let long = item(&zoho, 4, "long.png");
    zoho.set_image(&long, ItemImage::of_length(10 * 1024 * 1024 + 1));
    let error = fetch(long.clone()).await.expect_err("too long");
    assert!(error.to_string().contains("longer than 10485760 bytes"), "{error}");
    assert_eq!(error.retry(), Retry::Permanent);
    zoho.set_image(&long, ItemImage::of_length(10 * 1024 * 1024));
    assert!(matches!(fetch(long).await, Ok(Fetched::File { .. })), "as long as may be");

    let error = images.fetch(&id("1/../../organizations"), Lane::Verify).await.expect_err("no id");
    assert_eq!(error.kind(), ErrorKind::Invalid);

    // A refusal of the account is no fault of the image, and a token without the right is not renewed for each image.
    let mints = zoho.mints();
    zoho.faults().matching("/inventory/v1/items/*/image", Fault::not_authorized(Some(57)));
    zoho.faults().matching("/books/v3/items/*/image", Fault::not_authorized(Some(57)));
    for _ in 0..3 {
        let error = fetch(plain.clone()).await.expect_err("refused");
        assert!(matches!(error.retry(), Retry::AuthPaused { .. }), "{error:?}");
    }
    assert!(zoho.mints() <= mints + 2, "{} mints", zoho.mints() - mints);
}

#[tokio::test]
async fn an_organization_without_inventory_has_the_images_of_books() {
    let zoho = FakeZoho::start().await;
    let lamp = item(&zoho, 1, "lamp.png");
    zoho.faults().every("/inventory/v1", 1, Fault::not_of_this_plan());
    let images = ZohoImages::new(online(&zoho));
    assert!(matches!(images.fetch(&id(&lamp), Lane::Verify).await, Ok(Fetched::File { .. })));
    assert_eq!(zoho.calls_to("/books/v3/items"), 1);
}
