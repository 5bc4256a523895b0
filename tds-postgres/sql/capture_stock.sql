-- Changes of levels of stock. The source takes differences and no levels, so a change of erp.stock_levels.stock_on_hand
-- becomes a line of an adjustment. A transaction makes one adjustment for each location, whose insertion is captured like
-- that of any record.

-- The number of lines after which another adjustment begins.
CREATE OR REPLACE FUNCTION tds_most_adjustment_lines() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 100';

-- Adds a difference to the adjustment of this transaction and location.
CREATE OR REPLACE FUNCTION tds_adjust_stock(product text, place text, difference numeric) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  -- The adjustments of this transaction: by location, the id and the number of lines.
  known jsonb := COALESCE(NULLIF(current_setting('tds.adjustments', true), ''), '{}')::jsonb;
  -- A transaction may change the mirrors of several organizations.
  spot text := concat(current_schema(), ' ', place);
  adjustment bigint := known -> spot -> 0;
  lines integer := known -> spot -> 1;
BEGIN
  UPDATE erp.stock_adjustment_lines AS l SET quantity_adjusted = l.quantity_adjusted + difference
   WHERE l.document_id = adjustment AND l.product_zoho_id = product;
  IF FOUND THEN
    -- A level that was changed back needs no adjustment.
    DELETE FROM erp.stock_adjustment_lines AS l WHERE l.document_id = adjustment AND l.quantity_adjusted = 0;
    IF NOT EXISTS (SELECT FROM erp.stock_adjustment_lines AS l WHERE l.document_id = adjustment) THEN
      DELETE FROM erp.stock_adjustments AS a WHERE a.id = adjustment;
      PERFORM set_config('tds.adjustments', (known - spot)::text, true);
    END IF;
    RETURN;
  END IF;
  IF adjustment IS NULL OR lines >= tds_most_adjustment_lines() THEN
    lines := 0;
    INSERT INTO erp.stock_adjustments (date, reason, description, location_zoho_id)
    VALUES ((now() AT TIME ZONE COALESCE((SELECT o.time_zone FROM erp.organization AS o), 'UTC'))::date,
      'Stock changed in the ERP', 'A change of erp.stock_levels', NULLIF(place, ''))
    RETURNING id INTO adjustment;
  END IF;
  INSERT INTO erp.stock_adjustment_lines (document_id, position, product_zoho_id, product_id, quantity_adjusted, location_zoho_id)
  VALUES (adjustment, lines + 1, product, (SELECT p.id FROM erp.products AS p WHERE p.zoho_id = product), difference,
    NULLIF(place, ''));
  PERFORM set_config('tds.adjustments', jsonb_set(known, ARRAY[spot], jsonb_build_array(adjustment, lines + 1))::text, true);
END
$$;

-- Other columns than stock_on_hand follow from documents, and a row that is deleted comes back with the next read: such
-- changes are not captured.
CREATE OR REPLACE FUNCTION tds_capture_levels() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  before numeric := 0;
BEGIN
  IF current_setting('tds.origin', true) IN ('remote', 'remote ' || TG_TABLE_SCHEMA) OR TG_OP = 'UPDATE' AND new IS NOT DISTINCT FROM old THEN
    RETURN NULL;
  ELSIF NOT tds_captures('stock', 'erp.stock_levels') OR TG_OP = 'DELETE' THEN
    RETURN NULL;
  ELSIF TG_OP = 'UPDATE' THEN
    IF (new.product_zoho_id, new.location_zoho_id) IS DISTINCT FROM (old.product_zoho_id, old.location_zoho_id) THEN
      RAISE EXCEPTION 'the product and the location of a row of erp.stock_levels cannot be changed'
        USING ERRCODE = 'TDS01', HINT = 'Change stock_on_hand of the two rows.';
    END IF;
    before := COALESCE(old.stock_on_hand, 0);
  END IF;
  -- The row of the whole organization is the sum of the rows of the locations.
  IF COALESCE(new.stock_on_hand, 0) <> before
     AND (new.location_zoho_id <> '' OR NOT EXISTS (SELECT FROM erp.stock_levels AS l
            WHERE l.product_zoho_id = new.product_zoho_id AND l.location_zoho_id <> '')) THEN
    PERFORM tds_adjust_stock(new.product_zoho_id, new.location_zoho_id, COALESCE(new.stock_on_hand, 0) - before);
  END IF;
  RETURN NULL;
END
$$;
