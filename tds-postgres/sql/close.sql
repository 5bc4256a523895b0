-- Closed by default: only the owner and roles that were explicitly named can read and change the objects of TDS,
-- whatever the default privileges of the database are.
--
-- `migrate` calls this function each time, after the migrations and the functions and in the same transaction. Objects
-- that a later version creates are therefore closed before any other session sees them. The function reads the
-- catalogue and changes only objects that differ from the rules below. Where every object follows the rules, the
-- function takes no lock.
--
-- * PUBLIC, anon and authenticated lose every privilege on the engine's tables, views, sequences and functions and on
--   schema erp. Other roles keep the privileges that they were granted, because each grant named its role.
-- * Row level security is enabled on every table. The owner and its members are not subject to it. Each role with a
--   grant of its own gets a policy (tds_granted) that lets the role see what it was granted. A table without such roles
--   has no policy, so that a later GRANT to all roles, as in guides of Supabase, still shows no row. Row level security
--   does not prevent TRUNCATE, so privileges are revoked as well.
-- * A privilege that one of them got from a role with a grant option goes too. That role keeps what it was granted, without
--   the option. What is not an object of TDS is left as it is.
-- * tds_reader and the roles in `readers` may read schema erp. tds_writer may also change its rows. The roles belong to
--   the mirror: those of a mirror with another name end with this name (tds_reader_erp_de).
-- * Roles that may change rows of schema erp may call tds_push. The triggers of the tables need no privilege.
--
-- The function returns one sentence for each action that it was not allowed to take, and for each grant option that a role
-- lost.

-- Revokes every privilege on an object from the roles `closed`. An owner can revoke only what it granted itself. So a role
-- that gave a privilege on gets it from the owner once more, and loses it together with all that followed from it. The
-- other roles, this one included, then get back what they had, from the owner and without a grant option. Returns one
-- sentence if a role lost its grant option. `relation`: the object, if it has columns. `acl`: its privileges.
CREATE OR REPLACE FUNCTION tds_revoke(kind text, name text, owner oid, relation oid, acl aclitem[], closed oid[]) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  closed_names text := (SELECT string_agg(CASE c WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(c)) END, ', ')
                          FROM unnest(closed) AS c);
  kept text[];
  statements text[];
  givers text;
  statement text;
BEGIN
  WITH RECURSIVE held AS (
    SELECT NULL::text AS columns, a.* FROM aclexplode(acl) AS a
    UNION ALL
    SELECT format(' (%I)', t.attname), a.* FROM pg_attribute AS t, aclexplode(t.attacl) AS a WHERE t.attrelid = relation),
  -- The roles from which a privilege came, up to the owner.
  up AS (
    SELECT h.columns, h.privilege_type AS privilege, h.grantor AS giver FROM held AS h
     WHERE h.grantee = ANY (closed) AND h.grantor <> owner
    UNION
    SELECT up.columns, up.privilege, h.grantor FROM up JOIN held AS h ON h.grantee = up.giver
       AND h.privilege_type = up.privilege AND h.columns IS NOT DISTINCT FROM up.columns
     WHERE h.grantor <> owner)
  SELECT array_agg(s.statement ORDER BY s.place),
         (SELECT string_agg(DISTINCT quote_ident(pg_get_userbyid(up.giver)), ', ') FROM up WHERE up.giver <> ALL (closed)),
         (SELECT array_agg(DISTINCT format('GRANT %s%s ON %s %s TO %I', h.privilege_type, h.columns, kind, name,
                   pg_get_userbyid(h.grantee)))
            FROM held AS h WHERE h.grantee <> ALL (closed) AND h.grantee <> owner)
    INTO statements, givers, kept
    FROM (SELECT up.columns, up.privilege, string_agg(quote_ident(pg_get_userbyid(up.giver)), ', ') AS roles
            FROM up GROUP BY up.columns, up.privilege) AS u
   CROSS JOIN LATERAL (VALUES
     (1, format('GRANT %s%s ON %s %s TO %s WITH GRANT OPTION', u.privilege, u.columns, kind, name, u.roles)),
     (2, format('REVOKE %s%s ON %s %s FROM %s CASCADE', u.privilege, u.columns, kind, name, u.roles))) AS s(place, statement);
  FOREACH statement IN ARRAY COALESCE(statements, '{}') LOOP
    EXECUTE statement;
  END LOOP;
  EXECUTE format('REVOKE ALL ON %s %s FROM %s CASCADE', kind, name, closed_names);
  FOREACH statement IN ARRAY COALESCE(kept, '{}') LOOP
    EXECUTE statement;
  END LOOP;
  RETURN CASE WHEN givers IS NOT NULL THEN
    format('a privilege on %s that %s had given to others was revoked; %2$s may use it as before, and not give it to others',
      name, givers) END;
