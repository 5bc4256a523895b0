-- The end of a claim. The items of the table expression `c` get a lease. Each lost lease is recorded as an attempt.
lost AS (
  /* part: attempt */ 'lease_lost', 'the worker died or stopped renewing its lease' FROM c AS t WHERE t.lost)
UPDATE tds_queue_live q SET status = 'processing', lease_token = nextval('tds_lease_seq'), lease_owner = worker,
  lost_leases = q.lost_leases + c.lost::int, hurried = false,
  lease_expires_at = clock_timestamp() + make_interval(secs => lease_seconds),
  processing_started_at = clock_timestamp(), claimed_event_id = q.inbox_event_id, requeued_at = NULL
  FROM c WHERE q.id = c.id
RETURNING q.*
