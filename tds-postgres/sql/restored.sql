-- A database that comes from a backup knows nothing of what happened after the backup. Most of it comes back by itself: the
-- cursors of the lists are as old as the rows, so the next lists show every change since then. Two things do not:
-- * A record that waited to be created at the source may have been created after the backup. It must not be created twice.
-- * Deletions at the source, and changes that no list shows, are found by full syncs and comparisons, which are not due yet.
--
-- `migrate` calls tds_notice_restore each time, and a server migrates at its start.

-- Puts records whose creation waits in doubt, so that each of them is searched for at the source before it is created, and
-- makes the schedules due. Returns the number of these records.
CREATE OR REPLACE FUNCTION tds_after_restore() RETURNS bigint LANGUAGE sql AS $$
  -- The servers of the backup may have run without schedules. A schedule that nobody knows yet would not be due.
  INSERT INTO tds_schedules (name, next_at)
  SELECT DISTINCT format('%s %s', t.entity_type, r.run_type), CASE r.run_type WHEN 'verify' THEN now() + interval '1 hour' ELSE now() END
    FROM (SELECT entity_type FROM tds_sync_runs UNION SELECT entity_type FROM tds_sync_records
          UNION SELECT entity_type FROM tds_modes) AS t, (VALUES ('incremental'), ('full'), ('verify')) AS r (run_type)
  ON CONFLICT (name) DO NOTHING;
  UPDATE tds_schedules SET next_at = LEAST(next_at, now()) WHERE name LIKE '% incremental' OR name LIKE '% full';
  -- The full syncs bring the mirror level first.
  UPDATE tds_schedules SET next_at = LEAST(next_at, now() + interval '1 hour') WHERE name LIKE '% verify';
  WITH doubtful AS (
    INSERT INTO tds_links AS l (entity_type, local_id, key, in_doubt_since)
    SELECT DISTINCT ON (o.entity_type, o.local_id) o.entity_type, o.local_id, COALESCE(o.key, gen_random_uuid()),
           clock_timestamp()
      FROM tds_outbox AS o WHERE o.zoho_id IS NULL AND o.status IN ('pending', 'conflict')
     ORDER BY o.entity_type, o.local_id, o.id
    ON CONFLICT (entity_type, local_id) DO UPDATE SET in_doubt_since = excluded.in_doubt_since WHERE l.zoho_id IS NULL
    RETURNING 1)
  SELECT count(*) FROM doubtful
$$;

-- Notices that the database was restored, copied or promoted since the last call. Returns a sentence about it, or NULL.
CREATE OR REPLACE FUNCTION tds_notice_restore() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  known tds_database_identity;
  present tds_database_identity;
BEGIN
  present.database_oid := (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database());
  present.outbox_oid := 'tds_outbox'::regclass::oid;
  BEGIN
    present.system_identifier := (SELECT c.system_identifier FROM pg_control_system() AS c);
    present.timeline := substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
  EXCEPTION
    WHEN insufficient_privilege THEN NULL;
  END;
  SELECT * INTO known FROM tds_database_identity FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO tds_database_identity (system_identifier, timeline, database_oid, outbox_oid)
    VALUES (present.system_identifier, present.timeline, present.database_oid, present.outbox_oid);
    RETURN NULL;
  END IF;
  IF (known.database_oid, known.outbox_oid) = (present.database_oid, present.outbox_oid)
     -- Another role may not know what the role of the last call knew.
     AND COALESCE(known.system_identifier = present.system_identifier, true)
     AND COALESCE(known.timeline = present.timeline, true) THEN
    RETURN NULL;
  END IF;
  UPDATE tds_database_identity SET system_identifier = present.system_identifier, timeline = present.timeline,
    database_oid = present.database_oid, outbox_oid = present.outbox_oid, noticed_at = clock_timestamp();
  RETURN format('this database was restored from a backup, copied or promoted since it was last migrated: %s records that '
    'wait to be created are searched for before they are created, and syncs of everything are due now',
    tds_after_restore());
END
$$;
