-- Taxes and groups of taxes.

CREATE TABLE erp.taxes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, name text,
  percentage numeric, tax_type text, status text, custom_fields jsonb, raw jsonb,
  zoho_created_at timestamptz, zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);
