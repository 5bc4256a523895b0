//! The files of images of an erased record. They are outside the database, and the caller removes them after the erasure.

use tds_core::{mirror::MirrorSchema, privacy::ErasedFile, record::RecordKey};

use crate::{
    Database, Tx,
    db::quote::{statement, table},
    images::PRODUCTS,
};

/// Reduces the row of an image to the place of its file, so that the file is found until it is removed. Returns the number
/// of files.
pub(super) async fn leave(tx: &mut Tx, schema: &MirrorSchema, id: &str) -> Result<u64, sqlx::Error> {
    if schema.entity != PRODUCTS {
        return Ok(0);
    }
    let images = table("product_images");
    let without = format!("DELETE FROM {images} WHERE product_zoho_id = $1 AND location IS NULL");
    sqlx::query(statement(without)).bind(id).execute(&mut *tx).await?;
    let with = format!(
        "UPDATE {images} SET document_id = NULL, image_name = NULL, product_modified_at = NULL, content_type = NULL,
           byte_size = NULL, sha256 = NULL, error = NULL, deleted_at = coalesce(deleted_at, clock_timestamp())
          WHERE product_zoho_id = $1"
    );
    Ok(sqlx::query(statement(with)).bind(id).execute(tx).await?.rows_affected())
}

/// Returns the files of an erased record.
pub(super) async fn of(database: &Database, key: &RecordKey) -> Result<Vec<ErasedFile>, sqlx::Error> {
    if key.entity != PRODUCTS {
        return Ok(Vec::new());
    }
    let images = table("product_images");
    let select = format!(
        "SELECT i.location, EXISTS (SELECT FROM {images} AS o
           WHERE o.location = i.location AND o.product_zoho_id <> i.product_zoho_id)
          FROM {images} AS i WHERE i.product_zoho_id = $1 AND i.location IS NOT NULL AND EXISTS (
            SELECT FROM tds_erasures AS e
             WHERE e.entity_type = $2 AND e.zoho_id = i.product_zoho_id AND e.undone_at IS NULL)"
    );
    let files = sqlx::query_as(statement(select)).bind(key.id.as_str()).bind(key.entity.as_str());
    let files: Vec<(String, bool)> = files.fetch_all(database).await?;
    Ok(files.into_iter().map(|(location, is_shared)| ErasedFile { location, is_shared }).collect())
}

/// Deletes the row of an image of an erased record.
pub(super) async fn forget(database: &Database, key: &RecordKey) -> Result<(), sqlx::Error> {
    if key.entity != PRODUCTS {
        return Ok(());
    }
    let delete = format!(
        "DELETE FROM {} AS i WHERE i.product_zoho_id = $1 AND EXISTS (SELECT FROM tds_erasures AS e
           WHERE e.entity_type = $2 AND e.zoho_id = i.product_zoho_id AND e.undone_at IS NULL)",
        table("product_images")
    );
    let delete = sqlx::query(statement(delete)).bind(key.id.as_str()).bind(key.entity.as_str());
    let mut tx = database.begin_as_engine("").await?;
    delete.execute(&mut tx).await?;
    tx.commit().await
}
