-- Payments of customers, and the invoices that each payment pays.

CREATE TABLE erp.customer_payments (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, number text, reference_number text,
  payment_mode text, description text, customer_zoho_id text, customer_name text, date date,
  currency_code text, exchange_rate numeric, amount numeric, unused_amount numeric, bank_charges numeric,
  account_zoho_id text, account_name text, location_zoho_id text, status text, custom_fields jsonb, raw jsonb,
  zoho_created_at timestamptz, zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);
CREATE INDEX ON erp.customer_payments (customer_zoho_id);
CREATE INDEX ON erp.customer_payments (date);

-- The amounts are in the currency of the payment. The total and the balance of the invoice are as the payment shows
-- them: the balance is that of the last read of the payment, and erp.invoices has the present one.
CREATE TABLE erp.customer_payment_allocations (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payment_zoho_id text NOT NULL, position integer,
  document_zoho_id text, document_number text, document_total numeric, document_balance numeric,
  amount_applied numeric, tax_amount_withheld numeric
);
CREATE INDEX ON erp.customer_payment_allocations (payment_zoho_id);
CREATE INDEX ON erp.customer_payment_allocations (document_zoho_id);
