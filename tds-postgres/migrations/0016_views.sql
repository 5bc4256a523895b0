-- The organization itself, for the views of the mirror: `sql/views.sql` makes the views.

-- One row, or none until a server has read the organization from the source. The table is in schema erp, because the
-- views read it with the privileges of the role that reads the view.
CREATE TABLE erp.organization (
  id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  zoho_id text NOT NULL, name text,
  currency_code text, -- the base currency
  time_zone text -- a time zone that this database knows; NULL stands for UTC
);
