-- Composite items, and the products that each of them is made of.

CREATE TABLE erp.composite_items (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, sku text, name text,
  unit text, status text, rate numeric, purchase_rate numeric, item_type text, custom_fields jsonb, raw jsonb,
  zoho_created_at timestamptz, zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);

CREATE TABLE erp.composite_item_components (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, composite_zoho_id text NOT NULL, position integer,
  product_zoho_id text, name text, quantity numeric
);
CREATE INDEX ON erp.composite_item_components (composite_zoho_id);
CREATE INDEX ON erp.composite_item_components (product_zoho_id);
