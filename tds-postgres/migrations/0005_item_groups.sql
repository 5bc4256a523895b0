-- Item groups, and the attributes by which the products of a group differ.

ALTER TABLE erp.products ADD COLUMN attribute_values jsonb; -- an object: the name of the attribute, and the option

CREATE TABLE erp.item_groups (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, name text, unit text,
  description text, brand text, manufacturer text, status text, tax_zoho_id text,
  attributes jsonb, -- [{"name": …, "options": […]}]
  custom_fields jsonb, raw jsonb,
  zoho_created_at timestamptz, zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);
