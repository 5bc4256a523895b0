-- The guard of the tables of the mirror that TDS alone fills: the organization, and the images of products. Their changes
-- are never brought to the source, so they are refused in every mode, unless the guard is off.
--
-- `migrate` calls tds_refresh_guard each time. If the triggers are what they have to be, nothing is executed and no lock is
-- taken.

CREATE OR REPLACE FUNCTION tds_refuse_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  settings record;
BEGIN
  IF TG_OP = 'UPDATE' AND new IS NOT DISTINCT FROM old THEN
    RETURN new;
  END IF;
  SELECT s.write_guard, s.advice INTO settings FROM tds_capture_settings AS s;
  -- Programs of TDS from before this trigger do not say that these writes are theirs. They are known by the name of their
  -- sessions.
  IF current_setting('tds.origin', true) IN ('remote', 'remote ' || TG_TABLE_SCHEMA)
     OR current_setting('application_name') = 'tds' OR NOT COALESCE(settings.write_guard, true)
  THEN
    RETURN CASE TG_OP WHEN 'DELETE' THEN old ELSE new END;
  END IF;
  RAISE EXCEPTION '%.% cannot be changed here: only TDS fills this table', TG_TABLE_SCHEMA, TG_TABLE_NAME USING
    ERRCODE = 'TDS01',
    DETAIL = 'TDS would not bring the change to Zoho, and would write over it.',
    HINT = concat_ws(' ', 'Change it in Zoho.', settings.advice);
END
$$;

-- Makes the triggers that are missing. Returns one sentence for each table for which this was not possible.
CREATE OR REPLACE FUNCTION tds_refresh_guard(mirror_schema text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  engine text := current_schema();
  path text := format('search_path=%s, pg_temp', quote_ident(engine));
  refuses oid := to_regprocedure(format('%I.tds_refuse_change()', engine));
  t record;
BEGIN
  -- The function runs as its owner, and finds nothing in a schema of the caller.
  IF EXISTS (SELECT FROM pg_proc AS p WHERE p.oid = refuses AND pg_has_role(p.proowner, 'USAGE')
                AND p.proconfig IS DISTINCT FROM ARRAY[path]) THEN
    EXECUTE format('ALTER FUNCTION %I.tds_refuse_change() SET search_path = %1$I, pg_temp', engine);
  END IF;
  FOR t IN
    SELECT format('%I.%I', mirror_schema, c.relname) AS name, c.relowner FROM pg_class AS c
     WHERE c.relnamespace = to_regnamespace(quote_ident(mirror_schema)) AND c.relkind IN ('r', 'p')
       AND c.relname IN ('organization', 'product_images')
       AND NOT (EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = c.oid AND g.tgname = 'tds_guard' AND g.tgfoid = refuses)
                AND EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = c.oid AND g.tgname = 'tds_keep'))
     ORDER BY c.relname
  LOOP
    IF NOT pg_has_role(t.relowner, 'USAGE') THEN
      RETURN NEXT format('the table %s belongs to %s, and only that role can make the triggers that refuse local changes',
        t.name, pg_get_userbyid(t.relowner));
      CONTINUE;
    END IF;
    EXECUTE format('CREATE OR REPLACE TRIGGER tds_guard BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW
      EXECUTE FUNCTION %I.tds_refuse_change()', t.name, engine);
    EXECUTE format('CREATE OR REPLACE TRIGGER tds_keep BEFORE TRUNCATE ON %s FOR EACH STATEMENT
      EXECUTE FUNCTION %I.tds_refuse_truncate()', t.name, engine);
  END LOOP;
END
$$;
