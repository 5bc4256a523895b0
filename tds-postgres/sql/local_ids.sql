-- Rows that a program of before migration 23 writes beside the present one have only the ids at the source. `migrate` fills
-- in their local ids when it is run as a command: after the last server of the older program has ended, nothing is left.
-- Returns the number of references that were filled in. It reads all tables that have references.
CREATE OR REPLACE FUNCTION tds_fill_local_ids(mirror_schema text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  r record;
  filled bigint;
  total bigint := 0;
BEGIN
  FOR r IN
    SELECT c.relname AS of_table, a.attname AS local_column, z.attname AS remote_column,
           tds_referred_table(c.relname, a.attname) AS head
      FROM pg_class AS c
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'bigint'::regtype
      JOIN pg_attribute AS z ON z.attrelid = c.oid AND NOT z.attisdropped
                            AND z.attname = regexp_replace(a.attname, '_id$', '_zoho_id')
     WHERE c.relnamespace = to_regnamespace(quote_ident(mirror_schema)) AND c.relkind IN ('r', 'p') AND a.attname LIKE '%\_id'
       AND pg_has_role(c.relowner, 'USAGE')
     ORDER BY c.relname, a.attname
  LOOP
    CONTINUE WHEN r.head IS NULL;
    EXECUTE format('UPDATE %1$I.%2$I AS t SET %3$I = h.id FROM %1$I.%5$I AS h WHERE t.%3$I IS NULL AND h.zoho_id = t.%4$I',
      mirror_schema, r.of_table, r.local_column, r.remote_column, r.head);
    GET DIAGNOSTICS filled = ROW_COUNT;
    total := total + filled;
  END LOOP;
  RETURN total;
END
$$;
