-- Both directions: local changes that go to the source, the links between local records and the records at the source,
-- the conflicts, and the modes of the entity types. `sql/capture.sql` has the triggers that capture local changes.

-- The mode of each entity type that had another mode than the default at some time. An entity type without a row is in
-- the mode zoho_primary.
CREATE TABLE tds_modes (
  entity_type text COLLATE "C" PRIMARY KEY,
  mode text NOT NULL DEFAULT 'zoho_primary'
    CHECK (mode IN ('zoho_primary', 'shadow', 'bidirectional', 'erp_primary')),
  conflict_policy text NOT NULL DEFAULT 'manual'
    CHECK (conflict_policy IN ('zoho_wins', 'erp_wins', 'newest_wins', 'manual')),
  field_policies jsonb NOT NULL DEFAULT '{}', -- {"rate": "erp_wins", …}
  epoch bigint NOT NULL DEFAULT 1, -- increases with every change of the row
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What the triggers go by: one row. `migrate` and the server write it from their configuration.
CREATE TABLE tds_capture_settings (
  id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  -- True: in the mode zoho_primary, a local write is an error. False: it is allowed and not captured.
  write_guard boolean NOT NULL DEFAULT true,
  -- What a person can do about an error of the guard, in the words of the program.
  advice text
);
INSERT INTO tds_capture_settings DEFAULT VALUES;

-- The captured changes: one row for each record and transaction. A row is updated when an item of the queue carries the
-- change and when its push has ended. No constraint repeats the words of `operation` and `status`: PostgreSQL would parse
-- the constraints for every captured row, at a third of the cost of capturing.
CREATE TABLE tds_outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entity_type text COLLATE "C" NOT NULL,
  local_id bigint NOT NULL,
  -- As it was known when the change was captured. A row that was deleted cannot tell it any more.
  zoho_id text,
  operation text NOT NULL, -- upsert, delete
  -- The columns of the head row that changed, and the names of the child tables with changed rows. NULL: any of them.
  fields text[],
  status text NOT NULL DEFAULT 'pending', -- pending, pushed, unchanged, shadow, conflict, discarded
  relayed boolean NOT NULL DEFAULT false, -- an item of the queue carries the change
  captured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(), -- the transaction of the change
  settled_at timestamptz,
  differences jsonb,
  note text,
  conflict_id bigint,
  -- The key of the record's link, if this is the first change of the record. It is made in the transaction of the change:
  -- a backup has either both or neither, so a restored database never gives a record a second key.
  key uuid NOT NULL DEFAULT gen_random_uuid()
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.1);
-- What is on its way, by record.
CREATE INDEX tds_outbox_open ON tds_outbox (entity_type, local_id) WHERE status IN ('pending', 'conflict');
CREATE INDEX tds_outbox_relay ON tds_outbox (id) WHERE NOT relayed;

-- Where the triggers insert the changes. The rows of this table are rows of tds_outbox for every statement that reads
-- tds_outbox. It has no index, because the program that changes the record would pay for it: capturing a row would cost
-- twice as much. The relay moves the rows to tds_outbox itself, with tds_collect_changes, so the table stays small.
CREATE TABLE tds_captured (
  id bigint NOT NULL DEFAULT nextval('tds_outbox_id_seq'),
  -- Only a record that has no id at the source needs a key at once, and making one takes as long as inserting the row.
  key uuid DEFAULT NULL
) INHERITS (tds_outbox) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE tds_captured ALTER COLUMN key DROP NOT NULL;

-- What connects a local record with the record at the source.
CREATE TABLE tds_links (
  entity_type text COLLATE "C" NOT NULL,
  local_id bigint NOT NULL,
  -- Our key of the record. It is written to the source, so that a record that was created twice would be found.
  key uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  zoho_id text COLLATE "C",
  -- A create was sent at this time, and its outcome is not known.
  in_doubt_since timestamptz,
  -- The last common states of what pending changes are about, in the source's words, oldest first: the mirror had them
  -- before it wrote newer ones beside the changes. Of everything else, the column raw of the head row is that state.
  -- [{"raw": "{…}", "shape": "detail", "names": ["rate"]}, …]; names null: all columns and child tables.
  earlier jsonb NOT NULL DEFAULT '[]',
  -- The values of the last common state that are in none of those, in the columns of the target.
  kept jsonb NOT NULL DEFAULT '{"fields": {}, "children": {}}',
  -- What was sent since that state, in the columns of the target: the answers are not known.
  sent jsonb NOT NULL DEFAULT '[]',
  PRIMARY KEY (entity_type, local_id),
  UNIQUE (entity_type, zoho_id)
);
CREATE INDEX tds_links_in_doubt ON tds_links (entity_type, in_doubt_since) WHERE in_doubt_since IS NOT NULL;