END
$$;

CREATE OR REPLACE FUNCTION tds_close(readers text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  engine oid := (SELECT n.oid FROM pg_namespace n WHERE n.nspname = current_schema());
  mirror oid := (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'erp');
  fellow text;
  -- The group roles of this mirror. The pattern is not a name, so that it means the default mirror everywhere.
  own text := (SELECT CASE WHEN n.nspname ~ '^erp$' THEN '' WHEN octet_length(n.nspname) <= 52 THEN '_' || n.nspname
                           ELSE '_' || md5(n.nspname) END FROM pg_namespace n WHERE n.oid = mirror);
  reader_name text := 'tds_reader' || own;
  writer_name text := 'tds_writer' || own;
  -- The roles that lose all privileges.
  closed oid[];
  reading oid[];
  writer oid;
  -- Roles other than the owner that change the engine's rows. They need the functions that the engine's triggers call.
  changing oid[];
  -- Roles that change rows of the mirror. They need the functions of generated columns, and may call tds_push.
  writing oid[];
  strangers text[] := '{}';
  holders oid[];
  policed oid[];
  names text;
  note text;
  o record;
BEGIN
  FOREACH fellow IN ARRAY ARRAY[reader_name, writer_name] LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = fellow);
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', fellow);
    EXCEPTION
      -- Roles belong to all databases of a server, so another session may create the role at the same time.
      WHEN duplicate_object OR unique_violation THEN NULL;
      WHEN insufficient_privilege THEN
        RETURN NEXT format('the group role %s does not exist, and %s may not create roles: a superuser may run '
          'CREATE ROLE %1$I NOLOGIN, and the next migration gives it its privileges', fellow, current_user);
    END;
  END LOOP;

  closed := ARRAY(SELECT 0::oid UNION ALL SELECT r.oid FROM pg_roles r WHERE r.rolname IN ('anon', 'authenticated'));
  reading := ARRAY(SELECT r.oid FROM pg_roles r WHERE r.rolname = reader_name OR r.rolname = ANY (readers));
  writer := (SELECT r.oid FROM pg_roles r WHERE r.rolname = writer_name);

  -- Schema erp itself.
  FOR o IN
    SELECT n.nspowner, quote_ident(n.nspname) AS name, COALESCE(n.nspacl, acldefault('n', n.nspowner)) AS acl
      FROM pg_namespace n WHERE n.oid = mirror
  LOOP
    names := (SELECT string_agg(quote_ident(r.rolname), ', ') FROM pg_roles r
               WHERE (r.oid = ANY (reading) OR r.oid = writer)
                 AND NOT EXISTS (SELECT FROM aclexplode(o.acl) a
                                  WHERE a.grantee = r.oid AND a.privilege_type = 'USAGE'));
    IF NOT pg_has_role(o.nspowner, 'USAGE') THEN
      IF names IS NOT NULL THEN
        RETURN NEXT format('schema erp belongs to %s, who may run GRANT USAGE ON SCHEMA erp TO %s',
          pg_get_userbyid(o.nspowner), names);
      END IF;
      CONTINUE;
    END IF;
    IF EXISTS (SELECT FROM aclexplode(o.acl) a WHERE a.grantee = ANY (closed)
                  AND NOT (a.grantee = ANY (reading) AND a.privilege_type = 'USAGE')) THEN
      note := tds_revoke('SCHEMA', o.name, o.nspowner, NULL, o.acl, closed);
      IF note IS NOT NULL THEN
        RETURN NEXT note;
      END IF;
      names := concat_ws(', ', names, (SELECT string_agg(quote_ident(r.rolname), ', ') FROM pg_roles r
                                        WHERE r.oid = ANY (closed) AND r.oid = ANY (reading)));
    END IF;
    IF names <> '' THEN
      EXECUTE format('GRANT USAGE ON SCHEMA erp TO %s', names);
    END IF;
    -- Default privileges for tables that are created in the schema between two calls.
    names := (SELECT string_agg(quote_ident(r.rolname), ', ') FROM pg_roles r
               WHERE (r.oid = ANY (reading) OR r.oid = writer) AND r.rolname <> current_user
                 AND NOT EXISTS (SELECT FROM pg_default_acl d, aclexplode(d.defaclacl) a
                                  WHERE pg_get_userbyid(d.defaclrole) = current_user AND d.defaclnamespace = mirror
                                    AND d.defaclobjtype = 'r' AND a.grantee = r.oid AND a.privilege_type = 'SELECT'));
    IF names IS NOT NULL THEN
      EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA erp GRANT SELECT ON TABLES TO %s', names);
    END IF;
  END LOOP;

  FOR o IN
    SELECT c.oid, c.relkind, c.relowner, c.relacl, c.relrowsecurity, c.relnamespace = mirror AS mirrored,
           format('%I.%I', n.nspname, c.relname) AS name,
           COALESCE(c.reloptions @> ARRAY['security_invoker=true'], false) AS invoker,
           CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
       AND (c.relnamespace = mirror
            OR c.relnamespace = engine AND (c.relname LIKE 'tds\_%' OR c.relname = '_sqlx_migrations'))
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                          AND d.deptype = 'e')
     ORDER BY c.oid
  LOOP
    IF NOT pg_has_role(o.relowner, 'USAGE') THEN
      strangers := strangers || pg_get_userbyid(o.relowner)::text;
      CONTINUE;
    END IF;
    IF EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = o.oid AND a.grantee = ANY (closed)
                  AND NOT (o.mirrored AND a.grantee = ANY (reading) AND a.privilege_type = 'SELECT'))
       OR EXISTS (SELECT FROM pg_attribute t, aclexplode(t.attacl) a
                   WHERE t.attrelid = o.oid AND a.grantee = ANY (closed))
    THEN
      note := tds_revoke(o.kind, o.name, o.relowner, o.oid, o.relacl, closed);
      IF note IS NOT NULL THEN
        RETURN NEXT note;
      END IF;
    END IF;
    IF o.mirrored AND o.kind = 'TABLE' THEN
      names := (SELECT string_agg(quote_ident(r.rolname), ', ') FROM pg_roles r
                 WHERE (r.oid = ANY (reading) OR r.oid = writer) AND r.oid <> o.relowner
                   AND NOT EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = o.oid
                                      AND a.grantee = r.oid AND a.privilege_type = 'SELECT'));
      IF names IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON TABLE %s TO %s', o.name, names);
      END IF;
      IF writer IS NOT NULL AND o.relkind IN ('r', 'p') AND 4 > (
        SELECT count(*) FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = o.oid AND a.grantee = writer
           AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
      THEN
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO %I', o.name, writer_name);
      END IF;
    END IF;

    -- The roles, besides the owner, whose grants have an effect only with a policy: row level security applies to them.
    -- It does not apply to service_role, the role of a Supabase key.
    holders := ARRAY(
      SELECT r.oid FROM pg_roles r
       WHERE NOT r.rolsuper AND NOT r.rolbypassrls AND r.rolname <> 'service_role'
         AND NOT pg_has_role(r.oid, o.relowner, 'USAGE')
         AND (r.oid <> ALL (closed) OR o.mirrored AND r.oid = ANY (reading))
         AND (EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = o.oid AND a.grantee = r.oid)
              OR EXISTS (SELECT FROM pg_attribute t, aclexplode(t.attacl) a
                          WHERE t.attrelid = o.oid AND a.grantee = r.oid)
              OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid AND o.relkind <> 'v'
                            AND m.roleid IN ('pg_read_all_data'::regrole, 'pg_write_all_data'::regrole)))
       ORDER BY r.oid);
    IF o.relkind IN ('r', 'p') THEN
      IF NOT o.relrowsecurity THEN
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', o.name);
      END IF;
      policed := (SELECT ARRAY(SELECT unnest(p.polroles) AS role ORDER BY role) FROM pg_policy p
                   WHERE p.polrelid = o.oid AND p.polname = 'tds_granted');
      names := (SELECT string_agg(quote_ident(pg_get_userbyid(h)), ', ') FROM unnest(holders) AS h);
      IF names IS NULL AND policed IS NOT NULL THEN
        EXECUTE format('DROP POLICY tds_granted ON %s', o.name);
      ELSIF names IS NOT NULL AND policed IS NULL THEN
        EXECUTE format('CREATE POLICY tds_granted ON %s TO %s USING (true) WITH CHECK (true)', o.name, names);
      ELSIF holders <> policed THEN
        EXECUTE format('ALTER POLICY tds_granted ON %s TO %s', o.name, names);
      END IF;
    ELSIF o.relkind = 'v' AND NOT o.mirrored AND current_setting('server_version_num')::int >= 150000 THEN
      -- A view reads its tables as its owner and so bypasses row level security, unless it has the option
      -- security_invoker. With this option, the role that reads the view also needs privileges on the tables of the
      -- view. A role that was granted only the view does not have these privileges.
      IF o.invoker AND holders <> '{}' THEN
        EXECUTE format('ALTER VIEW %s RESET (security_invoker)', o.name);
      ELSIF NOT o.invoker AND holders = '{}' THEN
        EXECUTE format('ALTER VIEW %s SET (security_invoker = true)', o.name);
      END IF;
    END IF;
  END LOOP;

  changing := ARRAY(
    SELECT DISTINCT a.grantee FROM pg_class c, aclexplode(c.relacl) a
     WHERE c.relnamespace = engine AND c.relname LIKE 'tds\_%' AND c.relkind IN ('r', 'p', 'v')
       AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE') AND a.grantee <> c.relowner AND a.grantee <> 0);
  writing := ARRAY(
    SELECT DISTINCT a.grantee FROM pg_class c, aclexplode(c.relacl) a
     WHERE c.relnamespace = mirror AND c.relkind IN ('r', 'p') AND a.privilege_type IN ('INSERT', 'UPDATE')
       AND a.grantee <> c.relowner AND a.grantee <> ALL (closed));
  FOR o IN
    SELECT n.nspowner, quote_ident(n.nspname) AS name, string_agg(quote_ident(r.rolname), ', ') AS roles
      FROM pg_namespace n JOIN pg_roles r ON r.oid = ANY (writing)
     WHERE n.oid = engine AND NOT has_schema_privilege(r.oid, n.oid, 'USAGE') GROUP BY n.nspowner, n.nspname
  LOOP
    IF pg_has_role(o.nspowner, 'USAGE') THEN
      EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', o.name, o.roles);
    ELSE
      RETURN NEXT format('schema %s belongs to %s, who may run GRANT USAGE ON SCHEMA %1$s TO %s, so that these roles can call '
        'tds_push', o.name, pg_get_userbyid(o.nspowner), o.roles);
    END IF;
  END LOOP;

  FOR o IN
    SELECT p.oid, p.proowner, p.oid::regprocedure::text AS name, p.proname LIKE 'tds\_custom\_%' OR p.proname = 'tds_push' AS for_writers,
           COALESCE(p.proacl, acldefault('f', p.proowner)) AS acl
      FROM pg_proc p
     WHERE (p.pronamespace = mirror OR p.pronamespace = engine AND p.proname LIKE 'tds\_%')
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                          AND d.deptype = 'e')
     ORDER BY p.oid
  LOOP
    IF NOT pg_has_role(o.proowner, 'USAGE') THEN
      strangers := strangers || pg_get_userbyid(o.proowner)::text;
      CONTINUE;
    END IF;
    IF EXISTS (SELECT FROM aclexplode(o.acl) a WHERE a.grantee = ANY (closed)) THEN
      note := tds_revoke('ROUTINE', o.name, o.proowner, NULL, o.acl, closed);
      IF note IS NOT NULL THEN
        RETURN NEXT note;
      END IF;
    END IF;
    names := (SELECT string_agg(DISTINCT quote_ident(pg_get_userbyid(c)), ', ')
                FROM unnest(changing || CASE WHEN o.for_writers THEN writing END) AS c
               WHERE NOT EXISTS (SELECT FROM aclexplode(o.acl) a WHERE a.grantee = c));
    IF names IS NOT NULL THEN
      EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %s', o.name, names);
    END IF;
  END LOOP;

  FOR fellow IN SELECT DISTINCT unnest(strangers) LOOP
    RETURN NEXT format('some tables or functions of TDS belong to %s and were left as they are: migrate the schema as '
      '%1$s, or GRANT %1$I TO %I', fellow, current_user);
  END LOOP;
END
$$;
