-- Adds the items of the table expression `ended` to the archive. The row of a successful item does not show the error
-- of an earlier attempt.
INSERT INTO tds_queue_done (id, inbox_event_id, entity_type, entity_id, zoho_entity_id, direction, priority, outcome,
  retry_count, error_message, queued_at, processing_started_at, processing_completed_at, run_at, version, worker)
SELECT e.id, e.inbox_event_id, e.entity_type, e.entity_id, e.zoho_entity_id, e.direction, e.priority, e.outcome,
  e.retry_count, CASE WHEN e.outcome IN ('discarded', 'superseded') THEN e.error_message END, e.queued_at,
  e.processing_started_at, COALESCE(e.dead_lettered_at, clock_timestamp()), e.run_at, e.version, e.lease_owner
  FROM ended e
