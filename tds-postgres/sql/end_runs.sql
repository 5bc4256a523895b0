-- Ends those of the given runs whose list was read to its end and whose items have all ended. Only a complete list
-- shows how many records the source has. Later lists are compared with this number.
--
-- The cursor never passes a record that has a dead letter. As long as the dead letter exists, the next incremental run
-- begins no later than the version of the dead letter and lists the record again. An operator ends this by repairing
-- the record or by discarding the item. Later changes are listed all the same. A run whose window would cost more calls
-- than the whole list reads the whole list.
CREATE OR REPLACE FUNCTION tds_end_runs(run_ids bigint[]) RETURNS void LANGUAGE sql AS $$
  WITH ended AS (
    UPDATE tds_sync_runs SET
      status = CASE WHEN failed_items > 0 OR held_ids <> '{}' THEN 'completed_with_errors' ELSE 'completed' END,
      completed_at = clock_timestamp(), lease_expires_at = NULL
    WHERE id = ANY(run_ids) AND status = 'running' AND listing_done AND open_items <= 0
    RETURNING entity_type, run_type, since, selection, window_to, total_items)
  INSERT INTO tds_cursors AS c (entity_type, cursor, last_full_count)
  SELECT entity_type,
         -- LEAST ignores NULL: without such a dead letter, the cursor moves to the end of the window.
         LEAST(window_to, (SELECT min(q.version) FROM tds_queue_live q
                            WHERE q.entity_type = ended.entity_type AND q.dead_lettered_at IS NOT NULL)),
         CASE WHEN run_type = 'full' AND since IS NULL THEN total_items END
    FROM ended
   WHERE window_to IS NOT NULL AND run_type IN ('full', 'incremental')
     -- A run with a selection says nothing about the records that it leaves out.
     AND selection IS NULL
     -- A run with `since` leaves a gap behind the cursor, unless `since` is at or before the cursor.
     AND (since IS NULL OR EXISTS (
       SELECT FROM tds_cursors k WHERE k.entity_type = ended.entity_type AND ended.since <= k.cursor))
  ON CONFLICT (entity_type) DO UPDATE SET
    cursor = GREATEST(c.cursor, excluded.cursor),
    last_full_count = COALESCE(excluded.last_full_count, c.last_full_count), updated_at = clock_timestamp()
$$;
