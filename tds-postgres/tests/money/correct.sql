-- A mirror in which every rule of money holds: three currencies with 0, 2 and 3 decimals, discounts, taxes, shipping,
-- adjustments, tombstones, drafts and void documents, overpayments and partly used credits.

INSERT INTO erp.organization (zoho_id, currency_code, time_zone) VALUES ('o', 'USD', 'UTC');
INSERT INTO erp.currencies (zoho_id, code, price_precision, is_base_currency, exchange_rate, effective_date) VALUES
  ('1', 'USD', 2, true, NULL, NULL), ('2', 'IQD', 0, false, 0.000763358, '2026-11-01'), ('3', 'KWD', 3, false, 3.25, '2026-11-01');
INSERT INTO erp.exchange_rates (currency_zoho_id, currency_code, effective_date, rate) VALUES
  ('2', 'IQD', '2026-10-01', 0.00076), ('3', 'KWD', '2026-10-01', 3.26);

-- The lists were read at noon, the contacts before, and everything was written before the contacts were read.
INSERT INTO tds_sync_runs (run_type, entity_type, source_type, status, started_at)
SELECT 'full', e, 'zoho', 'completed', '2026-11-20 12:00Z'
  FROM unnest('{invoices,credit_notes,customer_payments,bills,vendor_credits,vendor_payments}'::text[]) AS e;

INSERT INTO erp.customers (zoho_id, name, currency_code, outstanding_amount, unused_credits, balance_seen_at)
SELECT *, '2026-11-20 11:00Z'::timestamptz FROM (VALUES
  ('c1', 'Dijla', 'USD', 217.95, 12.50), ('c2', 'Basra', 'IQD', 25000, 0), ('c3', 'Mosul', 'KWD', 10.125, 0),
  ('c4', 'Quiet', 'USD', 0, NULL), ('c5', 'New', 'USD', NULL, NULL)) AS c;
INSERT INTO erp.vendors (zoho_id, name, currency_code, outstanding_amount, unused_credits, balance_seen_at) VALUES
  ('v1', 'Acme', 'USD', 70, 25, '2026-11-20 11:00Z');

INSERT INTO erp.invoices (zoho_id, number, status, customer_zoho_id, date, currency_code, exchange_rate, discount, tax_total,
  shipping_charge, adjustment, total, balance, payment_made, deleted_at, raw)
