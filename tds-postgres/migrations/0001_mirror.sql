-- The mirror (the target tables in schema erp) contains the records of the source. tds_sync_records contains the known
-- state of each record.
--
-- The mirror has no foreign keys, because a parent may arrive after its child. A row refers to its parent by the
-- parent's id at the source. Among the columns of a record only zoho_id is unique: real data has records without a SKU
-- and records with the same SKU. Money and quantities are numeric without a scale, so that the digits of the source
-- stay as they are.

-- The accepted state of each record. The guard compares new reads with this state.
CREATE TABLE tds_sync_records (
  entity_type text NOT NULL, zoho_id text NOT NULL,
  version timestamptz, -- the time of the last change, from the source
  pushed boolean NOT NULL, -- the state was observed in a pushed body and not by a call
  observed_began timestamptz NOT NULL, observed_ended timestamptz NOT NULL,
  list_hash text, detail_hash text, detail_version timestamptz, detail_seen timestamptz,
  volatile_hash text, volatile_seen timestamptz,
  deleted_at timestamptz, -- not NULL: the record is known to be deleted
  suspect jsonb, -- an implausible read that is not confirmed yet
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  local_id bigint, -- the id of the record's head row in the mirror
  -- The names of the columns that the list writes differently from the detail, separated by blanks. A full sync
  -- compares only the other columns of a list row with the row of the mirror.
  list_spells text,
  PRIMARY KEY (entity_type, zoho_id)
) WITH (fillfactor = 70); -- every change updates the row; free space on the page avoids index updates

CREATE SCHEMA IF NOT EXISTS erp;

CREATE TABLE erp.products (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, sku text, name text,
  description text, unit text, status text, item_type text, product_type text, rate numeric,
  purchase_rate numeric, tax_zoho_id text, tax_percentage numeric, brand text, manufacturer text,
  category_zoho_id text, category_name text, upc text, ean text, reorder_level numeric, image_document_id text,
  image_name text, group_zoho_id text, custom_fields jsonb, raw jsonb, zoho_created_at timestamptz,
  zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);
CREATE INDEX ON erp.products (sku);

CREATE TABLE erp.customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, name text, company_name text,
  contact_sub_type text, status text, first_name text, last_name text, email text, phone text, mobile text,
  currency_code text, payment_terms integer, payment_terms_label text, credit_limit numeric,
  outstanding_amount numeric, unused_credits numeric, price_list_zoho_id text, billing_address jsonb,
  shipping_address jsonb, contact_persons jsonb, notes text, custom_fields jsonb, raw jsonb,
  zoho_created_at timestamptz, zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);
CREATE INDEX ON erp.customers (price_list_zoho_id);

CREATE TABLE erp.vendors (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, name text, company_name text,
  contact_sub_type text, status text, first_name text, last_name text, email text, phone text, mobile text,
  currency_code text, payment_terms integer, payment_terms_label text, credit_limit numeric,
  outstanding_amount numeric, unused_credits numeric, price_list_zoho_id text, billing_address jsonb,
  shipping_address jsonb, contact_persons jsonb, notes text, custom_fields jsonb, raw jsonb,
  zoho_created_at timestamptz, zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);
CREATE INDEX ON erp.vendors (price_list_zoho_id);

CREATE TABLE erp.invoices (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, number text, reference_number text,
  status text, customer_zoho_id text, customer_name text, date date, due_date date, currency_code text,
  exchange_rate numeric, sub_total numeric, discount text, tax_total numeric, shipping_charge numeric,
  adjustment numeric, total numeric, balance numeric, payment_made numeric, salesperson_name text,
  location_zoho_id text, notes text, terms text, billing_address jsonb, shipping_address jsonb, taxes jsonb,
  custom_fields jsonb, raw jsonb, zoho_created_at timestamptz, zoho_modified_at timestamptz,
  synced_at timestamptz, deleted_at timestamptz
);
CREATE INDEX ON erp.invoices (customer_zoho_id);
CREATE INDEX ON erp.invoices (date);

