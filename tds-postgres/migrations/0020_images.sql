-- Downloads of product images: one row for each product.

ALTER TABLE erp.product_images
  -- What the product showed when its image was looked at.
  ADD COLUMN image_name text,
  ADD COLUMN product_modified_at timestamptz,
  ADD COLUMN looked_at timestamptz,
  -- Why the image could not be kept.
  ADD COLUMN error text,
  -- The product has no image any more. The other columns still describe its last file.
  ADD COLUMN deleted_at timestamptz;

-- No earlier version wrote rows. Of rows that another program wrote, the newest of each product stays.
DELETE FROM erp.product_images i
 WHERE EXISTS (SELECT FROM erp.product_images n WHERE n.product_zoho_id = i.product_zoho_id AND n.id > i.id);
DROP INDEX IF EXISTS erp.product_images_product_zoho_id_idx;
CREATE UNIQUE INDEX product_images_product ON erp.product_images (product_zoho_id);
