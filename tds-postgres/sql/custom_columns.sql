-- Custom fields as generated columns of head tables. `migrate` calls tds_put_custom_columns each time, after the
-- migrations and before the views. The comment of a column says that TDS made it, from which field and as which type.
--
-- A stored generated column rewrites its table, and other sessions cannot use the table meanwhile. All new columns of a
-- table are therefore added at once. A column that exists as it has to be costs nothing.
--
-- A column that is not wanted any more stays: statements and views of the operator may read it, and another process may
-- run with another configuration. Only a column whose type was changed is dropped and made anew.

-- Returns the wanted columns that cannot be made: one sentence for each, with what was found.
CREATE OR REPLACE FUNCTION tds_impossible_custom_columns(mirror_schema text, tables text[], names text[]) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN h.oid IS NULL
              THEN format('%s.%s, whose table is none of %s', w.head, w.name, COALESCE((
                SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_class c
                 WHERE c.relnamespace = to_regnamespace(quote_ident(mirror_schema)) AND c.relkind IN ('r', 'p')
                   AND tds_has_columns(c.oid, '{zoho_id,custom_fields}')), 'the mirror'))
              ELSE format('%s.%s, a column that the table has already', w.head, w.name) END
    FROM unnest(tables, names) AS w(head, name)
    LEFT JOIN pg_class h ON h.relnamespace = to_regnamespace(quote_ident(mirror_schema)) AND h.relname = w.head
         AND h.relkind IN ('r', 'p') AND tds_has_columns(h.oid, '{zoho_id,custom_fields}')
    LEFT JOIN pg_attribute a ON a.attrelid = h.oid AND a.attname = w.name AND NOT a.attisdropped
   WHERE h.oid IS NULL
      OR a.attnum IS NOT NULL AND COALESCE(col_description(h.oid, a.attnum), '') NOT LIKE 'The custom field % Made by TDS.'
$$;

-- Makes the wanted columns. Returns one sentence for each column that is not wanted any more, and for each table whose
-- columns another role has to make.
CREATE OR REPLACE FUNCTION tds_put_custom_columns(mirror_schema text, tables text[], names text[], types text[])
RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  -- How long to wait for the sessions that use a table. Later sessions wait behind this one.
  patience CONSTANT text := '5s';
  before text := current_setting('lock_timeout');
  full_name text;
  view_name text;
  grants text[];
  one_grant text;
  t record;
  k record;
BEGIN
  FOR t IN
    SELECT c.oid, c.relname, c.relowner,
           array_agg(format('ADD COLUMN %I %s GENERATED ALWAYS AS (%s) STORED', w.name, w.type,
             format(CASE w.type WHEN 'text' THEN '%2$s' ELSE 'tds_custom_%1$s(%2$s)' END, w.type,
               format('custom_fields ->> %L', w.name))) ORDER BY w.name) AS added,
           array_agg(format('COMMENT ON COLUMN %I.%I.%I IS %L', mirror_schema, c.relname, w.name, w.mark)) AS comments,
           array_agg(format('DROP COLUMN %I', w.name)) FILTER (WHERE a.attnum IS NOT NULL) AS dropped,
           string_agg(w.name, ', ' ORDER BY w.name) AS list
      FROM (SELECT u.*, format('The custom field %s as %s. Made by TDS.', u.name, u.type) AS mark
              FROM unnest(tables, names, types) AS u(head, name, type)) AS w
      JOIN pg_class c ON c.relname = w.head AND c.relnamespace = to_regnamespace(quote_ident(mirror_schema))
           AND c.relkind IN ('r', 'p')
      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = w.name AND NOT a.attisdropped
     WHERE a.attnum IS NULL OR col_description(c.oid, a.attnum) IS DISTINCT FROM w.mark
     GROUP BY c.oid, c.relname, c.relowner ORDER BY c.relname
  LOOP
    full_name := format('%I.%I', mirror_schema, t.relname);
    IF NOT pg_has_role(t.relowner, 'USAGE') THEN
      RETURN NEXT format('the table %s belongs to %s, and only that role can make the columns %s', full_name,
        pg_get_userbyid(t.relowner), t.list);
      CONTINUE;
    END IF;
    grants := '{}';
    BEGIN
      PERFORM set_config('lock_timeout', patience, true);
      IF t.dropped IS NOT NULL THEN
        -- The view of the table shows the column.
        view_name := format('%I.%I', mirror_schema, 'live_' || t.relname);
        IF obj_description(to_regclass(view_name), 'pg_class') LIKE '% Made by TDS (%).' THEN
          grants := tds_grants_of(to_regclass(view_name));
          EXECUTE format('DROP VIEW %s', view_name);
        END IF;
        EXECUTE format('ALTER TABLE %s %s', full_name, array_to_string(t.dropped, ', '));
      END IF;
      EXECUTE format('ALTER TABLE %s %s', full_name, array_to_string(t.added, ', '));
    EXCEPTION
      WHEN lock_not_available THEN
        RAISE EXCEPTION 'the columns % of % were not made: another session has used the table for %; end its transaction '
          'and try again', t.list, full_name, patience USING ERRCODE = 'object_not_in_prerequisite_state';
      WHEN dependent_objects_still_exist THEN
        RAISE EXCEPTION 'the columns % of % cannot get another type, because a view or another object of the database '
          'needs them; drop that object first', t.list, full_name USING ERRCODE = 'object_not_in_prerequisite_state';
    END;
    PERFORM set_config('lock_timeout', before, true);
    FOREACH one_grant IN ARRAY t.comments LOOP
      EXECUTE one_grant;
    END LOOP;
    IF grants <> '{}' THEN
      PERFORM tds_refresh_views(mirror_schema);
      FOREACH one_grant IN ARRAY grants LOOP
        EXECUTE one_grant;
      END LOOP;
    END IF;
  END LOOP;

  FOR k IN
    SELECT c.relname, a.attname
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attgenerated <> '' AND NOT a.attisdropped
     WHERE c.relnamespace = to_regnamespace(quote_ident(mirror_schema)) AND c.relkind IN ('r', 'p')
       AND col_description(c.oid, a.attnum) LIKE 'The custom field % Made by TDS.'
       AND NOT EXISTS (SELECT FROM unnest(tables, names) AS w(head, name) WHERE w.head = c.relname AND w.name = a.attname)
     ORDER BY c.relname, a.attname
  LOOP
    RETURN NEXT format('the column %2$I of %1$s is not configured any more, and is kept and filled as before; to drop it: '
      'DROP VIEW %3$s; ALTER TABLE %1$s DROP COLUMN %2$I; the next migration makes the view again',
      format('%I.%I', mirror_schema, k.relname), k.attname, format('%I.%I', mirror_schema, 'live_' || k.relname));
  END LOOP;
END
$$;