SELECT d.id, upper(d.id), d.status, d.customer, '2026-11-05', d.currency,
       CASE d.currency WHEN 'USD' THEN 1 WHEN 'IQD' THEN 0.00076 ELSE 3.25 END, d.discount, d.tax, d.shipping, d.adjustment,
       d.total, d.balance, d.paid, d.deleted, jsonb_build_object('balance', d.balance, 'payment_made', d.paid,
         'credits_applied', 0, 'tax_amount_withheld', 0, 'write_off_amount', 0, 'price_precision', 2,
         'line_items', '[{}]'::jsonb) || d.raw::jsonb
  FROM (VALUES
    -- Tax, shipping and an adjustment; partly paid.
    ('i1', 'partially_paid', 'c1', 'USD', '0.00', 3.30, 5.00, -0.30, 41.00, 21.00, 20.00, NULL::timestamptz, '{}'),
    -- A percentage of the whole document, before the tax: 5% of 100.10 is 5.005, and the tax is 10% of the rest.
    ('i2', 'overdue', 'c1', 'USD', '5%', 9.51, 0, 0, 104.60, 104.60, 0, NULL,
      '{"discount_type": "entity_level", "is_discount_before_tax": true}'),
    -- An amount off the whole document, after the tax.
    ('i3', 'sent', 'c1', 'USD', '10', 5, 0, 0, 45, 45, 0, NULL, '{"discount_type": "entity_level", "is_discount_before_tax": false}'),
    -- Prices that include the tax: the totals of the lines are without it.
    ('i4', 'sent', 'c1', 'USD', '0', 1.15, 0, 0, 10, 10, 0, NULL, '{"is_inclusive_tax": true}'),
    -- The same, with totals of the lines that include the tax.
    ('i5', 'paid', 'c1', 'USD', NULL, 1.30, 0, 0, 10, 0, 10, NULL, '{"is_inclusive_tax": true}'),
    -- The total is rounded to whole units.
    ('i6', 'sent', 'c1', 'USD', NULL, 0, 0, 0, 13, 13, 0, NULL, '{"roundoff_value": 0.15}'),
    -- Used credits and a part that was written off.
    ('i7', 'partially_paid', 'c1', 'USD', NULL, 0, 0, 0, 30, 22.35, 0, NULL, '{"credits_applied": 7.50, "write_off_amount": 0.15}'),
    ('i8', 'draft', 'c1', 'USD', NULL, 0, 0, 0, 1000, 1000, 0, NULL, '{}'),
    ('i9', 'void', 'c1', 'USD', NULL, 0, 0, 0, 1000, 0, 0, NULL, '{}'),
    ('gone', 'sent', 'c1', 'USD', NULL, 0, 0, 0, 9999, 8888, 77, now(), '{}'),
    -- A currency without decimals, a line discount of 5 per cent that is rounded, and one with an amount.
    ('d1', 'sent', 'c2', 'IQD', '0.00', 0, 0, 0, 24000, 24000, 0, NULL, '{"discount_type": "item_level", "price_precision": 0}'),
    ('d2', 'partially_paid', 'c2', 'IQD', '0.00', 0, 0, 0, 2000, 1000, 1000, NULL, '{"discount_type": "item_level"}'),
    -- A currency with three decimals: 3 x 3.375.
    ('k1', 'sent', 'c3', 'KWD', NULL, 0, 0, 0, 10.125, 10.125, 0, NULL, '{"price_precision": 3}'),
    -- A rule that nobody states: the tax is paid by the customer.
    ('u1', 'sent', 'c1', 'USD', NULL, 20, 0, 0, 2, 2, 0, NULL, '{"is_reverse_charge_applied": true}'))
    AS d(id, status, customer, currency, discount, tax, shipping, adjustment, total, balance, paid, deleted, raw);
INSERT INTO erp.invoice_lines (document_zoho_id, position, product_zoho_id, quantity, rate, discount, discount_amount, tax_percentage, total) VALUES
  ('i1', 1, 'p1', 3, 10, NULL, NULL, 10, 30), ('i1', 2, 'p2', 1, 3.00, '0.00', 0, 10, 3.00),
  ('i2', 1, 'p1', 1, 100.10, NULL, NULL, 10, 100.10),
  ('i3', 1, 'p1', 1, 50, NULL, NULL, 10, 50),
  ('i4', 1, 'p1', 1, 10, NULL, NULL, 13, 8.85),
  ('i5', 1, 'p1', 1, 10, NULL, NULL, 15, 10),
  ('i6', 1, 'p1', 3, 4.2833, NULL, NULL, NULL, 12.85),
  ('i7', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL), ('i7', 2, 'p1', 1, 30, NULL, NULL, NULL, 30),
  ('i8', 1, 'p1', 1, 1000, NULL, NULL, NULL, 1000), ('i9', 1, 'p1', 1, 1000, NULL, NULL, NULL, 1000),
  ('d1', 1, 'p1', 1, 25263, '5.00%', NULL, NULL, 24000), ('d2', 1, 'p1', 2, 1100, '200', 200, NULL, 2000),
  ('k1', 1, 'p1', 3, 3.375, NULL, NULL, NULL, 10.125), ('u1', 1, 'p1', 1, 2, NULL, NULL, 20, 2);

INSERT INTO erp.credit_notes (zoho_id, number, status, customer_zoho_id, date, currency_code, exchange_rate, total, balance, raw) VALUES
  ('n1', 'N1', 'open', 'c1', '2026-11-05', 'USD', 1, 15, 7.50, '{"balance": 7.5, "total_credits_used": 7.50}'),
  ('n2', 'N2', 'draft', 'c1', '2026-11-05', 'USD', 1, 99, 99, '{"balance": 99}'),
  ('n3', 'N3', 'closed', 'c2', '2026-11-05', 'IQD', 0.00076, 500, 0, '{"balance": 0}');
-- The detail of a credit note need not show the totals of its lines.
INSERT INTO erp.credit_note_lines (document_zoho_id, position, quantity, rate, total) VALUES
  ('n1', 1, 1, 15, NULL), ('n2', 1, 1, 99, 99), ('n3', 1, 1, 500, 500);

