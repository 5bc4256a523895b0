-- Sales orders and their lines.

CREATE TABLE erp.sales_orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, number text, reference_number text,
  status text, order_status text, invoiced_status text, paid_status text, shipped_status text,
  customer_zoho_id text, customer_name text, date date, shipment_date date, currency_code text,
  exchange_rate numeric, sub_total numeric, discount text, tax_total numeric, shipping_charge numeric,
  adjustment numeric, total numeric, balance numeric, salesperson_name text, location_zoho_id text,
  delivery_method text, notes text, terms text, billing_address jsonb, shipping_address jsonb, taxes jsonb,
  custom_fields jsonb, raw jsonb, zoho_created_at timestamptz, zoho_modified_at timestamptz,
  synced_at timestamptz, deleted_at timestamptz
);
CREATE INDEX ON erp.sales_orders (customer_zoho_id);
CREATE INDEX ON erp.sales_orders (date);

CREATE TABLE erp.sales_order_lines (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, document_zoho_id text NOT NULL, line_zoho_id text,
  position integer, product_zoho_id text, name text, description text, unit text, quantity numeric,
  rate numeric, discount text, discount_amount numeric, tax_zoho_id text, tax_name text,
  tax_percentage numeric, total numeric, quantity_invoiced numeric, quantity_packed numeric,
  quantity_shipped numeric, quantity_cancelled numeric
);
CREATE INDEX ON erp.sales_order_lines (document_zoho_id);
CREATE INDEX ON erp.sales_order_lines (product_zoho_id);
