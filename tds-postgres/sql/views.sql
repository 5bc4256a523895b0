-- The views of the mirror that people read.
--
-- `migrate` calls tds_refresh_views each time, after all migrations and in the same transaction. The views follow the
-- tables that exist: a head table that a later migration creates gets its view, and a column that is added appears in
-- it. If a view is what it has to be, nothing is executed and no lock is taken.
--
-- The comment of each view says that TDS made it, and contains a hash of its text. A view or a table of another origin
-- that has the name of a view keeps it.
--
-- From PostgreSQL 15 on, a view reads its tables with the privileges of the role that reads the view (security_invoker),
-- so row level security applies. In PostgreSQL 14, the views of TDS are as closed as its tables: see tds_close.

-- Returns the statements that give a new relation the privileges of this one, except those of its owner.
CREATE OR REPLACE FUNCTION tds_grants_of(relation oid) RETURNS text[] LANGUAGE sql STABLE AS $$
  SELECT ARRAY(
    SELECT format('GRANT %s ON %s TO %s', a.privilege_type, format('%I.%I', n.nspname, c.relname),
             CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     WHERE c.oid = relation AND a.grantee <> c.relowner)
$$;

-- Creates or replaces a view, if it is not what it has to be. Returns one sentence where that was not possible.
CREATE OR REPLACE FUNCTION tds_put_view(mirror_schema text, view_name text, about text, body text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  full_name text := format('%I.%I', mirror_schema, view_name);
  options text := CASE WHEN current_setting('server_version_num')::int >= 150000
                       THEN 'WITH (security_invoker = true)' ELSE '' END;
  mark text := format('%s Made by TDS (%s).', about, md5(options || body));
  grants text[];
  one_grant text;
  known record;
BEGIN
  SELECT c.oid, c.relkind, c.relowner, COALESCE(obj_description(c.oid, 'pg_class'), '') AS comment INTO known
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = mirror_schema AND c.relname = view_name;
  IF known.comment = mark THEN
    RETURN NULL;
  ELSIF known.relkind <> 'v' OR known.comment NOT LIKE '% Made by TDS (%).' THEN
    RETURN format('%s was not made by TDS, which leaves it as it is and has no view of this name', full_name);
  ELSIF NOT pg_has_role(known.relowner, 'USAGE') THEN
    RETURN format('view %s belongs to %s, and only that role can renew it', full_name, pg_get_userbyid(known.relowner));
  END IF;
  BEGIN
    EXECUTE format('CREATE OR REPLACE VIEW %s %s AS %s', full_name, options, body);
  EXCEPTION WHEN invalid_table_definition THEN
    -- A view whose columns are others, and not only more, has to be created anew.
    grants := tds_grants_of(known.oid);
    EXECUTE format('DROP VIEW %s', full_name);
    EXECUTE format('CREATE VIEW %s %s AS %s', full_name, options, body);
    FOREACH one_grant IN ARRAY grants LOOP
      EXECUTE one_grant;
    END LOOP;
  END;
  EXECUTE format('COMMENT ON VIEW %s IS %L', full_name, mark);
  RETURN NULL;
EXCEPTION
  WHEN dependent_objects_still_exist THEN
    RETURN format('view %s is not up to date, because another object of the database needs its present columns; once '
      'that object is dropped, the next migration renews the view', full_name);
  -- A table of the operator has columns of the right names and the wrong types, or the role may not create views. TDS
  -- works without its views.
  WHEN syntax_error_or_access_rule_violation THEN
    RETURN format('view %s cannot be made: %s', full_name, SQLERRM);
END
$$;

-- Returns true if a table has all of these columns.
CREATE OR REPLACE FUNCTION tds_has_columns(relation oid, names text[]) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT names <@ ARRAY(SELECT a.attname::text FROM pg_attribute a
                         WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped)
$$;

-- Creates the views that are missing, and renews those that are not up to date. Returns one sentence for each view for
-- which this was not possible.
CREATE OR REPLACE FUNCTION tds_refresh_views(mirror_schema text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  -- The day at the organization, by the clock of this database.
  today text := format('SELECT (now() AT TIME ZONE COALESCE((SELECT o.time_zone FROM %I.organization AS o), ''UTC''))::date AS day',
    mirror_schema);
  -- What a draft, a void document or one that waits for its approval is worth: nothing is owed for it.
  counts text := 'd.deleted_at IS NULL AND lower(COALESCE(d.status, '''')) NOT IN (''draft'', ''void'', ''pending_approval'', ''rejected'')';
  moves text;
  payments oid := to_regclass(format('%I.customer_payments', mirror_schema));
  amounts text;
  note text;
  t record;
BEGIN
  -- Head tables of another owner, who migrates them, have no view.
  FOR t IN
    SELECT c.relname AS name,
           string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS columns
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname = mirror_schema AND c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'USAGE')
       AND tds_has_columns(c.oid, ARRAY['zoho_id', 'deleted_at'])
     GROUP BY c.oid, c.relname ORDER BY c.relname
  LOOP
    note := tds_put_view(mirror_schema, 'live_' || t.name, format('The rows of %s that are not deleted.', t.name),
      format('SELECT %s FROM %I.%I WHERE deleted_at IS NULL', t.columns, mirror_schema, t.name));
    IF note IS NOT NULL THEN
      RETURN NEXT note;
    END IF;
  END LOOP;
  IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass(format('%I.organization', mirror_schema))
                    AND pg_has_role(c.relowner, 'USAGE')) THEN
    RETURN;
  END IF;

  note := tds_put_view(mirror_schema, 'open_invoices', 'Invoices that are not paid.', format(
    'SELECT d.id, d.zoho_id, d.number, d.reference_number, d.status, d.customer_zoho_id, d.customer_name, d.date,
       d.due_date, d.currency_code, d.exchange_rate, d.total, d.balance, d.salesperson_name, d.location_zoho_id,
       d.zoho_modified_at, d.synced_at, COALESCE(d.due_date < today.day, false) AS is_overdue,
       GREATEST(today.day - d.due_date, 0) AS days_overdue
       FROM %I.invoices AS d CROSS JOIN (%s) AS today WHERE %s AND d.balance <> 0', mirror_schema, today, counts));
  IF note IS NOT NULL THEN
    RETURN NEXT note;
  END IF;

  moves := format(
    'SELECT d.customer_zoho_id, d.customer_name, d.currency_code, d.balance AS owed, 0::numeric AS credit,
       0::numeric AS payment, GREATEST(today.day - d.due_date, 0) AS days
       FROM %1$I.invoices AS d CROSS JOIN (%2$s) AS today WHERE %3$s AND d.balance <> 0
     UNION ALL
     SELECT d.customer_zoho_id, d.customer_name, d.currency_code, 0, d.balance, 0, NULL
       FROM %1$I.credit_notes AS d WHERE %3$s AND d.balance <> 0', mirror_schema, today, counts);
  IF tds_has_columns(payments, ARRAY['customer_zoho_id', 'customer_name', 'currency_code', 'unused_amount', 'status',
                                     'deleted_at']) THEN
    moves := moves || format(
      ' UNION ALL
     SELECT d.customer_zoho_id, d.customer_name, d.currency_code, 0, 0, d.unused_amount, NULL
       FROM %I.customer_payments AS d WHERE %s AND d.unused_amount <> 0', mirror_schema, counts);
  END IF;
  note := tds_put_view(mirror_schema, 'receivables', 'What customers owe, by currency and age.', format(
    'SELECT m.customer_zoho_id, COALESCE(c.name, max(m.customer_name)) AS customer_name,
       COALESCE(m.currency_code, c.currency_code) AS currency_code,
       sum(m.owed) AS open_invoices, sum(m.credit) AS unused_credits, sum(m.payment) AS unapplied_payments,
       sum(m.owed - m.credit - m.payment) AS net,
       COALESCE(sum(m.owed) FILTER (WHERE m.days = 0), 0) AS not_due,
       COALESCE(sum(m.owed) FILTER (WHERE m.days BETWEEN 1 AND 30), 0) AS due_1_30,
       COALESCE(sum(m.owed) FILTER (WHERE m.days BETWEEN 31 AND 60), 0) AS due_31_60,
       COALESCE(sum(m.owed) FILTER (WHERE m.days BETWEEN 61 AND 90), 0) AS due_61_90,
       COALESCE(sum(m.owed) FILTER (WHERE m.days > 90), 0) AS due_over_90
       FROM (%s) AS m LEFT JOIN %I.customers AS c ON c.zoho_id = m.customer_zoho_id
      GROUP BY m.customer_zoho_id, c.name, COALESCE(m.currency_code, c.currency_code)', moves, mirror_schema));
  IF note IS NOT NULL THEN
    RETURN NEXT note;
  END IF;

  -- Every head table with a date, a currency and an amount. The rate of the base currency is 1. Another rate that is
  -- not known gives no amount.
  amounts := (
    SELECT string_agg(format(
             'SELECT %1$L::text AS entity_type, d.zoho_id, %2$s AS number, d.date, d.currency_code, r.rate AS exchange_rate,
       %3$s AS total, %3$s * r.rate AS base_total, %4$s AS balance, %4$s * r.rate AS base_balance
       FROM %5$I.%1$I AS d LEFT JOIN %5$I.organization AS o ON true
      CROSS JOIN LATERAL (SELECT COALESCE(d.exchange_rate, CASE WHEN d.currency_code = o.currency_code THEN 1 END) AS rate) AS r
      WHERE d.deleted_at IS NULL',
             c.relname, CASE WHEN tds_has_columns(c.oid, '{number}') THEN 'd.number' ELSE 'NULL::text' END,
             CASE WHEN tds_has_columns(c.oid, '{total}') THEN 'd.total' ELSE 'd.amount' END,
             CASE WHEN tds_has_columns(c.oid, '{balance}') THEN 'd.balance'
                  WHEN tds_has_columns(c.oid, '{unused_amount}') THEN 'd.unused_amount' ELSE 'NULL::numeric' END,
             mirror_schema), ' UNION ALL ' ORDER BY c.relname)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = mirror_schema AND c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'USAGE')
       AND tds_has_columns(c.oid, ARRAY['zoho_id', 'deleted_at', 'date', 'currency_code', 'exchange_rate'])
       AND (tds_has_columns(c.oid, '{total}') OR tds_has_columns(c.oid, '{amount}')));
  note := tds_put_view(mirror_schema, 'base_amounts', 'The amounts of documents in the base currency.', amounts);
  IF note IS NOT NULL THEN
    RETURN NEXT note;
  END IF;
END
$$;
