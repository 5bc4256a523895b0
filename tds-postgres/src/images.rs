//! The rows of product images.

use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};
use tds_core::{
    error::Result,
    images::{Candidate, ImageRecord, ImageRecords, KeptImage, Look, ShownImage},
    record::{EntityType, RecordId},
};

use crate::{
    Database,
    db::{
        error::Doing as _,
        quote::{statement, table},
        retry,
        text::storable,
    },
};

/// The entity type whose records have images.
pub(crate) static PRODUCTS: EntityType = EntityType::from_static("products");

/// The rows of product images in schema `erp`.
#[derive(Clone, Debug)]
pub struct PgImages {
    database: Database,
    candidates: String,
    record: String,
}

impl PgImages {
    /// Creates the port over a database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        let (products, images) = (table("products"), table("product_images"));
        // The pages follow the unique index of the products, in the order that this database gives ids.
        let candidates = format!(
            "SELECT p.zoho_id, NULLIF(p.image_document_id, '') AS shown_id, NULLIF(p.image_name, '') AS shown_name,
               p.zoho_modified_at, p.deleted_at IS NOT NULL AS is_deleted, i.product_zoho_id IS NOT NULL AS is_known,
               i.document_id, i.image_name, i.product_modified_at, i.looked_at, i.sha256, i.location,
               i.error IS NOT NULL AS failed, i.deleted_at IS NOT NULL AS is_removed
              FROM {products} AS p LEFT JOIN {images} AS i ON i.product_zoho_id = p.zoho_id
             WHERE ($1::text IS NULL OR p.zoho_id > $1) AND ($2::text[] IS NULL OR p.zoho_id = ANY ($2))
               AND (p.image_document_id <> '' OR p.image_name <> '' OR i.product_zoho_id IS NOT NULL)
             ORDER BY p.zoho_id LIMIT $3"
        );
        // With $9, what is known of the last file stays. A look that began before the product was erased says nothing.
        let record = format!(
            "INSERT INTO {images} AS i (product_zoho_id, document_id, image_name, product_modified_at, content_type,
               byte_size, sha256, location, error, looked_at, deleted_at)
             SELECT $1, $2, $3, $4::timestamptz, $5, $6::bigint, $7, $8, $10, clock_timestamp(),
               CASE WHEN $11 THEN clock_timestamp() END
              WHERE NOT EXISTS (SELECT FROM tds_erasures AS e
                 WHERE e.entity_type = 'products' AND e.zoho_id = $1 AND e.undone_at IS NULL)
             ON CONFLICT (product_zoho_id) DO UPDATE SET document_id = excluded.document_id,
               image_name = excluded.image_name, product_modified_at = excluded.product_modified_at,
               content_type = CASE WHEN $9 THEN i.content_type ELSE excluded.content_type END,
               byte_size = CASE WHEN $9 THEN i.byte_size ELSE excluded.byte_size END,
               sha256 = CASE WHEN $9 THEN i.sha256 ELSE excluded.sha256 END,
               location = CASE WHEN $9 THEN i.location ELSE excluded.location END,
               error = excluded.error, looked_at = excluded.looked_at, deleted_at = excluded.deleted_at"
        );
        Self { database, candidates, record }
    }
}

#[async_trait]
impl ImageRecords for PgImages {
    fn entity(&self) -> &EntityType {
        &PRODUCTS
    }

    async fn candidates(
        &self,
        after: Option<&RecordId>,
        among: Option<&[RecordId]>,
        limit: usize,
    ) -> Result<Vec<Candidate>> {
        let among: Option<Vec<&str>> = among.map(|ids| ids.iter().map(RecordId::as_str).collect());
        sqlx::query(statement(self.candidates.clone()))
            .bind(after.map(RecordId::as_str))
            .bind(among)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .try_map(|row: PgRow| candidate_of(&row))
            .fetch_all(&self.database)
            .await
            .doing("looking for images that are due")
    }

    async fn record(&self, record: &ImageRecord) -> Result<()> {
        let ImageRecord { id, shown, look } = record;
        let (content_type, byte_size, sha256, location) = match look {
            Look::Kept { content_type, byte_size, sha256, location } => {
                (Some(*content_type), Some(*byte_size), Some(sha256.as_str()), Some(location.as_str()))
            }
            Look::Absent | Look::Failed { .. } | Look::Removed => (None, None, None, None),
        };
        let error = match look {
            Look::Failed { error } => Some(storable(error)),
            _ => None,
        };
        let write = || async {
            let mut tx = self.database.begin_as_engine("").await?;
            let write = sqlx::query(statement(self.record.clone()))
                .bind(id.as_str())
                .bind(shown.document_id.as_deref())
                .bind(shown.name.as_deref())
                .bind(shown.version)
                .bind(content_type)
                .bind(byte_size)
                .bind(sha256)
                .bind(location)
                .bind(matches!(look, Look::Failed { .. } | Look::Removed))
                .bind(error.as_deref())
                .bind(*look == Look::Removed);
            write.execute(&mut tx).await?;
            tx.commit().await
        };
        retry::repeat(retry::ALONE, write).await.doing("storing the result of an image")
    }
}

fn candidate_of(row: &PgRow) -> Result<Candidate, sqlx::Error> {
    let shown = ShownImage {
        document_id: row.try_get("shown_id")?,
        name: row.try_get("shown_name")?,
        version: row.try_get("zoho_modified_at")?,
        deleted: row.try_get("is_deleted")?,
    };
    let kept = if row.try_get("is_known")? { Some(kept_of(row)?) } else { None };
    Ok(Candidate { id: RecordId::new(row.try_get::<String, _>("zoho_id")?), shown, kept })
}

fn kept_of(row: &PgRow) -> Result<KeptImage, sqlx::Error> {
    Ok(KeptImage {
        document_id: row.try_get("document_id")?,
        name: row.try_get("image_name")?,
        version: row.try_get("product_modified_at")?,
        looked_at: row.try_get("looked_at")?,
        sha256: row.try_get("sha256")?,
        location: row.try_get("location")?,
        failed: row.try_get("failed")?,
        deleted: row.try_get("is_removed")?,
    })
}
