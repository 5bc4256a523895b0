//! Product images, from a simulated Zoho to a bucket and to a folder.

use serde_json::{Value, json};
use tds_core::runs::{NewRun, RunType, SyncRunOperator as _};
use tds_postgres::{PgStore, StoreSettings};
use tds_zoho::{
    sim::{ItemImage, sample},
    testkit::Module,
};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    bucket::{BUCKET, Bucket, KEY_ID, SECRET_KEY},
    shop::{Shop, settings},
};

const IMAGES: &str = "(SELECT *, product_zoho_id AS zoho_id FROM erp.product_images)";

/// Enters an item and returns its id.
fn item(shop: &Shop, n: u64, image: &str) -> String {
    let mut item = sample::item(n);
    item["image_name"] = json!(image);
    item["image_document_id"] =
        json!(if image.is_empty() { String::new() } else { format!("4600000770{n}") });
    shop.zoho.put(Module::ITEMS, item)
}

/// Downloads the images that are due, and returns the run.
async fn download(shop: &Shop) -> Value {
    let store = PgStore::new(shop.database.database().clone(), StoreSettings::default());
    let products = "products".parse().expect("an entity type");
    let run = store.create(NewRun::new(products, RunType::Images, "zoho", "test")).await.expect("created");
    shop.run_ended(run.id.0).await
}

async fn row(shop: &Shop, id: &str) -> Value {
    let rows = shop.rows(&format!("(SELECT * FROM {IMAGES} i WHERE zoho_id = '{id}')"), "id").await;
    assert_eq!(rows.len(), 1, "{rows:#?}");
    rows[0].clone()
}

/// Returns the text of a column.
fn column<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_else(|| panic!("{name} of {row:#}"))
}

