-- What is known of each entity type's list: what it can do, and how late its rows come.
CREATE TABLE tds_list_facts (
  entity_type text COLLATE "C" PRIMARY KEY,
  facts jsonb NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Ends those of the given runs whose list was read to its end and whose items have all ended. Only a list of
-- everything says how many records there are: later lists are compared with it.
CREATE OR REPLACE FUNCTION tds_end_runs(run_ids bigint[]) RETURNS void LANGUAGE sql AS $$
  WITH ended AS (
    UPDATE tds_sync_runs SET
      status = CASE WHEN failed_items > 0 OR held_ids <> '{}' THEN 'completed_with_errors' ELSE 'completed' END,
      completed_at = clock_timestamp(), lease_expires_at = NULL
    WHERE id = ANY(run_ids) AND status = 'running' AND listing_done AND open_items <= 0
    RETURNING entity_type, run_type, since, window_to, total_items)
  INSERT INTO tds_cursors AS c (entity_type, cursor, last_full_count)
  SELECT entity_type, window_to, CASE WHEN run_type = 'full' AND since IS NULL THEN total_items END FROM ended
   WHERE window_to IS NOT NULL AND run_type IN ('full', 'incremental')
     -- A selective run leaves a gap behind the cursor, unless it began before it.
     AND (since IS NULL OR EXISTS (
       SELECT FROM tds_cursors k WHERE k.entity_type = ended.entity_type AND ended.since <= k.cursor))
  ON CONFLICT (entity_type) DO UPDATE SET
    cursor = GREATEST(c.cursor, excluded.cursor),
    last_full_count = COALESCE(excluded.last_full_count, c.last_full_count), updated_at = clock_timestamp()
$$;
