-- Vendor credits and their lines.

CREATE TABLE erp.vendor_credits (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, number text, reference_number text,
  status text, vendor_zoho_id text, vendor_name text, date date, currency_code text, exchange_rate numeric,
  sub_total numeric, tax_total numeric, total numeric, balance numeric, location_zoho_id text, notes text,
  custom_fields jsonb, raw jsonb, zoho_created_at timestamptz, zoho_modified_at timestamptz,
  synced_at timestamptz, deleted_at timestamptz
);
CREATE INDEX ON erp.vendor_credits (vendor_zoho_id);
CREATE INDEX ON erp.vendor_credits (date);

CREATE TABLE erp.vendor_credit_lines (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, document_zoho_id text NOT NULL, line_zoho_id text,
  position integer, product_zoho_id text, name text, description text, unit text, quantity numeric,
  rate numeric, discount text, discount_amount numeric, tax_zoho_id text, tax_name text,
  tax_percentage numeric, total numeric
);
CREATE INDEX ON erp.vendor_credit_lines (document_zoho_id);
CREATE INDEX ON erp.vendor_credit_lines (product_zoho_id);
