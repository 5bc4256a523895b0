-- What belongs to one organization where a database has several: each has a schema for the engine and one for the mirror.
-- PostgreSQL has advisory locks and channels for the whole database.

-- Returns the name of a lock or channel of this organization. That of an organization in schema public is the name itself.
CREATE OR REPLACE FUNCTION tds_own(name text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE current_schema() WHEN 'public' THEN name ELSE concat(name, '_', md5(current_schema())) END
$$;

-- Functions that operators' statements reach find the tables of this organization, whatever the search path of the session
-- is: a statement may name the schema (DELETE FROM tds_de.tds_sync_queue). `migrate` calls this function each time.
CREATE OR REPLACE FUNCTION tds_keep_paths() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  engine text := current_schema();
  path text := format('search_path=%s, pg_temp', quote_ident(engine));
  f record;
BEGIN
  FOR f IN
    SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p
     WHERE p.pronamespace = to_regnamespace(quote_ident(engine)) AND pg_has_role(p.proowner, 'USAGE')
       AND p.proname IN ('tds_sync_queue_delete', 'tds_sync_queue_update', 'tds_sync_queue_insert', 'tds_queue_tally',
                         'tds_retry_items', 'tds_discard_items')
       AND p.proconfig IS DISTINCT FROM ARRAY[path]
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f.name, engine);
  END LOOP;
END
$$;
