-- Makes the trigger functions and the triggers that capture local changes: see capture.sql.

-- Returns the SQL text that is true if both rows have the same value of a column. Only operators of PostgreSQL are used.
CREATE OR REPLACE FUNCTION tds_same_value(column_name text, of_type oid) RETURNS text LANGUAGE sql STABLE STRICT AS $$
  SELECT format(CASE WHEN EXISTS (SELECT FROM pg_operator AS o WHERE o.oprnamespace = 'pg_catalog'::regnamespace
                                     AND o.oprname = '=' AND o.oprleft = of_type AND o.oprright = of_type)
                     THEN 'new.%1$I OPERATOR(pg_catalog.=) old.%1$I'
                     ELSE 'new.%1$I::pg_catalog.text OPERATOR(pg_catalog.=) old.%1$I::pg_catalog.text' END, column_name)
$$;

-- Returns the SQL text that gives a value, or NULL if both rows have the same value of a column. It is evaluated for every
-- column of every row that the ERP changes, and this spelling reads each value as seldom as possible.
CREATE OR REPLACE FUNCTION tds_if_changed(column_name text, of_type oid, value text) RETURNS text LANGUAGE sql STABLE STRICT AS $$
  SELECT format('CASE WHEN new.%1$I IS NULL THEN CASE WHEN old.%1$I IS NULL THEN NULL ELSE %2$s END WHEN %3$s THEN NULL ELSE %2$s END',
    column_name, value, tds_same_value(column_name, of_type))
$$;