CREATE TABLE erp.bills (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, number text, reference_number text,
  status text, vendor_zoho_id text, vendor_name text, date date, due_date date, currency_code text,
  exchange_rate numeric, sub_total numeric, discount text, tax_total numeric, adjustment numeric,
  total numeric, balance numeric, payment_made numeric, location_zoho_id text, notes text, terms text,
  billing_address jsonb, taxes jsonb, custom_fields jsonb, raw jsonb, zoho_created_at timestamptz,
  zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);
CREATE INDEX ON erp.bills (vendor_zoho_id);
CREATE INDEX ON erp.bills (date);

CREATE TABLE erp.credit_notes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, number text, reference_number text,
  status text, customer_zoho_id text, customer_name text, date date, currency_code text, exchange_rate numeric,
  sub_total numeric, discount text, tax_total numeric, shipping_charge numeric, adjustment numeric,
  total numeric, balance numeric, salesperson_name text, location_zoho_id text, notes text, terms text,
  billing_address jsonb, shipping_address jsonb, taxes jsonb, custom_fields jsonb, raw jsonb,
  zoho_created_at timestamptz, zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);
CREATE INDEX ON erp.credit_notes (customer_zoho_id);
CREATE INDEX ON erp.credit_notes (date);

CREATE TABLE erp.price_lists (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, name text, description text,
  currency_code text, pricebook_type text, pricing_scheme text, sales_or_purchase_type text,
  percentage numeric, is_increase boolean, rounding_type text, status text, custom_fields jsonb, raw jsonb,
  zoho_created_at timestamptz, zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);

CREATE TABLE erp.product_images (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, product_zoho_id text NOT NULL, document_id text,
  content_type text, byte_size bigint, sha256 text, location text
);
CREATE INDEX ON erp.product_images (product_zoho_id);

CREATE TABLE erp.invoice_lines (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, document_zoho_id text NOT NULL, line_zoho_id text,
  position integer, product_zoho_id text, name text, description text, unit text, quantity numeric,
  rate numeric, discount text, discount_amount numeric, tax_zoho_id text, tax_name text,
  tax_percentage numeric, total numeric
);
CREATE INDEX ON erp.invoice_lines (document_zoho_id);
CREATE INDEX ON erp.invoice_lines (product_zoho_id);

CREATE TABLE erp.bill_lines (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, document_zoho_id text NOT NULL, line_zoho_id text,
  position integer, product_zoho_id text, name text, description text, unit text, quantity numeric,
  rate numeric, discount text, discount_amount numeric, tax_zoho_id text, tax_name text,
  tax_percentage numeric, total numeric
);
CREATE INDEX ON erp.bill_lines (document_zoho_id);
CREATE INDEX ON erp.bill_lines (product_zoho_id);

CREATE TABLE erp.credit_note_lines (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, document_zoho_id text NOT NULL, line_zoho_id text,
  position integer, product_zoho_id text, name text, description text, unit text, quantity numeric,
  rate numeric, discount text, discount_amount numeric, tax_zoho_id text, tax_name text,
  tax_percentage numeric, total numeric
);
CREATE INDEX ON erp.credit_note_lines (document_zoho_id);
CREATE INDEX ON erp.credit_note_lines (product_zoho_id);

CREATE TABLE erp.stock_levels (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, product_zoho_id text NOT NULL,
  location_zoho_id text NOT NULL DEFAULT '', location_name text, stock_on_hand numeric,
  available_stock numeric, actual_available_stock numeric, committed_stock numeric
);
-- Each product has one row per location, and one row with location_zoho_id = '' for the whole organization.
CREATE UNIQUE INDEX ON erp.stock_levels (product_zoho_id, location_zoho_id);
CREATE INDEX ON erp.stock_levels (location_zoho_id);

CREATE TABLE erp.price_list_items (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, price_list_zoho_id text NOT NULL, product_zoho_id text,
  start_quantity numeric, end_quantity numeric, rate numeric, discount text
);
CREATE INDEX ON erp.price_list_items (price_list_zoho_id);
CREATE INDEX ON erp.price_list_items (product_zoho_id);
