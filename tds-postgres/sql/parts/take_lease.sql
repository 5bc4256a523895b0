-- The end of a claim. The items of the table expression `c` get a lease. Each lost lease is recorded as an attempt.
lost AS (
  INSERT INTO tds_queue_attempts (item_id, attempt, started_at, worker, result, error)
  SELECT c.id, c.retry_count + 1, c.processing_started_at, c.lease_owner, 'lease_lost',
         'the worker died or stopped renewing its lease' FROM c WHERE c.lost)
UPDATE tds_queue_live q SET status = 'processing', lease_token = nextval('tds_lease_seq'), lease_owner = worker,
  lost_leases = q.lost_leases + c.lost::int, hurried = false,
  lease_expires_at = clock_timestamp() + make_interval(secs => lease_seconds),
  processing_started_at = clock_timestamp(), claimed_event_id = q.inbox_event_id, requeued_at = NULL
  FROM c WHERE q.id = c.id
RETURNING q.*