-- Returns what the functions of a table are made of: the columns that the ERP may change, those that TDS fills, and the
-- pairs of columns that name a record by its local id and by its id at the source.
CREATE OR REPLACE FUNCTION tds_columns_of(relation oid, OUT changes text, OUT own_changes text, OUT pairs jsonb)
LANGUAGE sql STABLE AS $$
  WITH c AS (
    SELECT a.attname::text AS name, a.atttypid AS of_type, a.attnum,
           a.attname IN ('id', 'zoho_id', 'raw', 'zoho_created_at', 'zoho_modified_at', 'synced_at', 'deleted_at',
                         'balance_seen_at') AS own,
           (SELECT z.attname::text FROM pg_attribute AS z WHERE z.attrelid = relation AND NOT z.attisdropped
               AND a.atttypid = 'bigint'::regtype AND a.attname LIKE '%\_id'
               AND z.attname = regexp_replace(a.attname, '_id$', '_zoho_id')) AS twin
      FROM pg_attribute AS a
     WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
  SELECT string_agg(tds_if_changed(c.name, c.of_type, quote_literal(COALESCE(c.twin, c.name))), ', ' ORDER BY c.attnum)
           FILTER (WHERE NOT c.own),
         COALESCE(string_agg(tds_if_changed(c.name, c.of_type, 'true'), ', ' ORDER BY c.attnum) FILTER (WHERE c.own), 'NULL'),
         COALESCE(jsonb_agg(jsonb_build_array(c.name, c.twin)) FILTER (WHERE c.twin IS NOT NULL), '[]')
    FROM c
$$;

-- Returns the head table that a column such as customer_id of a table refers to.
CREATE OR REPLACE FUNCTION tds_referred_table(of_table text, local_column text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE local_column
    WHEN 'customer_id' THEN 'customers' WHEN 'vendor_id' THEN 'vendors' WHEN 'product_id' THEN 'products'
    WHEN 'document_id' THEN CASE of_table WHEN 'customer_payment_allocations' THEN 'invoices'
                                          WHEN 'vendor_payment_allocations' THEN 'bills'
                                          ELSE (SELECT t.head FROM tds_captured_tables() AS t WHERE t.child = of_table) END
    WHEN 'payment_id' THEN (SELECT t.head FROM tds_captured_tables() AS t WHERE t.child = of_table)
    WHEN 'price_list_id' THEN 'price_lists' END
$$;

-- Returns the condition that TDS itself writes to the mirror, or an operator who says so.
CREATE OR REPLACE FUNCTION tds_is_remote(mirror_schema text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT format('pg_catalog.current_setting(''tds.origin'', true) OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.text[])',
    ARRAY['remote', 'remote ' || mirror_schema])
$$;

-- Returns statements that keep both ids of a reference in step when a program changes one of them. The other id is NULL if
-- it is not known yet, until TDS fills it in.
CREATE OR REPLACE FUNCTION tds_keep_pairs(mirror_schema text, of_table text, pairs jsonb) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT COALESCE(string_agg(format($part$
    IF (%5$s) IS NOT NULL AND (%6$s) IS NULL THEN
      origin := pg_catalog.current_setting('tds.origin', true);
      PERFORM pg_catalog.set_config('tds.origin', %8$L, true);
      UPDATE %1$I.%2$I AS t SET %4$I = (SELECT h.zoho_id FROM %1$I.%7$I AS h WHERE h.id OPERATOR(pg_catalog.=) new.%3$I)
       WHERE t.id OPERATOR(pg_catalog.=) new.id;
      PERFORM pg_catalog.set_config('tds.origin', COALESCE(origin, ''), true);
    ELSIF (%6$s) IS NOT NULL AND (%5$s) IS NULL THEN
      origin := pg_catalog.current_setting('tds.origin', true);
      PERFORM pg_catalog.set_config('tds.origin', %8$L, true);
      UPDATE %1$I.%2$I AS t SET %3$I = (SELECT h.id FROM %1$I.%7$I AS h WHERE h.zoho_id OPERATOR(pg_catalog.=) new.%4$I)
       WHERE t.id OPERATOR(pg_catalog.=) new.id;
      PERFORM pg_catalog.set_config('tds.origin', COALESCE(origin, ''), true);
    END IF;$part$,
      mirror_schema, of_table, p ->> 0, p ->> 1, tds_if_changed(p ->> 0, 'bigint'::regtype, 'true'),
      tds_if_changed(p ->> 1, 'text'::regtype, 'true'), tds_referred_table(of_table, p ->> 0),
      'remote ' || mirror_schema), ''), '')
    FROM jsonb_array_elements(pairs) AS p
$$;

-- Returns the condition that the changes of an entity type are captured. It raises the error of the guard.
CREATE OR REPLACE FUNCTION tds_is_captured(engine text, entity text, changed_table text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT format('(pg_catalog.current_setting(%L, true) OPERATOR(pg_catalog.=) ''on'') IS TRUE OR %I.tds_captures(%L, %L)',
    tds_setting(engine, 'captured_' || entity), engine, entity, changed_table)
$$;

-- Returns the trigger function of a head table.
CREATE OR REPLACE FUNCTION tds_head_function(engine text, mirror_schema text, entity text, of_table text, child text)
RETURNS text LANGUAGE sql STABLE AS $$
  SELECT format($part$
CREATE OR REPLACE FUNCTION %1$I.%3$I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $body$
DECLARE
  changed pg_catalog.text;
  origin pg_catalog.text;
BEGIN
  IF %12$s THEN
    RETURN NULL;
  ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
    -- A record that is deleted or comes back changes as a whole. A change of a tombstone deletes nothing: the source may still
    -- have the record, such as that of an erased person.
    IF new.deleted_at IS NOT NULL AND old.deleted_at IS NOT NULL THEN
      IF pg_catalog.concat(%5$s, %6$s) OPERATOR(pg_catalog.<>) '' THEN
        PERFORM %1$I.tds_captures(%4$L, %7$L);
      END IF;
      RETURN NULL;
    ELSIF new.deleted_at IS NULL AND old.deleted_at IS NULL THEN
      changed := pg_catalog.concat_ws(E'\n', %5$s);
      IF changed OPERATOR(pg_catalog.=) '' THEN
        -- Columns that TDS fills are not captured, but the guard protects them.
        IF pg_catalog.concat(%6$s) OPERATOR(pg_catalog.<>) '' THEN
          PERFORM %1$I.tds_captures(%4$L, %7$L);
        END IF;
        RETURN NULL;
      END IF;
    END IF;
  ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
    IF %8$s THEN
      -- For the same reason, the removal of a tombstone deletes nothing.
      IF old.deleted_at IS NULL THEN
        INSERT INTO %1$I.tds_captured (entity_type, local_id, zoho_id, operation, key)
        VALUES (%4$L, old.id, old.zoho_id, 'delete', CASE WHEN old.zoho_id IS NULL THEN pg_catalog.gen_random_uuid() END);
      END IF;
    END IF;
    RETURN NULL;
  END IF;
  IF %8$s THEN
    INSERT INTO %1$I.tds_captured (entity_type, local_id, zoho_id, operation, fields, key)
    VALUES (%4$L, new.id, new.zoho_id, CASE WHEN new.deleted_at IS NULL THEN 'upsert' ELSE 'delete' END,
      pg_catalog.string_to_array(changed, E'\n'), CASE WHEN new.zoho_id IS NULL THEN pg_catalog.gen_random_uuid() END);%9$s%10$s
  END IF;
  RETURN NULL;
END
$body$;
CREATE OR REPLACE TRIGGER tds_capture AFTER INSERT OR UPDATE OR DELETE ON %2$I.%11$I FOR EACH ROW
  EXECUTE FUNCTION %1$I.%3$I();$part$,
    engine, mirror_schema, 'tds_capture_' || of_table, entity, c.changes, c.own_changes, mirror_schema || '.' || of_table,
    tds_is_captured(engine, entity, mirror_schema || '.' || of_table),
    -- The entry of a record that changed as a whole stands for its child rows too.
    CASE WHEN child IS NOT NULL THEN format($part$
    IF changed IS NULL THEN
      changed := pg_catalog.set_config(%L, new.id::pg_catalog.text, true);
    END IF;$part$, tds_setting(engine, 'rows_of_' || child)) END,
    COALESCE(E'\n    IF TG_OP OPERATOR(pg_catalog.=) ''UPDATE'' THEN'
      || NULLIF(tds_keep_pairs(mirror_schema, of_table, c.pairs), '') || E'\n    END IF;', ''), of_table,
    tds_is_remote(mirror_schema))
    FROM tds_columns_of(format('%I.%I', mirror_schema, of_table)::regclass) AS c
$$;

-- Returns the trigger functions of a child table. A change of its rows is a change of the record that has them.
CREATE OR REPLACE FUNCTION tds_child_functions(engine text, mirror_schema text, entity text, head text, of_table text,
  local_owner text, zoho_owner text) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT format($part$
CREATE OR REPLACE FUNCTION %1$I.%4$I(local_id bigint, remote_id text) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
  head pg_catalog.record;
BEGIN
  IF %6$s THEN
    IF local_id IS NULL THEN
      SELECT h.id, h.zoho_id, h.deleted_at INTO head FROM %2$I.%8$I AS h WHERE h.zoho_id OPERATOR(pg_catalog.=) remote_id;
    ELSE
      SELECT h.id, h.zoho_id, h.deleted_at INTO head FROM %2$I.%8$I AS h WHERE h.id OPERATOR(pg_catalog.=) local_id;
    END IF;
    -- Rows without a record: the record is captured as a whole when it is inserted. Rows of a tombstone change nothing.
    IF head.id IS NULL OR head.deleted_at IS NOT NULL THEN
      RETURN;
    END IF;
    INSERT INTO %1$I.tds_captured (entity_type, local_id, zoho_id, operation, fields, key)
    VALUES (%5$L, head.id, head.zoho_id, 'upsert', ARRAY[%9$L],
      CASE WHEN head.zoho_id IS NULL THEN pg_catalog.gen_random_uuid() END);
  END IF;
  PERFORM pg_catalog.set_config(%10$L, COALESCE(local_id::pg_catalog.text, pg_catalog.concat('=', remote_id)), true);
END
$body$;
CREATE OR REPLACE FUNCTION %1$I.%7$I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $body$
BEGIN
  IF %11$s THEN
    RETURN new;
  ELSIF %21$s THEN
    RETURN new;
  END IF;
  PERFORM %1$I.%4$I(%12$s, new.%13$I);
  RETURN new;
END
$body$;
CREATE OR REPLACE FUNCTION %1$I.%3$I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $body$
DECLARE
  owner pg_catalog.record;
  origin pg_catalog.text;
BEGIN
  IF %21$s THEN
    RETURN NULL;
  ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
    IF pg_catalog.concat(%14$s) OPERATOR(pg_catalog.=) '' THEN
      IF pg_catalog.concat(%15$s) OPERATOR(pg_catalog.<>) '' THEN
        PERFORM %1$I.tds_captures(%5$L, %16$L);
      END IF;
      RETURN NULL;
    END IF;
    IF (%11$s) IS NOT TRUE THEN
      PERFORM %1$I.%4$I(%12$s, new.%13$I);
    END IF;
    IF pg_catalog.concat(%17$s) OPERATOR(pg_catalog.<>) '' THEN
      PERFORM %1$I.%4$I(%18$s, old.%13$I);
    END IF;%19$s
  ELSE
    FOR owner IN SELECT DISTINCT %20$s AS local_id, %13$I AS remote_id FROM gone LOOP
      PERFORM %1$I.%4$I(owner.local_id, owner.remote_id);
    END LOOP;
  END IF;
  RETURN NULL;
END
$body$;
CREATE OR REPLACE TRIGGER zz_tds_capture BEFORE INSERT ON %2$I.%9$I FOR EACH ROW EXECUTE FUNCTION %1$I.%7$I();
CREATE OR REPLACE TRIGGER tds_capture AFTER UPDATE ON %2$I.%9$I FOR EACH ROW EXECUTE FUNCTION %1$I.%3$I();
CREATE OR REPLACE TRIGGER tds_capture_gone AFTER DELETE ON %2$I.%9$I REFERENCING OLD TABLE AS gone FOR EACH STATEMENT
  EXECUTE FUNCTION %1$I.%3$I();$part$,
    engine, mirror_schema, 'tds_capture_' || of_table, 'tds_touch_' || of_table, entity,
    tds_is_captured(engine, entity, mirror_schema || '.' || of_table), 'tds_capture_new_' || of_table, head, of_table,
    tds_setting(engine, 'rows_of_' || of_table),
    -- True if the last record whose rows were captured in this transaction is that of the row.
    format('COALESCE(%s, pg_catalog.concat(''='', new.%I)) OPERATOR(pg_catalog.=) pg_catalog.current_setting(%L, true)',
      COALESCE('new.' || quote_ident(local_owner) || '::pg_catalog.text', 'NULL'), zoho_owner,
      tds_setting(engine, 'rows_of_' || of_table)),
    COALESCE('new.' || quote_ident(local_owner), 'NULL::pg_catalog.int8'), zoho_owner, c.changes, c.own_changes,
    mirror_schema || '.' || of_table,
    concat_ws(', ', tds_if_changed(local_owner, 'bigint'::regtype, 'true'), tds_if_changed(zoho_owner, 'text'::regtype, 'true')),
    COALESCE('old.' || quote_ident(local_owner), 'NULL::pg_catalog.int8'), tds_keep_pairs(mirror_schema, of_table, c.pairs),
    COALESCE(quote_ident(local_owner), 'NULL::pg_catalog.int8'), tds_is_remote(mirror_schema))
    FROM tds_columns_of(format('%I.%I', mirror_schema, of_table)::regclass) AS c
$$;

-- Makes what is missing or not up to date. Returns one sentence for each table for which this was not possible.
CREATE OR REPLACE FUNCTION tds_refresh_capture(mirror_schema text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  engine text := current_schema();
  path text := format('search_path=%s, pg_temp', quote_ident(engine));
  mark text;
  t record;
BEGIN
  -- Functions that run as their owner, and those that they call, find nothing in a schema of the caller.
  FOR t IN
    SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p
     WHERE p.pronamespace = to_regnamespace(quote_ident(engine)) AND pg_has_role(p.proowner, 'USAGE')
       AND p.proname IN ('tds_captured_tables', 'tds_captures', 'tds_push', 'tds_adjust_stock', 'tds_capture_levels')
       AND p.proconfig IS DISTINCT FROM ARRAY[path]
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', t.name, engine);
  END LOOP;

  FOR t IN
    SELECT c.relname AS name, c.relowner, d.made, to_regprocedure(format('%I.%I()', engine, d.function_name)) AS known,
           format('%I.%I()', engine, d.function_name) AS function_name, d.triggers,
           ARRAY(SELECT g.tgname::text FROM pg_trigger AS g WHERE g.tgrelid = c.oid) AS present
      FROM pg_class AS c
      CROSS JOIN LATERAL (
        SELECT tds_head_function(engine, mirror_schema, x.entity_type, x.head, x.child) AS made, 'tds_capture_' || x.head AS function_name,
               '{tds_capture}'::text[] AS triggers
          FROM tds_captured_tables() AS x WHERE x.head = c.relname
        UNION ALL
        SELECT tds_child_functions(engine, mirror_schema, x.entity_type, x.head, x.child, x.local_owner, x.zoho_owner),
               'tds_capture_' || x.child, '{tds_capture,zz_tds_capture,tds_capture_gone}'
          FROM tds_captured_tables() AS x WHERE x.child = c.relname
        UNION ALL
        SELECT format('CREATE OR REPLACE TRIGGER tds_capture AFTER INSERT OR UPDATE OR DELETE ON %I.stock_levels FOR EACH ROW
          EXECUTE FUNCTION %I.tds_capture_levels()',
            mirror_schema, engine), 'tds_capture_levels', '{tds_capture}' WHERE c.relname = 'stock_levels') AS d
     WHERE c.relnamespace = to_regnamespace(quote_ident(mirror_schema)) AND c.relkind IN ('r', 'p')
     ORDER BY c.relname
  LOOP
    mark := format('Captures local changes. Made by TDS (%s).', md5(t.made));
    CONTINUE WHEN COALESCE(obj_description(t.known, 'pg_proc'), '') = mark AND t.present @> t.triggers
              AND 'tds_keep' = ANY (t.present);
    IF NOT pg_has_role(t.relowner, 'USAGE') THEN
      RETURN NEXT format('the table %s belongs to %s, and only that role can make the triggers that capture local changes',
        format('%I.%I', mirror_schema, t.name), pg_get_userbyid(t.relowner));
      CONTINUE;
    END IF;
    EXECUTE t.made;
    EXECUTE format('CREATE OR REPLACE TRIGGER tds_keep BEFORE TRUNCATE ON %I.%I FOR EACH STATEMENT
      EXECUTE FUNCTION %I.tds_refuse_truncate()',
      mirror_schema, t.name, engine);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', t.function_name, mark);
  END LOOP;
END
$$;