/// Runs the program with the settings of the shop's server and with these settings.
async fn program(shop: &Shop, more: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_further"))
        .args(arguments)
        .env_clear()
        .envs(settings(&shop.zoho, shop.database.url(), more))
        .current_dir(std::env::temp_dir())
        .output()
        .await
        .expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn images_reach_a_bucket_and_then_a_folder() {
    let bucket = Bucket::start().await;
    let store = format!("s3://{BUCKET}/products");
    let of_bucket = [
        ("TDS_IMAGE_STORE", store.as_str()),
        ("AWS_ENDPOINT_URL", bucket.url()),
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    let mut shop = Shop::open_with(&of_bucket).await;
    let (lamp, chair) = (item(&shop, 1, "lamp.png"), item(&shop, 2, "chair.png"));
    let (plain, refused, long) =
        (item(&shop, 3, ""), item(&shop, 4, "refused.png"), item(&shop, 5, "long.png"));
    shop.zoho.set_image(&refused, ItemImage::Error(200, 2006, "The image cannot be shown".to_owned()));
    shop.zoho.set_image(&long, ItemImage::of_length(10 * 1024 * 1024 + 1));
    shop.sync("products", "full").await;
    let calls = || shop.zoho.calls_to("/inventory/v1/items/");
    let before = calls();

    // One call for each image that a product shows. An error is recorded and is no image.
    let run = download(&shop).await;
    assert_eq!(run["status"], "completed_with_errors", "{run:#}");
    assert_eq!((&run["total_items"], &run["failed_items"]), (&json!(4), &json!(2)), "{run:#}");
    let log = column(&run, "error_log");
    assert!(log.contains("code 2006") && log.contains("longer than 10485760 bytes"), "{log}");
    assert_eq!((calls() - before, shop.count("erp.product_images").await), (4, 4));
    let first = row(&shop, &lamp).await;
    assert_eq!((column(&first, "content_type"), column(&first, "image_name")), ("image/png", "lamp.png"));
    assert!(column(&first, "location").starts_with(&format!("{store}/")), "{first:#}");
    let file = std::fs::read(bucket.file(column(&first, "location"))).expect("an object");
    assert!(file.starts_with(b"\x89PNG") && first["byte_size"] == json!(file.len()), "{first:#}");
    assert!(row(&shop, &refused).await["location"].is_null());
    assert_eq!(shop.count(&format!("erp.product_images WHERE product_zoho_id = '{plain}'")).await, 0);

    // Nothing is due: a run makes no call.
    let run = download(&shop).await;
    assert_eq!((&run["status"], &run["total_items"]), (&json!("completed"), &json!(0)), "{run:#}");
    assert_eq!(calls() - before, 4);

    // Another image with the same id and name, told by a webhook; and an image that was removed.
    shop.zoho.set_image(&lamp, ItemImage::png("another lamp"));
    shop.zoho.update(Module::ITEMS, &lamp, json!({"last_modified_time": "2099-01-01T08:00:00+0000"}));
    shop.zoho.update(
        Module::ITEMS,
        &chair,
        json!({"image_name": "", "image_document_id": "", "last_modified_time": "2099-01-01T08:00:00+0000"}),
    );
    for id in [&lamp, &chair] {
        let item = shop.zoho.get(Module::ITEMS, id).expect("an item");
        shop.webhook_done("products", &json!({"item": item})).await;
    }
    let run = download(&shop).await;
    assert_eq!((&run["status"], &run["total_items"]), (&json!("completed"), &json!(2)), "{run:#}");
    let (second, removed) = (row(&shop, &lamp).await, row(&shop, &chair).await);
    assert_eq!(second["document_id"], first["document_id"]);
    assert_ne!(second["sha256"], first["sha256"]);
    for kept in [&first, &second, &removed] {
        assert!(bucket.file(column(kept, "location")).exists(), "no file is ever deleted: {kept:#}");
    }
    assert!(!removed["deleted_at"].is_null() && second["deleted_at"].is_null());
    let (_, plan) = shop.get("/api/zoho/plan").await;
    let images = plan["costs"].as_array().expect("costs").iter().find(|cost| cost["cause"] == "images");
    assert!(
        images.is_some_and(|cost| cost["lane"] == "verify" && cost["entity_type"] == "products"),
        "{plan:#}"
    );
    shop.stop().await;

    // The check of the store. Wrong keys are an error that shows no secret.
    let check = async |more: &[(&str, &str)]| {
        let (_, text) = program(&shop, more, &["check"]).await;
        let line = text.lines().find(|line| line.contains("image store")).map(str::to_owned);
        assert!(!text.contains("canary"), "{text}");
        line.unwrap_or_else(|| panic!("no line in {text}"))
    };
    let line = check(&of_bucket).await;
    assert!(line.starts_with("ok") && line.contains(&store), "{line}");
    let mut wrong = of_bucket;
    wrong[3].1 = "another-secret-canary";
    let line = check(&wrong).await;
    assert!(line.starts_with("FAILED") && line.contains("AWS_ENDPOINT_URL"), "{line}");
    let (status, text) = program(&shop, &wrong, &["images", "--product", &lamp]).await;
    assert!(status == Some(1) && text.contains(&format!("the image store {store}/ failed")), "{text}");
    assert!(!text.contains("canary"), "{text}");

    // Another store: what was kept in the first is read again.
    let folder = TempDir::new().expect("a directory");
    let url = format!("file://{}", folder.path().join("images").display());
    let (status, text) = program(&shop, &[("TDS_IMAGE_STORE", &url)], &["images"]).await;
    assert_eq!(status, Some(0), "{text}");
    let moved = row(&shop, &lamp).await;
    assert_eq!((&moved["sha256"], column(&moved, "location").starts_with(&url)), (&second["sha256"], true));
    let path = column(&moved, "location").strip_prefix("file://").expect("a file");
    assert_eq!(
        std::fs::read(path).expect("a file"),
        std::fs::read(bucket.file(column(&second, "location"))).expect("an object")
    );
    let (status, text) = program(&shop, &[], &["images"]).await;
    assert!(status == Some(2) && text.contains("TDS_IMAGE_STORE: found off"), "{text}");

    // An erasure removes the file too, if it knows the place, and if no other product has the same file.
    let path = std::path::Path::new(path);
    let erase = async |id: &str, more: &[(&str, &str)]| {
        program(&shop, more, &["erase", "products", id, "--yes"]).await
    };
    let also = format!(
        "BEGIN; SET LOCAL tds.origin = 'remote';
         INSERT INTO erp.product_images (product_zoho_id, location) VALUES ('{plain}', '{}'); COMMIT",
        column(&moved, "location")
    );
    shop.database.execute(also).await;
    let (status, text) = erase(&plain, &[("TDS_IMAGE_STORE", &url)]).await;
    assert!(status == Some(0) && text.contains("files      1") && path.exists(), "{text}");
    let (status, text) = erase(&lamp, &[]).await;
    assert!(status == Some(1) && text.contains(column(&moved, "location")) && path.exists(), "{text}");
    let left = row(&shop, &lamp).await;
    assert!(left["sha256"].is_null() && left["location"] == moved["location"], "{left:#}");
    let (status, text) = erase(&lamp, &[("TDS_IMAGE_STORE", &url)]).await;
    assert!(status == Some(0) && !path.exists(), "{text}");
    let of_erased = format!("erp.product_images WHERE product_zoho_id IN ('{lamp}', '{plain}')");
    assert_eq!(shop.count(&of_erased).await, 0);
}
