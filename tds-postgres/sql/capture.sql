-- Local changes: triggers on the tables of the mirror put every change that another program makes into the outbox, in the
-- transaction of that program. In the mode zoho_primary they refuse the change instead, or let it pass if the guard is off.
--
-- `migrate` calls tds_refresh_capture each time, after the columns of custom fields: it makes a trigger function for each
-- table, with the columns that the table has now, and its triggers. If they are what they have to be, nothing is executed
-- and no lock is taken.
--
-- The writes of TDS itself set tds.origin to 'remote erp' in their transaction, and no trigger of this mirror catches them.
-- The value 'remote' is for operators and counts for the mirrors of all organizations.
--
-- The triggers run for every row that the ERP writes, so their cost matters more than their beauty:
-- * The functions run as their owner, because roles that write the mirror have no right to the outbox. A fixed search_path
--   would cost as much as the rest of a trigger. So the functions that run for each row name the schema of everything,
--   operators too, and only those that run once in a transaction have a search_path.
-- * Settings that end with the transaction, or with a savepoint that is rolled back, remember what was found out: whether an
--   entity type is captured, and the last record whose child rows were captured, or need not be because the record was
--   captured as a whole. Their names depend on the engine's schema, because a transaction may write the mirrors of several
--   organizations.
-- * New child rows are captured before they are written: the first row of a record is then captured before the next row of
--   the same statement is looked at.
-- * No trigger has a condition (WHEN): PostgreSQL would parse it once for each statement, which costs more than a call of the
--   function for one row.

-- The tables that are captured: the entity type, its head table, and a child table with the columns that name the head row.
-- local_owner is NULL if the child rows name the head only by its id at the source.
CREATE OR REPLACE FUNCTION tds_captured_tables()
RETURNS TABLE (entity_type text, head text, child text, local_owner text, zoho_owner text) LANGUAGE sql IMMUTABLE AS $$
  VALUES
    ('products', 'products', NULL, NULL, NULL),
    ('customers', 'customers', NULL, NULL, NULL),
    ('vendors', 'vendors', NULL, NULL, NULL),
    ('invoices', 'invoices', 'invoice_lines', 'document_id', 'document_zoho_id'),
    ('bills', 'bills', 'bill_lines', 'document_id', 'document_zoho_id'),
    ('credit_notes', 'credit_notes', 'credit_note_lines', 'document_id', 'document_zoho_id'),
    ('sales_orders', 'sales_orders', 'sales_order_lines', 'document_id', 'document_zoho_id'),
    ('purchase_orders', 'purchase_orders', 'purchase_order_lines', 'document_id', 'document_zoho_id'),
    ('vendor_credits', 'vendor_credits', 'vendor_credit_lines', 'document_id', 'document_zoho_id'),
    ('customer_payments', 'customer_payments', 'customer_payment_allocations', 'payment_id', 'payment_zoho_id'),
    ('vendor_payments', 'vendor_payments', 'vendor_payment_allocations', 'payment_id', 'payment_zoho_id'),
    ('prices', 'price_lists', 'price_list_items', 'price_list_id', 'price_list_zoho_id'),
    ('stock', 'stock_adjustments', 'stock_adjustment_lines', 'document_id', 'document_zoho_id'),
    ('item_groups', 'item_groups', NULL, NULL, NULL),
    ('composite_items', 'composite_items', 'composite_item_components', NULL, 'composite_zoho_id'),
    ('currencies', 'currencies', 'exchange_rates', NULL, 'currency_zoho_id'),
    ('taxes', 'taxes', NULL, NULL, NULL),
    ('locations', 'locations', NULL, NULL, NULL)
$$;

