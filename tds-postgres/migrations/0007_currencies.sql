-- Currencies, and their dated rates in the base currency. A rate that is not known is NULL, and never 1 by default.

CREATE TABLE erp.currencies (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, code text, name text,
  symbol text, price_precision integer, format text, is_base_currency boolean, exchange_rate numeric,
  effective_date date, custom_fields jsonb, raw jsonb,
  zoho_created_at timestamptz, zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);
CREATE INDEX ON erp.currencies (code);

CREATE TABLE erp.exchange_rates (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, currency_zoho_id text NOT NULL, currency_code text,
  effective_date date, rate numeric
);
CREATE INDEX ON erp.exchange_rates (currency_zoho_id);
CREATE INDEX ON erp.exchange_rates (currency_code, effective_date);
