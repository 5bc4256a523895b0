-- Derived values: stock, balances and statuses that Zoho changes because of a document, without moving the time of
-- change of the record that has them.

-- The records whose derived values follow the accepted state of this record. A change of a document concerns what it
-- named before and what it names now.
ALTER TABLE tds_sync_records ADD COLUMN moves jsonb;

-- What the stored documents name, so that their next change does not forget the lines that they have now.
UPDATE tds_sync_records AS s
   SET moves = jsonb_build_object('own', jsonb_strip_nulls(jsonb_build_object(
     'stock', d.items, d.party_type, CASE WHEN d.party IS NOT NULL THEN jsonb_build_array(d.party) END)))
  FROM (
    SELECT 'invoices' AS entity_type, h.zoho_id, 'customers' AS party_type, h.customer_zoho_id AS party,
      (SELECT jsonb_agg(DISTINCT l.product_zoho_id) FROM erp.invoice_lines AS l
        WHERE l.document_zoho_id = h.zoho_id AND l.product_zoho_id IS NOT NULL) AS items
      FROM erp.invoices AS h
    UNION ALL
    SELECT 'credit_notes', h.zoho_id, 'customers', h.customer_zoho_id,
      (SELECT jsonb_agg(DISTINCT l.product_zoho_id) FROM erp.credit_note_lines AS l
        WHERE l.document_zoho_id = h.zoho_id AND l.product_zoho_id IS NOT NULL)
      FROM erp.credit_notes AS h
    UNION ALL
    SELECT 'bills', h.zoho_id, 'vendors', h.vendor_zoho_id,
      (SELECT jsonb_agg(DISTINCT l.product_zoho_id) FROM erp.bill_lines AS l
        WHERE l.document_zoho_id = h.zoho_id AND l.product_zoho_id IS NOT NULL)
      FROM erp.bills AS h) AS d
 WHERE s.entity_type = d.entity_type AND s.zoho_id = d.zoho_id;

-- How old the derived values are: the time of the read that last showed them, whether it changed them or not.
ALTER TABLE erp.customers ADD COLUMN balance_seen_at timestamptz;
ALTER TABLE erp.vendors ADD COLUMN balance_seen_at timestamptz;
ALTER TABLE erp.stock_levels ADD COLUMN synced_at timestamptz;
UPDATE erp.customers AS h SET balance_seen_at = s.volatile_seen
  FROM tds_sync_records AS s WHERE s.entity_type = 'customers' AND s.zoho_id = h.zoho_id;
UPDATE erp.vendors AS h SET balance_seen_at = s.volatile_seen
  FROM tds_sync_records AS s WHERE s.entity_type = 'vendors' AND s.zoho_id = h.zoho_id;
UPDATE erp.stock_levels AS l SET synced_at = s.detail_seen
  FROM tds_sync_records AS s WHERE s.entity_type = 'stock' AND s.zoho_id = l.product_zoho_id;

-- Calls for derived values are counted in a lane of their own.
ALTER TABLE tds_api_calls DROP CONSTRAINT tds_api_calls_lane_check;
ALTER TABLE tds_api_calls ADD CONSTRAINT tds_api_calls_lane_check CHECK (lane IN
  ('operator', 'outbound', 'webhook', 'derived', 'incremental', 'full', 'verify'));