-- Returns the name of a setting of the triggers that belong to an engine's schema.
CREATE OR REPLACE FUNCTION tds_setting(engine text, name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT format('tds.%s_%s', name, left(md5(engine), 8))
$$;

-- Returns true if changes of the entity type are captured. In the mode zoho_primary the change is an error, or, without
-- the guard, false.
CREATE OR REPLACE FUNCTION tds_captures(entity text, changed_table text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  -- PostgreSQL evaluates an assignment faster than it executes PERFORM.
  nothing text;
  settings record;
BEGIN
  -- A change of the mode waits for the transactions that were captured under the mode before, and the other way round.
  nothing := pg_advisory_xact_lock_shared(hashtext(tds_own('tds_modes')), hashtext(entity));
  IF EXISTS (SELECT FROM tds_modes AS m WHERE m.entity_type = entity AND m.mode <> 'zoho_primary') THEN
    nothing := set_config(tds_setting(current_schema(), 'captured_' || entity), 'on', true);
    -- Once for each entity type, and PostgreSQL sends the same notification of a transaction once.
    nothing := pg_notify(tds_own('tds_work'), '');
    RETURN true;
  END IF;
  SELECT s.write_guard, s.advice INTO settings FROM tds_capture_settings AS s;
  IF NOT COALESCE(settings.write_guard, true) THEN
    RETURN false;
  END IF;
  RAISE EXCEPTION '% cannot be changed here: the mode of % is zoho_primary', changed_table, entity USING
    ERRCODE = 'TDS01',
    DETAIL = 'In this mode the tables show what Zoho has. TDS would not bring the change to Zoho, and would write over it.',
    HINT = concat_ws(' ', 'Change the record in Zoho, or change the mode of the entity type.', settings.advice);
END
$$;

-- Moves the captured changes to where the indexes of the outbox are, and makes one row of those of a record and
-- transaction. Returns the number of rows that were moved.
CREATE OR REPLACE FUNCTION tds_collect_changes() RETURNS bigint LANGUAGE sql AS $$
  WITH gone AS (
    -- A row that another session moves or changes at the moment is moved at the next call.
    DELETE FROM tds_captured WHERE ctid = ANY (ARRAY(SELECT c.ctid FROM tds_captured AS c FOR UPDATE SKIP LOCKED))
    RETURNING *),
  stored AS (
    INSERT INTO tds_outbox (id, entity_type, local_id, zoho_id, operation, fields, status, relayed, captured_at, xid,
      settled_at, differences, note, conflict_id, key) OVERRIDING SYSTEM VALUE
    SELECT min(g.id), g.entity_type, g.local_id, max(g.zoho_id),
           -- Only a change of the whole record says what is to be done with it.
           COALESCE((array_agg(g.operation ORDER BY g.id DESC) FILTER (WHERE g.fields IS NULL))[1],
                    (array_agg(g.operation ORDER BY g.id DESC))[1]),
           CASE WHEN bool_and(g.fields IS NOT NULL) THEN
             ARRAY(SELECT DISTINCT f FROM unnest(string_to_array(string_agg(array_to_string(g.fields, E'\n'), E'\n'), E'\n')) AS f
                    ORDER BY f) END,
           g.status, g.relayed, max(g.captured_at), g.xid, g.settled_at, g.differences, g.note, g.conflict_id,
           COALESCE((array_agg(g.key ORDER BY g.id) FILTER (WHERE g.key IS NOT NULL))[1], gen_random_uuid())
      FROM gone AS g
     GROUP BY g.entity_type, g.local_id, g.xid, g.status, g.relayed, g.settled_at, g.differences, g.note, g.conflict_id
     ORDER BY min(g.id))
  SELECT count(*) FROM gone
$$;

-- Captures a change of a record by hand: for programs that write other tables than those of the mirror, or that want a
-- record to be written to the source again. Returns the id of the entry in the outbox; NULL if the entity type is in the
-- mode zoho_primary and the guard is off.
CREATE OR REPLACE FUNCTION tds_push(entity_type text, local_id bigint, operation text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  head text := (SELECT t.head FROM tds_captured_tables() AS t WHERE t.entity_type = tds_push.entity_type);
  remote text;
  found_row boolean;
  change bigint;
BEGIN
  IF head IS NULL THEN
    RAISE EXCEPTION 'tds_push: found the entity type %; accepted: %', quote_nullable(entity_type),
      (SELECT string_agg(t.entity_type, ', ') FROM tds_captured_tables() AS t) USING ERRCODE = 'invalid_parameter_value';
  ELSIF operation IS NULL OR operation NOT IN ('upsert', 'delete') THEN
    RAISE EXCEPTION 'tds_push: found the operation %; accepted: upsert, delete', quote_nullable(operation)
      USING ERRCODE = 'invalid_parameter_value';
  ELSIF local_id IS NULL THEN
    RAISE EXCEPTION 'tds_push: found no local id; accepted: the id of a row of erp.%', head
      USING ERRCODE = 'null_value_not_allowed';
  END IF;
  EXECUTE format('SELECT true, h.zoho_id FROM erp.%I AS h WHERE h.id = $1', head) INTO found_row, remote USING local_id;
  IF found_row IS NULL THEN
    remote := (SELECT l.zoho_id FROM tds_links AS l
                WHERE l.entity_type = tds_push.entity_type AND l.local_id = tds_push.local_id);
    IF operation = 'upsert' OR remote IS NULL THEN
      RAISE EXCEPTION 'tds_push: erp.% has no row with the id %', head, local_id USING ERRCODE = 'no_data_found',
        HINT = 'To delete a record that is known to Zoho, call tds_push before the row is deleted.';
    END IF;
  END IF;
  IF NOT tds_captures(entity_type, 'erp.' || head) THEN
    RETURN NULL;
  END IF;
  INSERT INTO tds_captured (entity_type, local_id, zoho_id, operation, key)
  VALUES (tds_push.entity_type, tds_push.local_id, remote, tds_push.operation,
    CASE WHEN remote IS NULL THEN gen_random_uuid() END)
  RETURNING id INTO change;
  RETURN change;
END
$$;

CREATE OR REPLACE FUNCTION tds_refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('tds.origin', true) IN ('remote', 'remote ' || TG_TABLE_SCHEMA) THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION '%.% cannot be emptied by TRUNCATE, because TDS would not know which records are gone',
    TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'TDS02',
    HINT = 'Use DELETE, or, to empty the table without a change at the source, SET LOCAL tds.origin = ''remote'' first.';
END
$$;
