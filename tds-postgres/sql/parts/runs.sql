-- Reads runs. Each statement of the program adds its condition.
SELECT r.id, r.run_type, r.entity_type, r.source_type, r.status, r.total_items, r.processed_items, r.failed_items,
  r.unchanged_items, r.pages, r.listing_done, r.since, r.selection, r.created_at, r.started_at, r.completed_at, r.error_log,
  r.requested_by, r.target_database, cardinality(r.held_ids)::bigint AS held, r.lease_token, r.checkpoint, r.plan,
  r.calls, r.verification, r.repair,
  (SELECT p.total_items FROM tds_sync_runs p
    WHERE p.entity_type = r.entity_type AND p.run_type = r.run_type AND p.id < r.id
      AND p.selection IS NULL AND r.selection IS NULL
      AND p.status IN ('completed', 'completed_with_errors')
    ORDER BY p.id DESC LIMIT 1) AS expected
  FROM tds_sync_runs r
