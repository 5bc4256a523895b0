-- A shop day with psql alone: what a program writes to the tables of the ERP is at Zoho a moment later.
--
--   psql "$DATABASE_URL" -f examples/two_way/shop.sql
--
-- README.md beside this file says what has to run. Each run enters records of its own.
\set ON_ERROR_STOP on
\pset footer off
\set QUIET on

-- The name of this run, so that no name and no number is taken.
SELECT 'Example ' || to_char(clock_timestamp(), 'YYMMDD-HH24MISS') AS run \gset

-- Waits until nothing of this kind is on its way any more. A program never has to wait; this example does, to show
-- what comes back. The statement commits between two looks, because an open transaction holds back the changes that
-- others make.
CREATE PROCEDURE pg_temp.wait_for_zoho() LANGUAGE plpgsql AS $$
BEGIN
  FOR look IN 1 .. 600 LOOP
    IF NOT EXISTS (SELECT FROM tds_outbox WHERE status = 'pending') THEN
      RETURN;
    END IF;
    COMMIT;
    PERFORM pg_sleep(0.1);
  END LOOP;
  RAISE WARNING 'changes are still on their way: see tds-server outbox list --status pending';
END
$$;

\echo
\echo 1. One transaction: a customer, a product, an invoice with two lines, and its payment.
\echo '  ' None of them has an id in Zoho yet, so they refer to each other by their local ids.
BEGIN;

INSERT INTO erp.customers (name, currency_code, phone)
  VALUES (:'run' || ' customer', 'IQD', '07701234567') RETURNING id AS customer \gset

INSERT INTO erp.products (name, sku, rate, item_type, product_type)
  VALUES (:'run' || ' cable', :'run', 12500, 'sales', 'goods') RETURNING id AS product \gset

-- Columns that Zoho computes, such as total and balance, stay empty. So does the number here: Zoho gives it.
INSERT INTO erp.invoices (customer_id, date, due_date, currency_code, status, reference_number)
  VALUES (:customer, current_date, current_date + 15, 'IQD', 'sent', :'run') RETURNING id AS invoice \gset

INSERT INTO erp.invoice_lines (document_id, position, product_id, name, quantity, rate)
  VALUES (:invoice, 1, :product, :'run' || ' cable', 2, 12500),
         (:invoice, 2, :product, :'run' || ' cable, used', 1, 5000);

INSERT INTO erp.customer_payments (customer_id, date, payment_mode, amount, reference_number)
  VALUES (:customer, current_date, 'cash', 20000, :'run') RETURNING id AS payment \gset

INSERT INTO erp.customer_payment_allocations (payment_id, document_id, amount_applied)
  VALUES (:payment, :invoice, 20000);

COMMIT;

\echo '  ' The changes were captured in that transaction:
SELECT DISTINCT entity_type, local_id, operation, status FROM tds_outbox
  WHERE (entity_type, local_id) IN
    (('customers', :customer), ('products', :product), ('invoices', :invoice), ('customer_payments', :payment));

CALL pg_temp.wait_for_zoho();
\echo '  ' What came back: ids, the numbers that Zoho gave, and the amounts that Zoho computed.
SELECT zoho_id IS NOT NULL AS in_zoho, number, status, total, balance FROM erp.invoices WHERE id = :invoice;
SELECT position, line_zoho_id IS NOT NULL AS in_zoho, name, quantity, rate, total
  FROM erp.invoice_lines WHERE document_id = :invoice ORDER BY position;
SELECT p.zoho_id IS NOT NULL AS in_zoho, p.number, p.amount, a.amount_applied, a.document_zoho_id IS NOT NULL AS of_the_invoice
  FROM erp.customer_payments AS p JOIN erp.customer_payment_allocations AS a ON a.payment_id = p.id
  WHERE p.id = :payment;

\echo 2. Changes. Only what differs goes to Zoho; lines go as a whole list, with their ids.
BEGIN;
UPDATE erp.customers SET phone = '07707654321' WHERE id = :customer;
UPDATE erp.invoices SET notes = 'Collected at the counter' WHERE id = :invoice;
UPDATE erp.invoice_lines SET quantity = 3 WHERE document_id = :invoice AND position = 1;
INSERT INTO erp.invoice_lines (document_id, position, product_id, name, quantity, rate)
  VALUES (:invoice, 3, :product, :'run' || ' cable, gift', 1, 0);
COMMIT;
CALL pg_temp.wait_for_zoho();
SELECT number, notes, total, balance FROM erp.invoices WHERE id = :invoice;
SELECT entity_type, fields, status FROM tds_outbox
  WHERE (entity_type, local_id) IN (('customers', :customer), ('invoices', :invoice)) ORDER BY id DESC LIMIT 2;

\echo 3. A deletion: the payment was a mistake. A tombstone (deleted_at) or a DELETE is the same to TDS.
UPDATE erp.customer_payments SET deleted_at = now() WHERE id = :payment;
CALL pg_temp.wait_for_zoho();
SELECT operation, status, note FROM tds_outbox
  WHERE entity_type = 'customer_payments' AND local_id = :payment ORDER BY id DESC LIMIT 1;

\echo 4. What did not go through, if anything: dead letters and conflicts of this example.
SELECT entity_type, entity_id AS local_id, error_message FROM tds_sync_queue
  WHERE status IN ('failed', 'dead_letter')
    AND (entity_type, entity_id::text) IN (('customers', :'customer'), ('products', :'product'),
      ('invoices', :'invoice'), ('customer_payments', :'payment'));
SELECT id, entity_type, local_id, fields FROM tds_conflicts
  WHERE status = 'open' AND (entity_type, local_id) IN
    (('customers', :customer), ('products', :product), ('invoices', :invoice), ('customer_payments', :payment));