INSERT INTO erp.sales_orders (zoho_id, number, status, customer_zoho_id, date, currency_code, exchange_rate, total, balance, raw) VALUES
  ('s1', 'S1', 'open', 'c1', '2026-11-05', 'USD', 1, 20, 20, '{"line_items": [{}]}');
INSERT INTO erp.sales_order_lines (document_zoho_id, position, quantity, rate, total) VALUES ('s1', 1, 4, 5, 20);
INSERT INTO erp.purchase_orders (zoho_id, number, status, vendor_zoho_id, date, currency_code, exchange_rate, discount, total, raw) VALUES
  ('q1', 'Q1', 'open', 'v1', '2026-11-05', 'USD', 1, '10', 190, '{"is_discount_before_tax": true, "line_items": [{}]}');
INSERT INTO erp.purchase_order_lines (document_zoho_id, position, quantity, rate, total) VALUES ('q1', 1, 4, 50, 200);
INSERT INTO erp.bills (zoho_id, number, status, vendor_zoho_id, date, currency_code, exchange_rate, total, balance, payment_made, raw) VALUES
  ('b1', 'B1', 'partially_paid', 'v1', '2026-11-05', 'USD', 1, 100, 70, 20,
   '{"balance": 70, "payment_made": 20, "vendor_credits_applied": 10, "line_items": [{}]}');
INSERT INTO erp.bill_lines (document_zoho_id, position, quantity, rate, total) VALUES ('b1', 1, 10, 10, 100);
INSERT INTO erp.vendor_credits (zoho_id, number, status, vendor_zoho_id, date, currency_code, exchange_rate, total, balance, raw) VALUES
  ('w1', 'W1', 'open', 'v1', '2026-11-05', 'USD', 1, 30, 15, '{"balance": 15, "total_credits_used": 10, "total_refunded_amount": 5}');
INSERT INTO erp.vendor_credit_lines (document_zoho_id, position, quantity, rate, total) VALUES ('w1', 1, 3, 10, 30);

-- An overpayment, a refund, and a payment that was deleted.
INSERT INTO erp.customer_payments (zoho_id, number, customer_zoho_id, date, currency_code, exchange_rate, amount, unused_amount, deleted_at, raw) VALUES
  ('a1', '1', 'c1', '2026-11-06', 'USD', 1, 35, 5, NULL, '{"unused_amount": 5, "amount_refunded": 0}'),
  ('a2', '2', 'c2', '2026-11-06', 'IQD', 0.00076, 1500, 0, NULL, '{"unused_amount": 0, "amount_refunded": 500}'),
  ('a3', '3', 'c1', '2026-11-06', 'USD', 1, 77, 0, now(), '{}');
INSERT INTO erp.customer_payment_allocations (payment_zoho_id, position, document_zoho_id, amount_applied) VALUES
  ('a1', 1, 'i1', 20), ('a1', 2, 'i5', 10), ('a2', 1, 'd2', 1000), ('a3', 1, 'i6', 77);
INSERT INTO erp.vendor_payments (zoho_id, number, vendor_zoho_id, date, currency_code, exchange_rate, amount, balance, raw) VALUES
  ('e1', '1', 'v1', '2026-11-06', 'USD', 1, 32, 10, '{"balance": 10, "vendorpayment_refunds": [{"amount": 2}]}');
INSERT INTO erp.vendor_payment_allocations (payment_zoho_id, position, document_zoho_id, amount_applied) VALUES ('e1', 1, 'b1', 20);

INSERT INTO erp.products (zoho_id, name) VALUES ('p1', 'Cable');
INSERT INTO erp.stock_levels (product_zoho_id, location_zoho_id, stock_on_hand, available_stock, actual_available_stock, committed_stock) VALUES
  ('p1', '', 42, 40, 38, 2), ('p1', 'l1', 30, 29, 28, 1), ('p1', 'l2', 12, 11, 10, 1),
  ('p2', '', 7, 7, 7, 0),
  ('p3', '', 5, 5, 5, NULL), ('p3', 'l1', 5, 5, 5, NULL);
UPDATE erp.invoices SET synced_at = '2026-11-20 10:00Z';
