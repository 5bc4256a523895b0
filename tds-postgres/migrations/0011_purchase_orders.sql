-- Purchase orders and their lines.

CREATE TABLE erp.purchase_orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, number text, reference_number text,
  status text, billed_status text, received_status text, vendor_zoho_id text, vendor_name text, date date,
  delivery_date date, currency_code text, exchange_rate numeric, sub_total numeric, discount text,
  tax_total numeric, adjustment numeric, total numeric, location_zoho_id text, notes text, terms text,
  taxes jsonb, custom_fields jsonb, raw jsonb, zoho_created_at timestamptz, zoho_modified_at timestamptz,
  synced_at timestamptz, deleted_at timestamptz
);
CREATE INDEX ON erp.purchase_orders (vendor_zoho_id);
CREATE INDEX ON erp.purchase_orders (date);

CREATE TABLE erp.purchase_order_lines (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, document_zoho_id text NOT NULL, line_zoho_id text,
  position integer, product_zoho_id text, name text, description text, unit text, quantity numeric,
  rate numeric, discount text, discount_amount numeric, tax_zoho_id text, tax_name text,
  tax_percentage numeric, total numeric, quantity_received numeric, quantity_billed numeric
);
CREATE INDEX ON erp.purchase_order_lines (document_zoho_id);
CREATE INDEX ON erp.purchase_order_lines (product_zoho_id);
