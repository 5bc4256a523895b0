CREATE TABLE erp.estimates (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, number text, status text,
  customer_zoho_id text, customer_name text, date date, currency_code text, total numeric, balance numeric,
  custom_fields jsonb, raw jsonb,
  zoho_created_at timestamptz, zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);

CREATE TABLE erp.estimate_lines (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, document_zoho_id text NOT NULL, line_zoho_id text,
  position integer, product_zoho_id text, name text, description text, unit text, quantity numeric,
  rate numeric, discount text, discount_amount numeric, tax_zoho_id text, tax_name text,
  tax_percentage numeric, total numeric
);
CREATE INDEX ON erp.estimate_lines (document_zoho_id);