-- The fields that both sides changed. All versions are kept, whoever won.
CREATE TABLE tds_conflicts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entity_type text COLLATE "C" NOT NULL,
  local_id bigint NOT NULL,
  zoho_id text,
  status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved')),
  fields jsonb NOT NULL, -- [{"field": "rate", "base": 4, "erp": 5, "zoho": 6, "winner": null}, …]
  decisions jsonb,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  resolved_at timestamptz,
  resolved_by text
);
CREATE INDEX tds_conflicts_of_record ON tds_conflicts (entity_type, local_id);
CREATE INDEX tds_conflicts_open ON tds_conflicts (id) WHERE status = 'open';

-- A record of the ERP has no id at the source at first. Other records refer to it by its local id. Either id may be given;
-- TDS fills in the other one. The index of each column has only the rows whose other id is missing.
DO $$
DECLARE
  r record;
  twin text;
BEGIN
  FOR r IN
    SELECT * FROM (VALUES
      ('invoices', 'customer', 'customers'), ('credit_notes', 'customer', 'customers'),
      ('sales_orders', 'customer', 'customers'), ('customer_payments', 'customer', 'customers'),
      ('bills', 'vendor', 'vendors'), ('purchase_orders', 'vendor', 'vendors'), ('vendor_credits', 'vendor', 'vendors'),
      ('vendor_payments', 'vendor', 'vendors'),
      ('invoice_lines', 'document', 'invoices'), ('invoice_lines', 'product', 'products'),
      ('bill_lines', 'document', 'bills'), ('bill_lines', 'product', 'products'),
      ('credit_note_lines', 'document', 'credit_notes'), ('credit_note_lines', 'product', 'products'),
      ('sales_order_lines', 'document', 'sales_orders'), ('sales_order_lines', 'product', 'products'),
      ('purchase_order_lines', 'document', 'purchase_orders'), ('purchase_order_lines', 'product', 'products'),
      ('vendor_credit_lines', 'document', 'vendor_credits'), ('vendor_credit_lines', 'product', 'products'),
      ('customer_payment_allocations', 'payment', 'customer_payments'),
      ('customer_payment_allocations', 'document', 'invoices'),
      ('vendor_payment_allocations', 'payment', 'vendor_payments'), ('vendor_payment_allocations', 'document', 'bills'),
      ('price_list_items', 'price_list', 'price_lists'), ('price_list_items', 'product', 'products'),
      ('stock_levels', 'product', 'products')
    ) AS v(of_table, name, head)
  LOOP
    twin := r.name || '_zoho_id';
    EXECUTE format('ALTER TABLE erp.%I ADD COLUMN %I bigint', r.of_table, r.name || '_id');
    EXECUTE format('UPDATE erp.%I AS t SET %I = h.id FROM erp.%I AS h WHERE h.zoho_id = t.%I',
      r.of_table, r.name || '_id', r.head, twin);
    -- A level of stock belongs to a product that the source has.
    CONTINUE WHEN r.of_table = 'stock_levels';
    EXECUTE format('ALTER TABLE erp.%I ALTER COLUMN %I DROP NOT NULL', r.of_table, twin);
    EXECUTE format('CREATE INDEX %I ON erp.%I (%I) WHERE %I IS NULL', r.of_table || '_' || r.name || '_local',
      r.of_table, r.name || '_id', twin);
  END LOOP;
END
$$;

-- Why Zoho's record of a finding could not be read; such a record is in flight.
ALTER TABLE tds_verify_findings ADD COLUMN error text;

-- Changes of stock that the ERP makes. The source does not take levels of stock, only differences, each of them once.
CREATE TABLE erp.stock_adjustments (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, reference_number text, date date,
  reason text, description text, location_zoho_id text, custom_fields jsonb, raw jsonb,
  zoho_created_at timestamptz, zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);

CREATE TABLE erp.stock_adjustment_lines (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, document_zoho_id text, document_id bigint, position integer,
  product_zoho_id text, product_id bigint, quantity_adjusted numeric, location_zoho_id text
);
CREATE INDEX ON erp.stock_adjustment_lines (document_zoho_id);
CREATE INDEX ON erp.stock_adjustment_lines (document_id);
CREATE INDEX ON erp.stock_adjustment_lines (product_zoho_id);
CREATE INDEX stock_adjustment_lines_product_local ON erp.stock_adjustment_lines (product_id) WHERE product_zoho_id IS NULL;
